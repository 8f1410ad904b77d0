"""Pairs of near-duplicates: documents that share a band and whose signatures agree enough."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from curate.dedup.likeness import SignatureBytes
from curate.dedup.nodes import (
    Columns,
    distinct_pairs,
    is_of_this_run,
    least,
    locator,
    place,
)
from curate.dedup.words import Hashes
from curate.pipelines.exchange import Outbox, Task
from curate.pipelines.similarity.job import (
    Dropped,
    Job,
    SignaturePart,
    chosen,
    pair_up,
    turned,
)

ALL_PAIRS_BELOW = 9
"""A bucket with fewer documents gives all its pairs, a larger one a star to its least document."""
_COMPARED_AT_ONCE = 1 << 15


def send_bands(job: Job, task: Task) -> None:
    """A row per key of every document that can be compared to the partition of the key."""
    exchange = job.by_partition("send-bands", "bands")
    before = Dropped(job, task.payload, job.steps_before("clusters"))
    with exchange.outbox(task.name) as outbox:
        for part in job.groups[task.payload]:
            format_key = np.uint64(part.format_key())
            for columns, signatures in _signatures(job, part):
                rows = np.flatnonzero(columns["comparable"] & ~before.holds(columns["low"]))
                keys = job.likeness.keys(signatures[rows]) ^ format_key
                bands = {
                    "key": keys.ravel(),
                    "high": columns["high"][rows].repeat(job.likeness.keys_each),
                    "low": columns["low"][rows].repeat(job.likeness.keys_each),
                }
                outbox.send(bands, job.partition_of(bands["key"], "bands"))


def _signatures(job: Job, part: SignaturePart) -> Iterator[tuple[dict[str, Any], SignatureBytes]]:
    """The signatures of a part, some thousand at a time."""
    columns = ["high", "low", "comparable", "signature"]
    for first_row, batch in part.batches(columns, _COMPARED_AT_ONCE):
        numbers = {n: batch[n].to_numpy(zero_copy_only=False) for n in columns[:3]}
        high, low = place(numbers["high"], numbers["low"], part.number, part.of_this_run, first_row)
        matrix = _as_matrix(batch["signature"], job.likeness.signature_bytes)
        yield {**numbers, "high": high, "low": low}, matrix


def _as_matrix(column: pa.Array, size: int) -> SignatureBytes:
    numbers = np.frombuffer(
        column.buffers()[1], np.uint8, count=len(column) * size, offset=column.offset * size
    )
    return numbers.reshape(len(column), size)


def find_candidates(job: Job, task: Task) -> None:
    """Pairs of documents that share a band, to the group of the preferred one.

    A bucket of up to 8 documents gives all its pairs; a larger one gives a star to its least
    document, so that a band shared by everything costs one pair a document.
    """
    received = job.by_partition("send-bands", "bands")
    first = least("key", ("high", "low"), received.receive_numbers(task.payload))
    small: list[Columns] = []
    with job.by_group("bands").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            index = first.index(chunk["key"])
            counts = first.counts[index]
            small.append(chosen(chunk, (counts > 1) & (counts < ALL_PAIRS_BELOW)))
            large = counts >= ALL_PAIRS_BELOW
            _send_candidates(job, outbox, chosen(first.rows, index[large]), chosen(chunk, large))
        if small:
            bucketed = {n: np.concatenate([s[n] for s in small]) for n in small[0]}
            small.clear()
            order = np.lexsort((bucketed["low"], bucketed["high"], bucketed["key"]))
            bucketed = chosen(bucketed, order)
            for distance in range(1, ALL_PAIRS_BELOW - 1):
                same = np.flatnonzero(
                    bucketed["key"][distance:] == bucketed["key"][: -distance or None]
                )
                _send_candidates(
                    job, outbox, chosen(bucketed, same), chosen(bucketed, same + distance)
                )


def _send_candidates(job: Job, outbox: Outbox, preferred: Columns, others: Columns) -> None:
    pairs = pair_up(preferred, others)
    wanted = locator(pairs["low"]) != locator(pairs["other_low"])
    wanted &= is_of_this_run(pairs["other_high"])
    pairs = distinct_pairs(chosen(pairs, wanted))
    outbox.send(pairs, job.group_of(pairs["low"]))


def compare_within_group(job: Job, task: Task) -> None:
    """Compare the candidates that lie in one group; send the others on with a signature."""
    within = _GroupSignatures(job, task.payload)
    edges = job.by_partition("edges-00", "edges").outbox(f"near-{task.name}")
    with job.by_group("compare").outbox(task.name) as compare, edges:
        for chunk in job.by_group("bands").receive_numbers(task.payload):
            for pairs in _slices(distinct_pairs(chunk)):
                groups = job.group_of(pairs["other_low"])
                signatures = within.of(pairs["low"])
                here = groups == task.payload
                others = within.of(pairs["other_low"][here])
                enough = job.likeness.alike(signatures[here], others)
                send_edges(job, edges, chosen(chosen(pairs, here), enough))
                far = chosen({**pairs, "signature": signatures}, ~here)
                compare.send(far, groups[~here])


def compare_across_groups(job: Job, task: Task) -> None:
    """Compare candidates whose preferred document lies in another group."""
    with job.by_partition("edges-00", "edges").outbox(task.name) as edges:
        within = _GroupSignatures(job, task.payload)
        for chunk in job.by_group("compare").receive_numbers(task.payload):
            for rows in _slices(chunk):
                others = within.of(rows["other_low"])
                enough = job.likeness.alike(rows.pop("signature"), others)
                send_edges(job, edges, chosen(rows, enough))


def _slices(rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for start in range(0, rows["low"].size, _COMPARED_AT_ONCE):
        yield {name: column[start : start + _COMPARED_AT_ONCE] for name, column in rows.items()}


class _GroupSignatures:
    """All signatures of a group, read when the first is asked for."""

    def __init__(self, job: Job, group: int) -> None:
        self._job = job
        self._parts = job.groups[group]
        self._firsts = np.array([part.first_locator for part in self._parts], np.uint64)
        self._starts = np.cumsum([0, *(part.documents for part in self._parts)])

    @cached_property
    def _all(self) -> SignatureBytes:
        found = np.empty((int(self._starts[-1]), self._job.likeness.signature_bytes), np.uint8)
        start = 0
        for part in self._parts:
            for _, signatures in _signatures(self._job, part):
                found[start : start + len(signatures)] = signatures
                start += len(signatures)
        return found

    def of(self, low: Hashes) -> SignatureBytes:
        places = locator(low)
        parts = np.searchsorted(self._firsts, places, side="right") - 1
        rows = (places - self._firsts[parts]).astype(np.int64)
        return self._all[self._starts[parts] + rows]


def send_edges(job: Job, outbox: Outbox, pairs: Columns) -> None:
    """Each edge to the partitions of both its ends."""
    for rows in (pairs, turned(pairs)):
        outbox.send(rows, job.partition_of(locator(rows["low"]), "edges"))
