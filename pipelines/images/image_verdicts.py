"""Stage `image-verdicts`: bring what became of each image back to the documents that show it.

wanted (key, part) ┐
                   ├─by key─▶ (part, verdict) ─by part─▶ verdicts/images/SOURCE/part-N
index (key, fate)  ┘

A fate names the picture that an image shows: the key of the image that stands for all its copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import Task, do_tasks, run_step
from curate.pipelines.groups import make_groups, make_ranges
from curate.pipelines.images.key_ranges import ImageJob
from curate.runs.buckets import bucket_count, bucket_name
from curate.runs.part import PartWriter, done_parts, marker_path, read_markers
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION, IMAGE_DUPLICATES, IMAGE_PLAN
from curate.runs.stage_names import IMAGE_VERDICTS as STAGE

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

    def to_row(self) -> tuple[Any, ...]:
        """As it is sent: most images stand for themselves, and need not say so."""
        return (*self[:-1], None if self.picture == self.key else self.picture)

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Fate:
        key, *place, picture = row
        return cls._make((key, *place, picture or key))


_WANTED_SCHEMA = pa.schema([("key", pa.binary(16)), ("part", pa.int32())])
_SENT_SCHEMA = VERDICT_SCHEMA.insert(0, pa.field("part", pa.int32()))


def run_image_verdicts(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    """Write one verdict part per documents part."""
    names = [p.name for p in plan.parts]
    if done_parts(run, STAGE).issuperset(names):
        return
    cleaned = read_markers(run, DECONTAMINATION, names)
    buckets = [bucket_name(b) for b in range(bucket_count(run, plan))]
    planned = read_markers(run, IMAGE_PLAN, buckets)
    wanted = [cleaned[name]["images_wanted"] for name in names]
    images = [planned[name]["images"] for name in buckets]
    job = ImageJob(
        run=run,
        stage=STAGE,
        parts=plan.parts,
        part_groups=make_groups(wanted),
        ranges=make_ranges(sum(wanted) + sum(images)),
        bucket_groups=make_groups(images),
    )
    run_step(engine, job.by_range("wanted"), job.part_groups.tasks(), job, send_wanted)
    run_step(engine, job.by_range("fates"), job.bucket_groups.tasks(), job, send_fates)
    run_step(engine, job.by_part("answers"), job.ranges.tasks(), job, join_range)
    do_tasks(engine, job.done("written"), job.part_groups.tasks(), job, write_verdicts)
    run.remove(f"exchange/{STAGE}")


def send_wanted(job: ImageJob, task: Task) -> None:
    """Send (key, part number) of every image that a group of parts shows to the key's range."""
    with job.by_range("wanted").outbox(task.name) as outbox:
        for number in job.part_groups.members(task.payload):
            path = f"references/wanted/{job.parts[number].name}.parquet"
            with job.run.open(path) as stream:
                keys = pq.read_table(stream, columns=["key"])["key"].to_pylist()
            outbox.send_rows(((job.ranges.of(k), (k, number)) for k in keys), _WANTED_SCHEMA)


def send_fates(job: ImageJob, task: Task) -> None:
    """Send the fate of every image of a group of buckets to the range of its key."""
    with job.by_range("fates").outbox(task.name) as outbox:
        for bucket in job.bucket_groups.members(task.payload):
            fates = read_fates(job.run, bucket)
            outbox.send_rows(((job.ranges.of(f.key), f.to_row()) for f in fates), VERDICT_SCHEMA)


def read_fates(run: RunDirectory, bucket: int) -> Iterator[Fate]:
    """The fate of every image of a bucket."""
    with run.open(f"images/{bucket_name(bucket)}.parquet") as stream:
        rows = pq.read_table(stream, columns=_FATE_COLUMNS).to_pylist()
    copies = _copies(run, bucket)
    for row in rows:
        key = row["key"]
        copy = copies.get(key, {"rule": None, "kept_id": key.hex()})
        rule = row["rule"] or copy["rule"] or ""
        picture = key if rule else bytes.fromhex(copy["kept_id"])
        numbers = (row[n] or 0 for n in ("tar", "offset", "size", "width", "height"))
        yield Fate._make((key, rule, *numbers, picture))


def _copies(run: RunDirectory, bucket: int) -> dict[bytes, dict[str, Any]]:
    path = f"verdicts/{IMAGE_DUPLICATES}/{bucket_name(bucket)}.parquet"
    if not run.exists(path):
        return {}
    with run.open(path) as stream:
        return {row["key"]: row for row in pq.read_table(stream).to_pylist()}


def join_range(job: ImageJob, task: Task) -> None:
    """Bring the fates of a range of keys to the parts that want them."""
    mentions: dict[bytes, list[int | Fate]] = {}
    for key, number in job.by_range("wanted").receive_rows(task.payload):
        mentions.setdefault(key, []).append(number)
    for row in job.by_range("fates").receive_rows(task.payload):
        mentions.setdefault(row[0], []).append(Fate.from_row(row))
    with job.by_part("answers").outbox(task.name) as outbox:
        outbox.send_rows(
            (
                (job.part_groups.of(number), (number, *fate.to_row()))
                for group in sorted(mentions.items(), key=lambda item: item[0])
                for number, fate in send_back(group)
            ),
            _SENT_SCHEMA,
        )


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


def write_verdicts(job: ImageJob, task: Task) -> None:
    """Write the verdict parts of a group of parts, each sorted by key."""
    fates: dict[int, list[Fate]] = {}
    for number, *sent in job.by_part("answers").receive_rows(task.payload):
        fates.setdefault(number, []).append(Fate.from_row(sent))
    with job.done("written").outbox(task.name):
        for number in job.part_groups.members(task.payload):
            name = job.parts[number].name
            if job.run.exists(marker_path(STAGE, name)):
                continue  # It was written before a kill.
            with PartWriter(job.run, STAGE, name) as part:
                rows = part.rows(f"verdicts/images/{name}.parquet", VERDICT_SCHEMA)
                for fate in sorted(fates.get(number, ())):
                    rows.write({**fate._asdict(), "rule": fate.rule or None})
