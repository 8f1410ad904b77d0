"""Who works on what: groups of neighbouring parts, ranges of keys, and the way back to each part.

    step ──by part──▶ group of parts ──by part──▶ each part of the group

A group or range is as large as a task can hold in memory, and there are as many as that takes:
steps send to groups, whose number follows the rows of a run, and never to its parts. A group's task
reads what came for it once and lays it out by part, so that a part opens one file of its group's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.dedup.nodes import part_of
from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import Exchange, Task, do_tasks
from curate.pipelines.steps import PartTask
from curate.runs.plan import InputPart
from curate.runs.run_directory import RunDirectory

ROWS_PER_TASK = 200_000
PARTS_PER_TASK = 1_000
"""However few rows they have: each part costs its files."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Neighbouring numbers (of parts or of buckets) in groups; a group is one task's."""

    firsts: tuple[int, ...]
    """First number of each group."""
    end: int
    costs: tuple[int, ...]
    """Rows of each group."""

    def __len__(self) -> int:
        return len(self.firsts)

    def of(self, number: int) -> int:
        """The group that holds a number."""
        return bisect_right(self.firsts, number) - 1

    def of_each(self, numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The groups that hold some numbers."""
        return np.searchsorted(np.array(self.firsts), numbers, side="right") - 1

    def members(self, group: int) -> range:
        last = self.firsts[group + 1] if group + 1 < len(self.firsts) else self.end
        return range(self.firsts[group], last)

    def tasks(self) -> list[Task]:
        return [
            Task(name=task_name(group), cost=cost + 1, payload=group)
            for group, cost in enumerate(self.costs)
        ]


@dataclass(frozen=True, slots=True)
class GroupedPart:
    """A part to make of what was delivered to its group."""

    part: InputPart
    group: int


def tasks_of_grouped(parts: Iterable[InputPart], groups: Groups) -> list[PartTask]:
    """A task for each part, which learns of its group."""
    return [
        PartTask(name=p.name, cost=p.size + 1, payload=GroupedPart(p, groups.of(p.number)))
        for p in parts
    ]


def senders(parts: Iterable[InputPart]) -> list[Task]:
    """A task for each part that sends what it holds; named by number, as exchanges sort them."""
    return [Task(name=sender_name(p), cost=p.size + 1, payload=p) for p in parts]


def sender_name(part: InputPart) -> str:
    return f"{part.number:06d}"


def task_name(group: int) -> str:
    return f"{group:05d}"


def make_groups(
    rows: Iterable[int], room: int = ROWS_PER_TASK, most: int = PARTS_PER_TASK
) -> Groups:
    """Groups of as many neighbours as have `room` rows between them, of one at least.

    Args:
        rows: how many each of the numbers 0, 1, ... has.
        room: rows that a task may hold.
        most: numbers of a group.
    """
    firsts: list[int] = []
    costs: list[int] = []
    end = 0
    for end, count in enumerate(rows, 1):
        if not firsts or costs[-1] + count > room or end - 1 - firsts[-1] >= most:
            firsts.append(end - 1)
            costs.append(0)
        costs[-1] += count
    return Groups(tuple(firsts), end, tuple(costs))


@dataclass(frozen=True, slots=True)
class KeyRanges:
    """Equal ranges of the 16-byte keys of images; keys are hashes, so ranges fill evenly."""

    count: int

    def of(self, key: bytes) -> int:
        return int.from_bytes(key[:8], "big") * self.count >> 64

    def tasks(self) -> list[Task]:
        return partition_tasks(self.count)


def make_ranges(rows: int, room: int = ROWS_PER_TASK) -> KeyRanges:
    """As many ranges as `rows` rows need."""
    return KeyRanges(partition_count(rows, room))


def partition_count(rows: int, room: int) -> int:
    """Partitions of at most about `room` rows each."""
    return max(1, -(-rows // room))


def partition_tasks(count: int) -> list[Task]:
    return [Task(name=task_name(p), cost=1.0, payload=p) for p in range(count)]


def deliver(engine: Engine, sent: Exchange, tasks: Iterable[Task]) -> None:
    """Lay out by part what was sent to groups; a group's task has its number as its payload.

    Rows name their part in a column `low`, as `dedup.nodes` has it.
    """
    laid_out = _by_part(sent.run, sent.step)
    do_tasks(engine, laid_out, tasks, sent, _lay_out)
    engine.exchanged_bytes += sum(facts["bytes"] for facts in laid_out.facts())


def _by_part(run: RunDirectory, step: str) -> Exchange:
    """Read by the names of tasks, and so without an index of receivers."""
    return Exchange(run, f"{step}-by-part", 0)


def _lay_out(sent: Exchange, task: Task) -> None:
    with _by_part(sent.run, sent.step).outbox(task.name) as outbox:
        held = list(sent.receive(task.payload))
        if held:
            rows = pa.concat_batches(held)
            columns = dict(zip(rows.schema.names, rows.columns, strict=True))
            outbox.send(columns, part_of(rows["low"].to_numpy()))


def delivered(
    run: RunDirectory, step: str, groups: Iterable[int], part: int
) -> Iterator[pa.RecordBatch]:
    """The rows that a step sent to one part, from the groups that hold it."""
    for group in groups:
        yield from _by_part(run, step).receive_from(task_name(group), part)
