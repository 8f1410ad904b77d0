"""How rows about images find their tasks: from groups of parts to ranges of keys and back.

    group of parts ──by key──▶ range of keys ──by part or bucket──▶ group of parts or buckets

A group or range is as large as a task can hold in memory, and there are as many as that takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.exchange import Exchange, Task
from pipelines.plan import InputPart
from pipelines.run_directory import RunDirectory

ROWS_PER_TASK = 200_000


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

    def members(self, group: int) -> range:
        last = self.firsts[group + 1] if group + 1 < len(self.firsts) else self.end
        return range(self.firsts[group], last)

    def tasks(self) -> list[Task]:
        return [
            Task(name=f"{group:05d}", cost=cost + 1, payload=group)
            for group, cost in enumerate(self.costs)
        ]


def make_groups(rows: Iterable[int], room: int = ROWS_PER_TASK) -> Groups:
    """Groups of as many neighbours as have `room` rows between them, of one at least.

    Args:
        rows: how many each of the numbers 0, 1, ... has.
        room: rows that a task may hold.
    """
    firsts: list[int] = []
    costs: list[int] = []
    end = 0
    for end, count in enumerate(rows, 1):
        if not firsts or costs[-1] + count > room:
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
        return [Task(name=f"{r:05d}", cost=1.0, payload=r) for r in range(self.count)]


def make_ranges(rows: int, room: int = ROWS_PER_TASK) -> KeyRanges:
    """As many ranges as `rows` rows need."""
    return KeyRanges(max(1, -(-rows // room)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageJob:
    """What every step of a stage on images works on."""

    run: RunDirectory
    stage: str
    parts: tuple[InputPart, ...]
    part_groups: Groups
    ranges: KeyRanges
    bucket_groups: Groups

    def by_range(self, step: str) -> Exchange:
        """Rows sent to the ranges of keys."""
        return Exchange(self.run, f"{self.stage}/{step}", self.ranges.count)

    def by_bucket(self, step: str) -> Exchange:
        """Rows sent to the groups of buckets."""
        return Exchange(self.run, f"{self.stage}/{step}", len(self.bucket_groups))

    def by_part(self, step: str) -> Exchange:
        """Rows sent to the groups of parts."""
        return Exchange(self.run, f"{self.stage}/{step}", len(self.part_groups))

    def done(self, step: str) -> Exchange:
        """Nothing is sent: tells which tasks of a step are done."""
        return Exchange(self.run, f"{self.stage}/{step}", 1)
