"""Stage `duplicates`: which documents to drop, and for which other each.

    signatures ─▶ urls ─▶ exact ─▶ bands ─▶ candidates ─▶ [compare] ─▶ stars ⟳ ─▶ targets ⟳
                                                                                    │
    verdicts/duplicates/SOURCE/part-N.parquet ◀─────────────────────────── answers ◀┘

Each arrow is an exchange of numbers between tasks: either over *groups* (neighbouring parts, some
hundred thousand documents, whose signatures a task can hold) or over *partitions* (rows by hash of
what they are grouped by). URL duplicates go first, then equal texts, then near-duplicates of what
is left. Two documents are near-duplicates when they share a band and their signatures agree
enough; clusters are the connected components, found by alternating large-star and small-star
steps (Kiveris et al., Connected Components in MapReduce and Beyond, 2014), and keep the document
that is preferred by `dedup.nodes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dedup.minhash import Signatures, similarity
from dedup.nodes import (
    MAX_PARTS,
    Columns,
    Least,
    comes_first,
    distinct_pairs,
    is_of_this_run,
    least,
    locator,
    part_of,
    place,
    row_of,
)
from dedup.words import Hashes, mix
from pipelines.engine import Engine
from pipelines.exchange import Exchange, Outbox, Task, run_step
from pipelines.part import PartWriter, marker_path
from pipelines.parts import PartTask, run_parts
from pipelines.plan import InputPart, RunPlan
from pipelines.purged import DUPLICATES as STAGE
from pipelines.run_directory import RunDirectory
from pipelines.signatures import check_parameters, hasher_of
from schemas.errors import UsageError
from schemas.identity import content_key
from schemas.recipe import Dedup
from schemas.verdict import Drop

URL, EXACT, NEAR = "dedup.url", "dedup.exact", "dedup.near"
_RULES = (URL, EXACT, NEAR)
_STEPS = ("urls", "exact", "clusters")
"""The step that finds what each rule drops, in order."""
_PAIR = ("high", "low", "other_high", "other_low")

CLUSTERS_PATH = "verdicts/duplicates/clusters.json"

ALL_PAIRS_BELOW = 9
"""A bucket with fewer documents gives all its pairs, a larger one a star to its least document."""
MAX_ROUNDS = 64
_COMPARED_AT_ONCE = 1 << 15
_LARGEST_CLUSTERS = 20

VERDICT_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("rule", pa.string()),
        ("kept_id", pa.string()),
        ("kept_url", pa.string()),
        ("of_this_run", pa.bool_()),
    ]
)
"""A row per dropped document of a part: `row` counts the rows of its documents file."""


class RoundsError(RuntimeError):
    """Clusters did not converge: a fault of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePart:
    """One signatures file, of this run or an earlier one."""

    number: int
    run: RunDirectory
    name: str
    of_this_run: bool
    documents: int

    def read(self, columns: list[str]) -> pa.Table:
        with self.run.open(f"signatures/{self.name}.parquet") as stream:
            return pq.read_table(stream, columns=columns)

    def format_key(self) -> int:
        with self.run.open(f"signatures/{self.name}.parquet") as stream:
            found = pq.read_schema(stream).metadata[b"format"]
        return int.from_bytes(content_key("format", found)[:8], "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How work is cut; the outcome does not depend on it."""

    group_documents: int = 250_000
    """Neighbouring parts are worked on together until they have so many documents."""
    partition_rows: int = 2_000_000
    """Rows that a partition should have."""


SIZES = Sizes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every task of every step is given."""

    run: RunDirectory
    dedup: Dedup
    groups: tuple[tuple[SignaturePart, ...], ...]
    partitions: Mapping[str, int]
    """Number of partitions, by what is partitioned: `documents`, `bands` or `edges`."""

    def by_group(self, step: str) -> Exchange:
        """The exchange of a step that sends to groups."""
        return Exchange(self.run, f"{STAGE}/{step}", len(self.groups))

    def by_partition(self, step: str, of: str) -> Exchange:
        return Exchange(self.run, f"{STAGE}/{step}", self.partitions[of])

    def group_of(self, low: Hashes) -> npt.NDArray[np.int64]:
        """Number of the group that holds each document."""
        firsts = np.array([group[0].number for group in self.groups])
        return np.searchsorted(firsts, part_of(low), side="right") - 1

    def partition_of(self, keys: Hashes, of: str) -> npt.NDArray[np.int64]:
        return (mix(keys) % np.uint64(self.partitions[of])).astype(np.int64)

    def group_tasks(self) -> list[Task]:
        return [
            Task(name=f"{index:05d}", cost=sum(p.documents for p in group), payload=index)
            for index, group in enumerate(self.groups)
        ]

    def partition_tasks(self, of: str) -> list[Task]:
        return [
            Task(name=f"{index:05d}", cost=1, payload=index) for index in range(self.partitions[of])
        ]


def run_duplicates(engine: Engine, run: RunDirectory, plan: RunPlan, sizes: Sizes = SIZES) -> None:
    """Make the stage: find the duplicates, then write each part's verdicts.

    Raises:
        UsageError: a run of `dedup.against` has no signatures, or others.
    """
    tasks = [
        PartTask(name=p.name, cost=p.size + 1, payload=VerdictTask(part=p)) for p in plan.parts
    ]
    if all(run.exists(marker_path(STAGE, t.name)) for t in tasks):
        return
    dedup = plan.recipe.dedup
    groups = () if dedup is None else _groups(run, plan, dedup, sizes)
    if dedup is not None and groups:
        _find_duplicates(engine, run, dedup, groups, sizes)
        group_of = {part.name: g for g, group in enumerate(groups) for part in group}
        tasks = [
            replace(t, payload=replace(t.payload, group=group_of.get(t.name), groups=len(groups)))
            for t in tasks
        ]
    run_parts(engine, run, plan, STAGE, tasks, make_verdicts)
    run.remove(f"exchange/{STAGE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictTask:
    """One part to write the verdicts of."""

    part: InputPart
    groups: int = 0
    group: int | None = None
    """The group that the part belongs to, of so many; None where nothing is compared."""


def _find_duplicates(
    engine: Engine,
    run: RunDirectory,
    dedup: Dedup,
    groups: tuple[tuple[SignaturePart, ...], ...],
    sizes: Sizes,
) -> None:
    documents = sum(part.documents for group in groups for part in group)

    def count(rows: int) -> int:
        return max(1, -(-rows // sizes.partition_rows))

    job = Job(
        run=run,
        dedup=dedup,
        groups=groups,
        partitions={
            "documents": count(documents),
            "bands": count(documents * dedup.bands),
            "edges": count(documents * 2),
        },
    )

    def step(exchange: Exchange, tasks: list[Task], make: Callable[[Job, Task], None]) -> None:
        run_step(engine, exchange, tasks, job, make)

    if dedup.urls:
        step(job.by_partition("send-urls", "documents"), job.group_tasks(), send_urls)
        step(job.by_group("urls"), job.partition_tasks("documents"), find_same_urls)
    if dedup.exact:
        step(job.by_partition("send-exact", "documents"), job.group_tasks(), send_contents)
        step(job.by_group("exact"), job.partition_tasks("documents"), find_same_contents)
    rounds = candidates = 0
    if dedup.near:
        step(job.by_partition("send-bands", "bands"), job.group_tasks(), send_bands)
        step(job.by_group("bands"), job.partition_tasks("bands"), find_candidates)
        candidates = job.by_group("bands").rows()
        step(job.by_group("compare"), job.group_tasks(), compare_within_group)
        edges = job.by_partition("edges-00", "edges")
        far = [replace(t, name=f"far-{t.name}") for t in job.group_tasks()]
        step(edges, far, compare_across_groups)
        rounds = _run_rounds(job, step)
    step(job.by_group("targets-00"), job.group_tasks(), send_targets)
    hop = 0
    while job.by_group(f"targets-{hop:02d}").rows():
        tasks = [replace(t, payload=(t.payload, hop)) for t in job.group_tasks()]
        step(job.by_group(f"targets-{hop + 1:02d}"), tasks, follow_targets)
        hop += 1
    step(job.by_group("answers"), job.group_tasks(), answer_targets)
    _write_clusters(job, rounds, candidates)


def _run_rounds(
    job: Job, step: Callable[[Exchange, list[Task], Callable[[Job, Task], None]], None]
) -> int:
    """Alternate large and small stars until no edge changes; the number of rounds."""
    before: tuple[int, int] | None = None
    for number in range(MAX_ROUNDS):
        tasks = [replace(t, payload=(t.payload, number)) for t in job.partition_tasks("edges")]
        large = job.by_partition(f"large-{number:02d}", "edges")
        step(large, tasks, make_large_stars)
        facts = large.facts()
        now = (sum(f["edges"] for f in facts), sum(f["hash"] for f in facts) % (1 << 64))
        if now in (before, (0, 0)):
            tasks = [replace(t, payload=(t.payload, number)) for t in job.partition_tasks("edges")]
            step(job.by_group("clusters"), tasks, send_clusters)
            return number
        before = now
        small = job.by_partition(f"edges-{number + 1:02d}", "edges")
        step(small, tasks, make_small_stars)
    raise RoundsError(
        f"clusters of duplicates did not converge in {MAX_ROUNDS} rounds. "
        "This is a fault of curate; please report it."
    )


# --- groups --------------------------------------------------------------------------------------


def _groups(
    run: RunDirectory, plan: RunPlan, dedup: Dedup, sizes: Sizes
) -> tuple[tuple[SignaturePart, ...], ...]:
    groups: list[list[SignaturePart]] = [[]]
    room = sizes.group_documents
    for part in _signature_parts(run, plan, dedup):
        if groups[-1] and room < part.documents:
            groups.append([])
            room = sizes.group_documents
        groups[-1].append(part)
        room -= part.documents
    return tuple(tuple(group) for group in groups if group)


def _signature_parts(run: RunDirectory, plan: RunPlan, dedup: Dedup) -> Iterator[SignaturePart]:
    for part in compared_parts(plan):
        yield _signature_part(run, part.name, part.number, True)
    number = len(plan.parts)
    for root in dedup.against:
        earlier = RunDirectory(root)
        paths = earlier.list("signatures", suffix=".parquet")
        if not paths:
            raise UsageError(
                f"dedup.against: {root} has no signatures. "
                "Give the directory of a run whose recipe has a `dedup` section."
            )
        for path in paths:
            problem = check_parameters(earlier, path, dedup)
            if problem is not None:
                raise UsageError(
                    f"dedup.against: {root} can't be compared with: {problem}. "
                    "Use the earlier run's parameters, or leave it out."
                )
            name = path.removeprefix("signatures/").removesuffix(".parquet")
            yield _signature_part(earlier, name, number, False)
            number += 1
    if number > MAX_PARTS:
        raise UsageError(f"de-duplication takes at most {MAX_PARTS:,} parts (got {number:,})")


def compared_parts(plan: RunPlan) -> list[InputPart]:
    """The parts whose documents are compared: pairs have captions, not texts."""
    return [p for p in plan.parts if plan.recipe.sources[p.source].format != "pairs"]


def _signature_part(run: RunDirectory, name: str, number: int, of_this_run: bool) -> SignaturePart:
    with run.open(f"signatures/{name}.parquet") as stream:
        documents = pq.read_metadata(stream).num_rows
    return SignaturePart(
        number=number, run=run, name=name, of_this_run=of_this_run, documents=documents
    )


def _columns(job: Job, group: int, names: list[str], without: Dropped) -> Iterator[Columns]:
    """The columns of a group's parts, placed, without the documents already dropped."""
    for part in job.groups[group]:
        table = part.read(["high", "low", *names])
        columns = {name: table[name].to_numpy() for name in names}
        high, low = table["high"].to_numpy(), table["low"].to_numpy()
        columns["high"], columns["low"] = place(high, low, part.number, part.of_this_run)
        kept = ~without.holds(columns["low"])
        yield {name: column[kept] for name, column in columns.items()}


class Dropped:
    """Documents of one group that are dropped, and for which others."""

    def __init__(self, job: Job, group: int, steps: Iterable[str]) -> None:
        found: list[Columns] = []
        for step in steps:
            chunk = job.by_group(step).receive_all(group)
            if chunk is not None:
                rule = np.full(chunk["low"].size, _STEPS.index(step), np.uint64)
                found.append({**chunk, "rule": rule})
        names = (*_PAIR, "rule")
        pairs = {
            n: np.concatenate([f[n] for f in found]) if found else np.empty(0, np.uint64)
            for n in names
        }
        order = np.argsort(locator(pairs["low"]))
        self.pairs = {n: column[order] for n, column in pairs.items()}
        """A row per document, sorted by locator: it, the other, and the index of the rule."""
        self._locators = locator(self.pairs["low"])

    def holds(self, low: Hashes) -> npt.NDArray[np.bool_]:
        return np.isin(locator(low), self._locators)

    def index(self, low: Hashes) -> npt.NDArray[np.int64]:
        """Position in `pairs` of each document; each must be held."""
        return np.searchsorted(self._locators, locator(low))


def _reversed(pairs: Columns) -> Columns:
    return {
        "high": pairs["other_high"],
        "low": pairs["other_low"],
        "other_high": pairs["high"],
        "other_low": pairs["low"],
    }


def _chosen(columns: Mapping[str, Any], rows: npt.NDArray[Any]) -> dict[str, Any]:
    return {name: column[rows] for name, column in columns.items()}


def _pairs(columns: Columns, others: Columns) -> Columns:
    return {
        "high": columns["high"],
        "low": columns["low"],
        "other_high": others["high"],
        "other_low": others["low"],
    }


# --- URL duplicates and equal texts --------------------------------------------------------------


def send_urls(job: Job, task: Task) -> None:
    """Every document with a URL to the partition of the URL."""
    exchange = job.by_partition("send-urls", "documents")
    nothing = Dropped(job, task.payload, ())
    with exchange.outbox(task.name) as outbox:
        for columns in _columns(job, task.payload, ["url_key", "captured"], nothing):
            # Earlier runs first, then the latest capture.
            later = np.uint64((1 << 63) - 1) - columns["captured"]
            later |= is_of_this_run(columns["high"]).astype(np.uint64) << np.uint64(63)
            rows = {
                "key": columns["url_key"],
                "later": later,
                "high": columns["high"],
                "low": columns["low"],
            }
            rows = _chosen(rows, columns["url_key"] != 0)
            outbox.send(rows, job.partition_of(rows["key"], "documents"))


def find_same_urls(job: Job, task: Task) -> None:
    received = job.by_partition("send-urls", "documents")
    first = least("key", ("later", "high", "low"), received.receive_numbers(task.payload))
    with job.by_group("urls").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            kept = _chosen(first.rows, first.index(chunk["key"]))
            _send_dropped(job, outbox, chunk, kept)


def send_contents(job: Job, task: Task) -> None:
    """Every document with text to the partition of the text's hash."""
    exchange = job.by_partition("send-exact", "documents")
    before = Dropped(job, task.payload, _steps_before("exact", job.dedup))
    with exchange.outbox(task.name) as outbox:
        for columns in _columns(job, task.payload, ["content_key", "content_key_2"], before):
            rows = {
                "key": columns["content_key"],
                "key_2": columns["content_key_2"],
                "high": columns["high"],
                "low": columns["low"],
            }
            rows = _chosen(rows, (rows["key"] != 0) | (rows["key_2"] != 0))
            outbox.send(rows, job.partition_of(rows["key"], "documents"))


def find_same_contents(job: Job, task: Task) -> None:
    received = job.by_partition("send-exact", "documents")
    first = least("key", ("key_2", "high", "low"), received.receive_numbers(task.payload))
    with job.by_group("exact").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            kept = _chosen(first.rows, first.index(chunk["key"]))
            same = chunk["key_2"] == kept["key_2"]
            _send_dropped(job, outbox, _chosen(chunk, same), _chosen(kept, same))


def _send_dropped(job: Job, outbox: Outbox, documents: Columns, kept: Columns) -> None:
    """Tell the groups of documents that are not the ones kept; earlier runs lose nothing."""
    lost = locator(documents["low"]) != locator(kept["low"])
    lost &= is_of_this_run(documents["high"])
    pairs = _chosen(_pairs(documents, kept), lost)
    outbox.send(pairs, job.group_of(pairs["low"]))


def _steps_before(step: str, dedup: Dedup) -> list[str]:
    switched_on = {"urls": dedup.urls, "exact": dedup.exact, "clusters": dedup.near}
    return [s for s in _STEPS[: _STEPS.index(step)] if switched_on[s]]


# --- near-duplicates: candidates -----------------------------------------------------------------


def send_bands(job: Job, task: Task) -> None:
    """A row per band of every document with words to the partition of the band's key."""
    exchange = job.by_partition("send-bands", "bands")
    before = Dropped(job, task.payload, _steps_before("clusters", job.dedup))
    hasher = hasher_of(job.dedup)
    with exchange.outbox(task.name) as outbox:
        for part in job.groups[task.payload]:
            format_key = np.uint64(part.format_key())
            for columns, signatures in _signatures(job, part):
                rows = np.flatnonzero(columns["has_words"] & ~before.holds(columns["low"]))
                keys = hasher.band_keys(signatures[rows]) ^ format_key
                bands = {
                    "key": keys.ravel(),
                    "high": columns["high"][rows].repeat(job.dedup.bands),
                    "low": columns["low"][rows].repeat(job.dedup.bands),
                }
                outbox.send(bands, job.partition_of(bands["key"], "bands"))


def _signatures(job: Job, part: SignaturePart) -> Iterator[tuple[dict[str, Any], Signatures]]:
    """The signatures of a part, some thousand at a time."""
    start = 0
    columns = ["high", "low", "has_words", "signature"]
    with part.run.open(f"signatures/{part.name}.parquet") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_COMPARED_AT_ONCE, columns=columns):
            numbers = {n: batch[n].to_numpy(zero_copy_only=False) for n in columns[:3]}
            high, low = place(numbers["high"], numbers["low"], part.number, part.of_this_run, start)
            start += batch.num_rows
            yield {**numbers, "high": high, "low": low}, _as_matrix(batch["signature"], job.dedup)


def _as_matrix(column: pa.Array, dedup: Dedup) -> Signatures:
    size = dedup.bands * dedup.rows
    buffer = column.buffers()[1]
    numbers = np.frombuffer(
        buffer, "<u4", count=len(column) * size, offset=column.offset * size * 4
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
            small.append(_chosen(chunk, (counts > 1) & (counts < ALL_PAIRS_BELOW)))
            large = counts >= ALL_PAIRS_BELOW
            _send_candidates(job, outbox, _chosen(first.rows, index[large]), _chosen(chunk, large))
        if small:
            bucketed = {n: np.concatenate([s[n] for s in small]) for n in small[0]}
            order = np.lexsort((bucketed["low"], bucketed["high"], bucketed["key"]))
            bucketed = _chosen(bucketed, order)
            for distance in range(1, ALL_PAIRS_BELOW - 1):
                same = np.flatnonzero(
                    bucketed["key"][distance:] == bucketed["key"][: -distance or None]
                )
                _send_candidates(
                    job, outbox, _chosen(bucketed, same), _chosen(bucketed, same + distance)
                )


def _send_candidates(job: Job, outbox: Outbox, preferred: Columns, others: Columns) -> None:
    pairs = _pairs(preferred, others)
    wanted = locator(pairs["low"]) != locator(pairs["other_low"])
    wanted &= is_of_this_run(pairs["other_high"])
    pairs = distinct_pairs(_chosen(pairs, wanted))
    outbox.send(pairs, job.group_of(pairs["low"]))


def compare_within_group(job: Job, task: Task) -> None:
    """Compare the candidates that lie in one group; send the others on with a signature."""
    within = _GroupSignatures(job, task.payload)
    edges = job.by_partition("edges-00", "edges").outbox(f"near-{task.name}")
    with edges, job.by_group("compare").outbox(task.name) as compare:
        for chunk in job.by_group("bands").receive_numbers(task.payload):
            for pairs in _slices(distinct_pairs(chunk)):
                groups = job.group_of(pairs["other_low"])
                signatures = within.of(pairs["low"])
                here = groups == task.payload
                others = within.of(pairs["other_low"][here])
                enough = _similar(signatures[here], others, job.dedup)
                _send_edges(job, edges, _chosen(_chosen(pairs, here), enough))
                far = _chosen({**pairs, "signature": signatures}, ~here)
                compare.send(far, groups[~here])


def compare_across_groups(job: Job, task: Task) -> None:
    """Compare candidates whose preferred document lies in another group."""
    with job.by_partition("edges-00", "edges").outbox(task.name) as edges:
        if not job.by_group("compare").rows():
            return
        within = _GroupSignatures(job, task.payload)
        for chunk in job.by_group("compare").receive_numbers(task.payload):
            for rows in _slices(chunk):
                others = within.of(rows["other_low"])
                enough = _similar(rows.pop("signature"), others, job.dedup)
                _send_edges(job, edges, _chosen(rows, enough))


def _slices(rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for start in range(0, rows["low"].size, _COMPARED_AT_ONCE):
        yield {name: column[start : start + _COMPARED_AT_ONCE] for name, column in rows.items()}


class _GroupSignatures:
    """All signatures of a group."""

    def __init__(self, job: Job, group: int) -> None:
        parts = job.groups[group]
        documents = sum(part.documents for part in parts)
        self._all = np.empty((documents, job.dedup.bands * job.dedup.rows), np.uint32)
        self._numbers = np.array([part.number for part in parts])
        self._starts = np.cumsum([0, *(part.documents for part in parts)])
        start = 0
        for part in parts:
            for _, signatures in _signatures(job, part):
                self._all[start : start + len(signatures)] = signatures
                start += len(signatures)

    def of(self, low: Hashes) -> Signatures:
        parts = np.searchsorted(self._numbers, part_of(low))
        return self._all[self._starts[parts] + row_of(low)]


def _similar(one: Signatures, other: Signatures, dedup: Dedup) -> npt.NDArray[np.bool_]:
    if dedup.min_similarity is None:
        return np.ones(len(one), np.bool_)
    return similarity(one, other) >= dedup.min_similarity


def _send_edges(job: Job, outbox: Outbox, pairs: Columns) -> None:
    """Each edge to the partitions of both its ends."""
    for rows in (pairs, _reversed(pairs)):
        outbox.send(rows, job.partition_of(locator(rows["low"]), "edges"))


# --- near-duplicates: clusters -------------------------------------------------------------------


def _stars(job: Job, step: str, partition: int) -> tuple[Least, Iterator[Columns]]:
    """The least neighbour of every document of a partition, and the edges once more."""
    received = job.by_partition(step, "edges")

    def chunks() -> Iterator[Columns]:
        for chunk in received.receive_numbers(partition):
            pairs = distinct_pairs(chunk)
            yield {**pairs, "node": locator(pairs["low"])}

    return least("node", ("other_high", "other_low"), chunks()), chunks()


def make_large_stars(job: Job, task: Task) -> None:
    """Join every larger neighbour to the least of the neighbourhood, itself included.

    Notes how many edges came in and the sum of their hashes: equal to the round before, nothing
    changes any more.
    """
    partition, number = task.payload
    least_of, chunks = _stars(job, f"edges-{number:02d}", partition)
    downward: list[Columns] = []
    with job.by_partition(f"large-{number:02d}", "edges").outbox(task.name) as outbox:
        for chunk in chunks:
            to_larger = comes_first(
                chunk["high"], chunk["low"], chunk["other_high"], chunk["other_low"]
            )
            downward.append(_chosen(chunk, ~to_larger))
            upward = _chosen(chunk, to_larger)
            best = _chosen(least_of.rows, least_of.index(upward["node"]))
            itself = comes_first(
                upward["high"], upward["low"], best["other_high"], best["other_low"]
            )
            rows = {
                "high": upward["other_high"],
                "low": upward["other_low"],
                "other_high": np.where(itself, upward["high"], best["other_high"]),
                "other_low": np.where(itself, upward["low"], best["other_low"]),
            }
            outbox.send(rows, job.partition_of(locator(rows["low"]), "edges"))
        outbox.facts.update(_digest(downward))


def _digest(downward: list[Columns]) -> dict[str, int]:
    if not downward:
        return {"edges": 0, "hash": 0}
    edges = distinct_pairs({n: np.concatenate([d[n] for d in downward]) for n in _PAIR})
    hashes = mix(mix(locator(edges["low"])) + locator(edges["other_low"]))
    return {"edges": int(hashes.size), "hash": int(hashes.sum(dtype=np.uint64))}


def make_small_stars(job: Job, task: Task) -> None:
    """Join every document and its smaller neighbours to the least of them."""
    partition, number = task.payload
    least_of, chunks = _stars(job, f"large-{number:02d}", partition)
    with job.by_partition(f"edges-{number + 1:02d}", "edges").outbox(task.name) as outbox:
        for chunk in chunks:
            best = _chosen(least_of.rows, least_of.index(chunk["node"]))
            others = {"high": chunk["other_high"], "low": chunk["other_low"]}
            kept = {"high": best["other_high"], "low": best["other_low"]}
            joined = _pairs(others, kept)
            joined = _chosen(joined, locator(others["low"]) != locator(kept["low"]))
            _send_edges(job, outbox, distinct_pairs(joined))
            _send_edges(job, outbox, distinct_pairs(_pairs(chunk, kept)))


def send_clusters(job: Job, task: Task) -> None:
    """Every document but the least of its cluster to its group, with the least."""
    partition, number = task.payload
    received = job.by_partition(f"edges-{number:02d}", "edges")
    found: list[Columns] = []
    for chunk in received.receive_numbers(partition):
        smaller = comes_first(chunk["other_high"], chunk["other_low"], chunk["high"], chunk["low"])
        found.append(distinct_pairs(_chosen(chunk, smaller & is_of_this_run(chunk["high"]))))
    with job.by_group("clusters").outbox(task.name) as outbox:
        if found:
            pairs = distinct_pairs({n: np.concatenate([f[n] for f in found]) for n in _PAIR})
            outbox.send(pairs, job.group_of(pairs["low"]))


# --- verdicts ------------------------------------------------------------------------------------


def _all_steps(dedup: Dedup) -> list[str]:
    return [*_steps_before("clusters", dedup), *(["clusters"] if dedup.near else [])]


def send_targets(job: Job, task: Task) -> None:
    """Every dropped document to the group of the one that it is dropped for."""
    dropped = Dropped(job, task.payload, _all_steps(job.dedup)).pairs
    with job.by_group("targets-00").outbox(task.name) as outbox:
        outbox.send(dropped, job.group_of(dropped["other_low"]))


def follow_targets(job: Job, task: Task) -> None:
    """Where a document is dropped for one that is dropped itself: for which is that one?"""
    group, hop = task.payload
    dropped = Dropped(job, group, _all_steps(job.dedup))
    with (
        job.by_group("resolved").outbox(f"{hop:02d}-{task.name}") as resolved,
        job.by_group(f"targets-{hop + 1:02d}").outbox(task.name) as forwarded,
    ):
        for chunk in job.by_group(f"targets-{hop:02d}").receive_numbers(group):
            gone = dropped.holds(chunk["other_low"])
            here = _chosen(chunk, ~gone)
            resolved.send(here, np.full(here["low"].size, group))
            further = _chosen(chunk, gone)
            index = dropped.index(further["other_low"])
            further["other_high"] = dropped.pairs["other_high"][index]
            further["other_low"] = dropped.pairs["other_low"][index]
            forwarded.send(further, job.group_of(further["other_low"]))


def answer_targets(job: Job, task: Task) -> None:
    """Id and URL of the kept documents, to the groups of the dropped ones."""
    names = [(part.number, part) for part in job.groups[task.payload]]
    sizes: Counter[int] = Counter()
    with job.by_group("answers").outbox(task.name) as outbox:
        requests = job.by_group("resolved").receive_all(task.payload)
        if requests is None:
            outbox.facts.update(sizes={}, largest=[])
            return
        parts, rows = part_of(requests["other_low"]), row_of(requests["other_low"])
        largest: list[tuple[int, str, str]] = []
        for number, part in names:
            asked = np.flatnonzero(parts == number)
            if not asked.size:
                continue
            table = part.read(["id", "url"]).take(pa.array(rows[asked]))
            ids, urls = (table[n].combine_chunks() for n in ("id", "url"))
            answers = {
                "low": pa.array(requests["low"][asked]),
                "rule": pa.array(requests["rule"][asked]),
                "kept_id": ids,
                "kept_url": urls,
                "of_this_run": pa.array(np.full(asked.size, part.of_this_run)),
            }
            outbox.send(answers, job.group_of(requests["low"][asked]))
            kept, firsts, counts = np.unique(rows[asked], return_index=True, return_counts=True)
            sizes.update((counts + 1).tolist())
            top = np.lexsort((kept, -counts))[:_LARGEST_CLUSTERS]
            largest += [
                (int(counts[i]) + 1, ids[int(firsts[i])].as_py(), urls[int(firsts[i])].as_py())
                for i in top
            ]
        outbox.facts.update(
            sizes={str(size): count for size, count in sorted(sizes.items())},
            largest=sorted(largest, key=lambda c: (-c[0], c[1]))[:_LARGEST_CLUSTERS],
        )


def _write_clusters(job: Job, rounds: int, candidates: int) -> None:
    facts = job.by_group("answers").facts()
    sizes: Counter[int] = Counter()
    for fact in facts:
        sizes.update({int(size): count for size, count in fact["sizes"].items()})
    largest = sorted((tuple(c) for f in facts for c in f["largest"]), key=lambda c: (-c[0], c[1]))
    job.run.write_json(
        {
            "rounds": rounds,
            "candidate_pairs": candidates,
            "sizes": {str(size): count for size, count in sorted(sizes.items())},
            "largest": [
                {"documents": n, "kept_id": kept_id, "kept_url": url}
                for n, kept_id, url in largest[:_LARGEST_CLUSTERS]
            ],
        },
        CLUSTERS_PATH,
    )


def make_verdicts(plan: RunPlan, part: PartWriter, task: VerdictTask) -> None:
    """Write which documents of one part are dropped, and count them and their images."""
    name, source = task.part.name, task.part.source
    dropped = _dropped_of(part.run, task)
    rows = part.rows(f"verdicts/{STAGE}/{name}.parquet", VERDICT_SCHEMA)
    shown = images_of(part.run, name)
    with part.run.open(f"documents/{name}.parquet") as stream:
        start = 0
        for batch in pq.ParquetFile(stream).iter_batches(columns=["id", "url"]):
            identity = zip(batch["id"].to_pylist(), batch["url"].to_pylist(), strict=True)
            for row, (document_id, url) in enumerate(identity, start):
                images = shown.get(row, [])
                part.came_in(source, "document")
                part.came_in(source, "node", len(images))
                found = dropped.get(row)
                if found is None:
                    part.went_out(source, "document")
                    part.went_out(source, "node", len(images))
                    continue
                rows.write({"row": row, "id": document_id, "url": url, **found})
                drop_document(part, source, document_id, url, images, _drop(found))
            start += batch.num_rows


def _drop(found: dict[str, Any]) -> Drop:
    return Drop(found["rule"], found["kept_url"] or found["kept_id"], match=found["kept_id"])


def _dropped_of(run: RunDirectory, task: VerdictTask) -> dict[int, dict[str, Any]]:
    """The dropped documents of a part by row, with the columns of `VERDICT_SCHEMA`."""
    found: dict[int, dict[str, Any]] = {}
    if task.group is None:
        return found
    for batch in Exchange(run, f"{STAGE}/answers", task.groups).receive(task.group):
        low = batch["low"].to_numpy()
        mine = np.flatnonzero(part_of(low) == task.part.number)
        answers = batch.take(pa.array(mine)).drop_columns(["low"]).to_pylist()
        for row, answer in zip(row_of(low[mine]).tolist(), answers, strict=True):
            found[row] = {**answer, "rule": _RULES[answer["rule"]]}
    return found


def drop_document(
    part: PartWriter, source: str, document_id: str, url: str, images: list[str], verdict: Drop
) -> None:
    """Count a dropped document with the images that go with it, and write their ledger rows."""
    part.drop(source, "document", document_id, url, verdict)
    for address in images:
        gone = Drop("node.document_dropped", verdict.rule)
        part.drop(source, "node", document_id, address, gone)


def images_of(run: RunDirectory, name: str) -> dict[int, list[str]]:
    """Image URLs of each document of a part, by row, as often as the document shows them."""
    with run.open(f"references/shown/{name}.parquet") as stream:
        table = pq.read_table(stream, columns=["row", "url"])
    found: dict[int, list[str]] = {}
    for row, url in zip(table["row"].to_pylist(), table["url"].to_pylist(), strict=True):
        found.setdefault(row, []).append(url)
    return found
