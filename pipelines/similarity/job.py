"""What every step of de-duplication works on: groups of parts, partitions, dropped documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curate.dedup.likeness import Likeness
from curate.dedup.nodes import MAX_PARTS, Columns, locator, place
from curate.dedup.words import Hashes
from curate.pipelines.exchange import Exchange, Task
from curate.pipelines.groups import make_groups, partition_tasks, task_name
from curate.runs.run_directory import RunDirectory
from curate.schemas.errors import UsageError
from curate.schemas.identity import content_key, mix

STEPS = ("urls", "exact", "clusters")
"""The steps that find duplicates, in order: a job does some of them."""
PAIR = ("high", "low", "other_high", "other_low")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePart:
    """One signatures file, of this run or an earlier one, or a range of its rows."""

    number: int
    run: RunDirectory
    path: str
    of_this_run: bool
    documents: int
    first_row: int = 0

    @property
    def first_locator(self) -> int:
        return self.number << 24 | self.first_row

    def batches(self, columns: list[str], size: int = 1 << 15) -> Iterator[tuple[int, pa.Table]]:
        """The rows of the range, some thousand at a time, each with the number of its first."""
        with self.run.open(self.path) as stream:
            held = pq.ParquetFile(stream)
            counts = [held.metadata.row_group(g).num_rows for g in range(held.num_row_groups)]
            starts = np.cumsum([0, *counts])
            end = self.first_row + self.documents
            first = int(np.searchsorted(starts, self.first_row, side="right")) - 1
            last = int(np.searchsorted(starts, end, side="left"))
            row = int(starts[first])
            for batch in held.iter_batches(
                size, row_groups=list(range(first, last)), columns=columns
            ):
                skipped = max(self.first_row - row, 0)
                wanted = batch.slice(skipped, max(min(batch.num_rows, end - row) - skipped, 0))
                if wanted.num_rows:
                    yield row + skipped, wanted
                row += batch.num_rows

    def read(self, columns: list[str]) -> pa.Table:
        return pa.Table.from_batches([batch for _, batch in self.batches(columns)])

    def format_key(self) -> int:
        with self.run.open(self.path) as stream:
            found = pq.read_schema(stream).metadata[b"format"]
        return int.from_bytes(content_key("format", found)[:8], "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How work is cut; the outcome does not depend on it."""

    group_documents: int = 50_000
    """Documents that are worked on together: neighbouring parts, or a range of a large one."""
    partition_rows: int = 300_000
    """Rows that a partition should have."""
    group_rows: int = 3_000_000
    """Rows of two numbers that a group of parts may be sent."""


SIZES = Sizes()


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every task of every step is given."""

    run: RunDirectory
    stage: str
    steps: tuple[str, ...]
    """Of `STEPS` those to do."""
    likeness: Likeness
    groups: tuple[tuple[SignaturePart, ...], ...]
    partitions: Mapping[str, int]
    """Number of partitions, by what is partitioned: `documents`, `bands` or `edges`."""

    def by_group(self, step: str) -> Exchange:
        """The exchange of a step that sends to groups."""
        return Exchange(self.run, f"{self.stage}/{step}", len(self.groups))

    def by_partition(self, step: str, of: str) -> Exchange:
        return Exchange(self.run, f"{self.stage}/{step}", self.partitions[of])

    def steps_before(self, step: str) -> list[str]:
        return [s for s in STEPS[: STEPS.index(step)] if s in self.steps]

    def group_of(self, low: Hashes) -> npt.NDArray[np.int64]:
        """Number of the group that holds each document."""
        return np.searchsorted(self._group_firsts, locator(low), side="right") - 1

    @cached_property
    def _group_firsts(self) -> Hashes:
        return np.array([group[0].first_locator for group in self.groups], np.uint64)

    def partition_of(self, keys: Hashes, of: str) -> npt.NDArray[np.int64]:
        return (mix(keys) % np.uint64(self.partitions[of])).astype(np.int64)

    def group_tasks(self) -> list[Task]:
        return [
            Task(name=task_name(index), cost=sum(p.documents for p in group), payload=index)
            for index, group in enumerate(self.groups)
        ]

    def partition_tasks(self, of: str) -> list[Task]:
        return partition_tasks(self.partitions[of])


def group_parts(
    parts: Iterable[SignaturePart], sizes: Sizes
) -> tuple[tuple[SignaturePart, ...], ...]:
    """Neighbouring parts, or ranges of large ones, in groups that a task can hold.

    Raises:
        UsageError: there are more parts than can be numbered.
    """
    ranges: list[SignaturePart] = []
    for part in parts:
        if part.number >= MAX_PARTS:
            raise UsageError(f"de-duplication takes at most {MAX_PARTS:,} parts")
        for first_row in range(0, part.documents, sizes.group_documents):
            count = min(sizes.group_documents, part.documents - first_row)
            ranges.append(replace(part, first_row=first_row, documents=count))
    groups = make_groups((part.documents for part in ranges), sizes.group_documents)
    return tuple(
        tuple(ranges[number] for number in groups.members(group)) for group in range(len(groups))
    )


def signature_part(run: RunDirectory, path: str, number: int, of_this_run: bool) -> SignaturePart:
    with run.open(path) as stream:
        documents = pq.read_metadata(stream).num_rows
    return SignaturePart(
        number=number, run=run, path=path, of_this_run=of_this_run, documents=documents
    )


def columns_of(job: Job, group: int, names: list[str], without: Dropped) -> Iterator[Columns]:
    """The columns of a group's parts, placed, without the documents already dropped."""
    for part in job.groups[group]:
        table = part.read(["high", "low", *names])
        columns = {name: table[name].to_numpy() for name in names}
        high, low = table["high"].to_numpy(), table["low"].to_numpy()
        columns["high"], columns["low"] = place(
            high, low, part.number, part.of_this_run, part.first_row
        )
        kept = ~without.holds(columns["low"])
        yield {name: column[kept] for name, column in columns.items()}


class Dropped:
    """Documents of one group that are dropped, and for which others."""

    def __init__(self, job: Job, group: int, steps: Iterable[str]) -> None:
        found: list[Columns] = []
        for step in steps:
            chunk = job.by_group(step).receive_all(group)
            if chunk is not None:
                rule = np.full(chunk["low"].size, STEPS.index(step), np.uint64)
                found.append({**chunk, "rule": rule})
        names = (*PAIR, "rule")
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


def turned(pairs: Columns) -> Columns:
    return {
        "high": pairs["other_high"],
        "low": pairs["other_low"],
        "other_high": pairs["high"],
        "other_low": pairs["low"],
    }


def chosen(columns: Mapping[str, Any], rows: npt.NDArray[Any]) -> dict[str, Any]:
    return {name: column[rows] for name, column in columns.items()}


def pair_up(columns: Columns, others: Columns) -> Columns:
    return {
        "high": columns["high"],
        "low": columns["low"],
        "other_high": others["high"],
        "other_low": others["low"],
    }
