"""Stage `image-verdicts`: bring what became of each image back to the documents that show it.

wanted (key, part) ┐
                   ├─group by key─▶ (part, verdict) ─group by part─▶ verdicts/images/SOURCE/part-N
index (key, fate)  ┘

A fate names the picture that an image shows: the key of the image that stands for all its copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine import Engine, WorkList
from pipelines.image_duplicates import STAGE as IMAGE_DUPLICATES
from pipelines.image_plan import bucket_count, bucket_name
from pipelines.part import PartWriter, marker_path
from pipelines.plan import InputPart, RunPlan
from pipelines.run_directory import RunDirectory

STAGE = "image-verdicts"

VERDICT_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("rule", pa.string()),
        ("tar", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("picture", pa.binary(16)),
    ]
)
_FATE_COLUMNS = ["key", "rule", "tar", "offset", "size", "width", "height"]


class Fate(NamedTuple):
    """What became of one distinct image: the rule that dropped it, or where it is stored."""

    key: bytes
    rule: str
    """Empty for a stored image."""
    tar: int
    offset: int
    size: int
    width: int
    height: int
    picture: bytes
    """Key of the image that stands for what this one shows."""


Mention = tuple[bytes, int | Fate]
"""An image key, with the number of a part that wants it or with its fate."""
Sent = tuple[int, Fate | None]
"""A part and the fate of one of its images; None so that a part without images has a file too."""


def run_image_verdicts(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    """Write one verdict part per documents part."""
    parts = list(plan.parts)
    if all(run.exists(marker_path(STAGE, p.name)) for p in parts):
        return
    buckets = bucket_count(run, plan)

    def build(pipeline: beam.Pipeline) -> None:
        wanted = (
            pipeline
            | "Parts" >> beam.Create(engine.share(parts, lambda p: p.size))
            | "Read wanted" >> beam.ParDo(ReadWanted(run)).with_output_types(Mention)
        )
        fates = (
            pipeline
            | "Image parts" >> beam.Create(engine.share(range(buckets), lambda _: 1.0))
            | "Read fates" >> beam.ParDo(ReadFates(run)).with_output_types(Mention)
        )
        joined = (
            (wanted, fates)
            | "Both" >> beam.Flatten()
            | "By image" >> beam.GroupByKey()
            | "Send back" >> beam.FlatMap(send_back).with_output_types(Sent)
        )
        seeds: list[Sent] = [(p.number, None) for p in parts]
        every_part = pipeline | "Every part" >> beam.Create(seeds).with_output_types(Sent)
        (
            (joined, every_part)
            | "All verdicts" >> beam.Flatten()
            | "By part" >> beam.GroupByKey()
            | "Write verdicts" >> beam.ParDo(WriteVerdicts(run, parts))
        )

    engine.run(build)


class ReadWanted(beam.DoFn):
    """(key, part number) of every image that a part's documents show."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def process(self, parts: WorkList[InputPart]) -> Iterator[tuple[bytes, int]]:
        for part in parts:
            with self._run.open(f"references/wanted/{part.name}.parquet") as stream:
                for key in pq.read_table(stream, columns=["key"])["key"].to_pylist():
                    yield key, part.number


class ReadFates(beam.DoFn):
    """(key, Fate) of every image in the given image parts."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def process(self, buckets: WorkList[int]) -> Iterator[tuple[bytes, Fate]]:
        for bucket in buckets:
            with self._run.open(f"images/{bucket_name(bucket)}.parquet") as stream:
                rows = pq.read_table(stream, columns=_FATE_COLUMNS).to_pylist()
            copies = self._copies(bucket)
            for row in rows:
                key = row["key"]
                copy = copies.get(key, {"rule": None, "kept_id": key.hex()})
                rule = row["rule"] or copy["rule"] or ""
                picture = key if rule else bytes.fromhex(copy["kept_id"])
                numbers = (row[n] or 0 for n in ("tar", "offset", "size", "width", "height"))
                yield key, Fate(key, rule, *numbers, picture)

    def _copies(self, bucket: int) -> dict[bytes, dict[str, Any]]:
        path = f"verdicts/{IMAGE_DUPLICATES}/{bucket_name(bucket)}.parquet"
        if not self._run.exists(path):
            return {}
        with self._run.open(path) as stream:
            return {row["key"]: row for row in pq.read_table(stream).to_pylist()}


def send_back(group: tuple[bytes, Iterable[int | Fate]]) -> Iterator[tuple[int, Fate]]:
    """The image's fate, once for every part that wants it.

    Raises:
        ValueError: an image has no fate or several: a stage before this one lost or doubled it.
    """
    key, values = group
    held = list(values)
    fates = [v for v in held if isinstance(v, Fate)]
    if len(fates) != 1:
        raise ValueError(f"image {key.hex()} has {len(fates)} entries in images/, must have 1")
    for number in (v for v in held if not isinstance(v, Fate)):
        yield number, fates[0]


class WriteVerdicts(beam.DoFn):
    """One verdict part, sorted by key."""

    def __init__(self, run: RunDirectory, parts: list[InputPart]) -> None:
        self._run = run
        self._names = {p.number: p.name for p in parts}

    def process(self, group: tuple[int, Iterable[Fate | None]]) -> Iterator[int]:
        number, fates = group
        name = self._names[number]
        with PartWriter(self._run, STAGE, name) as part:
            rows = part.rows(f"verdicts/images/{name}.parquet", VERDICT_SCHEMA)
            for fate in sorted(f for f in fates if f is not None):
                rows.write({**fate._asdict(), "rule": fate.rule or None})
        yield number
