"""Stage `image-plan`: every distinct image URL once, assigned to the part that will resolve it.

    wanted    (key, url)            ┐
    available (key, file, offset)   ├─group by key─▶ (bucket, resolution) ─group by bucket─▶ part
    inline    (key, file)           ┘

A URL whose bytes lie in an input archive is resolved from there, in the bucket of that archive; any
other by HTTP, in the bucket of its host, so that one host is asked from one place only. Through
the shuffles go 16-byte keys with URLs and locators, never content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine import Engine, WorkList
from pipelines.part import PartWriter, marker_path
from pipelines.plan import InputPart, RunPlan
from pipelines.purged import DECONTAMINATION
from pipelines.run_directory import RunDirectory
from schemas.identity import content_key

STAGE = "image-plan"

WANTED, ARCHIVED, INLINE = 0, 1, 2
HTTP = 3

PLAN_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("url", pa.string()),
        ("origin", pa.int32()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("documents", pa.int64()),
    ]
)


class Reference(NamedTuple):
    """One mention of an image key: that it is wanted, or that its bytes lie somewhere."""

    kind: int
    part: int
    offset: int
    length: int
    documents: int
    url: str


class Resolution(NamedTuple):
    """Where one distinct image comes from."""

    key: bytes
    url: str
    origin: int
    offset: int
    length: int
    documents: int


Assigned = tuple[int, Resolution | None]
"""A bucket and what it resolves; None so that a bucket with nothing to do has its part too."""


_IMAGES_PER_BUCKET, _IMAGES_PER_SMALL_BUCKET = 2_000, 250
_SHARED_BUCKETS = 16
_BUCKETS_PATH = "references/buckets.json"


def bucket_count(run: RunDirectory, plan: RunPlan) -> int:
    """Parts of the image stages: one per input part, then those for images by HTTP.

    Of these there is one for some thousand images that documents want, one per input at least, and
    in a small run enough to share among workers.
    """
    if not run.exists(_BUCKETS_PATH):
        facts = (run.read_json(marker_path(DECONTAMINATION, p.name)) for p in plan.parts)
        wanted = sum(fact["images_wanted"] for fact in facts)
        shared = min(_SHARED_BUCKETS, -(-wanted // _IMAGES_PER_SMALL_BUCKET))
        by_http = max(len(plan.parts), -(-wanted // _IMAGES_PER_BUCKET), shared)
        run.write_json({"buckets": len(plan.parts) + by_http}, _BUCKETS_PATH)
    return int(run.read_json(_BUCKETS_PATH)["buckets"])


def bucket_name(bucket: int) -> str:
    return f"part-{bucket:05d}"


def run_image_plan(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    """Write one plan part per bucket: first a bucket per input part, then those for HTTP."""
    parts = list(plan.parts)
    buckets = range(bucket_count(run, plan))
    if all(run.exists(marker_path(STAGE, bucket_name(b))) for b in buckets):
        return
    lists = engine.share(parts, lambda p: p.size)

    def build(pipeline: beam.Pipeline) -> None:
        seeds: list[Assigned] = [(b, None) for b in buckets]
        assigned = (
            pipeline
            | "Parts" >> beam.Create(lists)
            | "Read references"
            >> beam.ParDo(ReadReferences(run)).with_output_types(tuple[bytes, Reference])
            | "By image" >> beam.GroupByKey()
            | "Assign" >> beam.FlatMap(assign, len(parts), len(buckets)).with_output_types(Assigned)
        )
        every_bucket = pipeline | "Buckets" >> beam.Create(seeds).with_output_types(Assigned)
        (
            (assigned, every_bucket)
            | beam.Flatten()
            | "By bucket" >> beam.GroupByKey()
            | "Write plan" >> beam.ParDo(WritePlan(run))
        )

    engine.run(build)


class ReadReferences(beam.DoFn):
    """(key, Reference) of every mention in the given parts."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def process(self, parts: WorkList[InputPart]) -> Iterator[tuple[bytes, Reference]]:
        for part in parts:
            for row in self._rows("wanted", part, ["key", "url", "documents"]):
                yield row["key"], Reference(WANTED, part.number, 0, 0, row["documents"], row["url"])
            for row in self._rows("available", part, ["key", "offset", "length"]):
                yield (
                    row["key"],
                    Reference(ARCHIVED, part.number, row["offset"], row["length"], 0, ""),
                )
            for row in self._rows("inline", part, ["key"]):
                yield row["key"], Reference(INLINE, part.number, 0, 0, 0, "")

    def _rows(self, kind: str, part: InputPart, columns: list[str]) -> Iterator[dict[str, object]]:
        with self._run.open(f"references/{kind}/{part.name}.parquet") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=columns):
                yield from batch.to_pylist()


def assign(
    group: tuple[bytes, Iterable[Reference]], parts: int, buckets: int
) -> Iterator[Assigned]:
    """The bucket and resolution of one key, or nothing for an image that no document wants."""
    key, references = group
    ordered = sorted(references)
    wanted = [r for r in ordered if r.kind == WANTED]
    if not wanted:
        return
    url = wanted[0].url
    documents = sum(r.documents for r in wanted)
    held = next((r for r in ordered if r.kind != WANTED), None)
    if held is not None:
        yield held.part, Resolution(key, url, held.kind, held.offset, held.length, documents)
        return
    host = urlsplit(url).netloc.lower()
    bucket = parts + int.from_bytes(content_key(host)[:8], "little") % (buckets - parts)
    yield bucket, Resolution(key, url, HTTP, 0, 0, documents)


class WritePlan(beam.DoFn):
    """One plan part, in the order in which it will be resolved."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def process(self, group: tuple[int, Iterable[Resolution | None]]) -> Iterator[int]:
        bucket, resolutions = group
        name = bucket_name(bucket)
        chosen = sorted(
            (r for r in resolutions if r is not None), key=lambda r: (r.origin, r.offset, r.key)
        )
        with PartWriter(self._run, STAGE, name) as part:
            rows = part.rows(f"references/plan/{name}.parquet", PLAN_SCHEMA)
            for resolution in chosen:
                rows.write(resolution._asdict())
            part.facts["images"] = len(chosen)
        yield bucket
