"""How rows about images find their tasks: from groups of parts to ranges of keys and back.

group of parts ──by key──▶ range of keys ──by part or bucket──▶ group of parts or buckets
"""

from __future__ import annotations

from dataclasses import dataclass

from curate.pipelines.exchange import Exchange
from curate.pipelines.groups import Groups, KeyRanges
from curate.runs.plan import InputPart
from curate.runs.run_directory import RunDirectory


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
