"""Stage `image-plan`: every distinct image URL once, assigned to the part that will resolve it.

    wanted    (key, url)            ┐          ┌─ in an archive ────────────┐
    available (key, file, offset)   ├─by key─▶ ┤                            ├─by bucket─▶ part
    inline    (key, file)           ┘          └─ by HTTP ─by host─▶ bucket ┘

A URL whose bytes lie in an input archive is resolved from there, in the bucket of that archive; any
other by HTTP, in the bucket of its host, so that one host is asked from one place. A host with more
images than a bucket should hold has several, for a few hosts serve most of the web's images.
Through the exchanges go 16-byte keys with URLs and locators, never content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import Task, do_tasks, run_step
from curate.pipelines.groups import make_groups, make_ranges
from curate.pipelines.images.key_ranges import ImageJob
from curate.runs.buckets import bucket_count, bucket_name
from curate.runs.part import PartWriter, done_parts, marker_path, read_markers
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION, DOCUMENTS
from curate.runs.stage_names import IMAGE_PLAN as STAGE
from curate.schemas.identity import content_key

WANTED, ARCHIVED, INLINE = 0, 1, 2
HTTP = 3

PLAN_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("url", pa.string()),
        ("origin", pa.int32()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("inside", pa.int64()),
        ("documents", pa.int64()),
    ]
)


class Reference(NamedTuple):
    """One mention of an image key: that it is wanted, or that its bytes lie somewhere."""

    kind: int
    part: int
    offset: int
    length: int
    inside: int
    documents: int
    url: str


class Resolution(NamedTuple):
    """Where one distinct image comes from."""

    key: bytes
    url: str
    origin: int
    offset: int
    length: int
    inside: int
    documents: int


_REFERENCE_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("kind", pa.int8()),
        ("part", pa.int32()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("inside", pa.int64()),
        ("documents", pa.int64()),
        ("url", pa.string()),
    ]
)
_RESOLUTION_SCHEMA = PLAN_SCHEMA.insert(0, pa.field("bucket", pa.int32()))


_IMAGES_PER_HOST = 10_000
"""Of one host in one bucket: a host with more is asked from several places."""


def run_image_plan(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    """Write one plan part per bucket: first a bucket per input part, then those for HTTP."""
    buckets = bucket_count(run, plan)
    if done_parts(run, STAGE).issuperset(bucket_name(b) for b in range(buckets)):
        return
    names = [p.name for p in plan.parts]
    made, cleaned = read_markers(run, DOCUMENTS, names), read_markers(run, DECONTAMINATION, names)
    mentions = [made[name]["available"] + cleaned[name]["images_wanted"] for name in names]
    wanted = sum(cleaned[name]["images_wanted"] for name in names)
    job = ImageJob(
        run=run,
        stage=STAGE,
        parts=plan.parts,
        part_groups=make_groups(mentions),
        ranges=make_ranges(sum(mentions)),
        bucket_groups=make_groups([-(-wanted // buckets)] * buckets),
    )
    run_step(engine, job.by_range("references"), job.part_groups.tasks(), job, send_references)
    run_step(engine, job.by_range("hosts"), job.ranges.tasks(), job, resolve_range)
    of_hosts = [replace(t, name=f"host-{t.name}") for t in job.ranges.tasks()]
    run_step(engine, job.by_bucket("resolutions"), of_hosts, job, spread_hosts)
    do_tasks(engine, job.done("written"), job.bucket_groups.tasks(), job, write_plans)
    run.remove(f"exchange/{STAGE}")


def send_references(job: ImageJob, task: Task) -> None:
    """Send every mention in a group of parts to the range of its key."""
    with job.by_range("references").outbox(task.name) as outbox:
        for number in job.part_groups.members(task.payload):
            mentions = read_references(job.run, job.parts[number])
            outbox.send_rows(
                ((job.ranges.of(key), (key, *mention)) for key, mention in mentions),
                _REFERENCE_SCHEMA,
            )


def read_references(run: RunDirectory, part: InputPart) -> Iterator[tuple[bytes, Reference]]:
    """(key, Reference) of every mention in a part."""

    def rows(kind: str, columns: list[str]) -> Iterator[dict[str, Any]]:
        with run.open(f"references/{kind}/{part.name}.parquet") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=columns):
                yield from batch.to_pylist()

    for row in rows("wanted", ["key", "url", "documents"]):
        yield row["key"], Reference(WANTED, part.number, 0, 0, 0, row["documents"], row["url"])
    for row in rows("available", ["key", "offset", "length", "inside"]):
        place = (row["offset"], row["length"], row["inside"])
        yield row["key"], Reference(ARCHIVED, part.number, *place, 0, "")
    for row in rows("inline", ["key"]):
        yield row["key"], Reference(INLINE, part.number, 0, 0, 0, 0, "")


def resolve_range(job: ImageJob, task: Task) -> None:
    """Group the mentions of a range of keys; wanted images go to their archive or their host."""
    mentions: dict[bytes, list[Reference]] = {}
    for key, *reference in job.by_range("references").receive_rows(task.payload):
        mentions.setdefault(key, []).append(Reference(*reference))
    archived: list[tuple[int, tuple[Any, ...]]] = []
    fetched: list[tuple[int, tuple[Any, ...]]] = []
    for group in sorted(mentions.items()):
        found = resolve(group)
        if found is None:
            continue
        part, image = found
        if part is not None:
            archived.append((job.bucket_groups.of(part), (part, *image)))
        else:
            fetched.append((job.ranges.of(host_key(image.url)), image))
    with (
        job.by_range("hosts").outbox(task.name) as hosts,
        job.by_bucket("resolutions").outbox(task.name) as buckets,
    ):
        buckets.send_rows(archived, _RESOLUTION_SCHEMA)
        hosts.send_rows(fetched, PLAN_SCHEMA)


def resolve(group: tuple[bytes, Iterable[Reference]]) -> tuple[int | None, Resolution] | None:
    """Where an image comes from, with the part that holds it, if one does.

    None for an image that no document wants.
    """
    key, references = group
    ordered = sorted(references)
    wanted = [r for r in ordered if r.kind == WANTED]
    if not wanted:
        return None
    url = wanted[0].url
    documents = sum(r.documents for r in wanted)
    held = next((r for r in ordered if r.kind != WANTED), None)
    if held is not None:
        place = (held.offset, held.length, held.inside)
        return held.part, Resolution(key, url, held.kind, *place, documents)
    return None, Resolution(key, url, HTTP, 0, 0, 0, documents)


def host_key(url: str) -> bytes:
    """16 bytes of the host that a URL names, in which place it is asked is decided by."""
    return content_key(urlsplit(url).netloc.lower())


def spread_hosts(job: ImageJob, task: Task) -> None:
    """Give the images of a range of hosts their buckets; two readings, neither held whole."""
    counts = Counter(host_key(row[1]) for row in job.by_range("hosts").receive_rows(task.payload))
    parts, buckets = len(job.parts), job.bucket_groups.end
    with job.by_bucket("resolutions").outbox(task.name) as outbox:
        outbox.send_rows(
            (
                (job.bucket_groups.of(bucket), (bucket, *row))
                for row in job.by_range("hosts").receive_rows(task.payload)
                for host in [host_key(row[1])]
                for bucket in [parts + bucket_of(host, row[0], counts[host], buckets - parts)]
            ),
            _RESOLUTION_SCHEMA,
        )


def bucket_of(host: bytes, key: bytes, images: int, buckets: int) -> int:
    """The bucket of one image of a host, of the `buckets` for images by HTTP."""
    slices = -(-images // _IMAGES_PER_HOST)
    piece = int.from_bytes(key[8:], "little") % slices
    return (int.from_bytes(host[:8], "little") + piece) % buckets


def write_plans(job: ImageJob, task: Task) -> None:
    """Write the plan parts of a group of buckets, each in the order in which it is resolved.

    Those that were written before a kill stay.
    """
    chosen: dict[int, list[Resolution]] = {}
    for bucket, *sent in job.by_bucket("resolutions").receive_rows(task.payload):
        chosen.setdefault(bucket, []).append(Resolution._make(sent))
    with job.done("written").outbox(task.name):
        for bucket in job.bucket_groups.members(task.payload):
            name = bucket_name(bucket)
            if job.run.exists(marker_path(STAGE, name)):
                continue
            resolved = sorted(
                chosen.get(bucket, ()), key=lambda r: (r.origin, r.offset, r.inside, r.key)
            )
            with PartWriter(job.run, STAGE, name) as part:
                rows = part.rows(f"references/plan/{name}.parquet", PLAN_SCHEMA)
                for resolution in resolved:
                    rows.write(resolution._asdict())
                part.facts["images"] = len(resolved)
