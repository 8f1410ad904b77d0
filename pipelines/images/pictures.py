"""Stage `pictures`: documents that show the same pictures, and pictures that too many show.

    documents ──send──▶ pictures of each ──count──▶ furniture ─┐
                                                               ▼
                       sets of pictures (and captions) ◀──send─┘
                              │
                              └─least─▶ documents kept for others ─ask─▶ their ids
    verdicts/pictures/SOURCE/part-N.parquet ◀──deliver── groups of parts ◀─────┘

Only images that passed every rule on images count, and documents of a format among themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curate.dedup.nodes import (
    capture_number,
    least,
    locator,
    part_of,
    place_rows,
    preference,
    row_of,
)
from curate.dedup.words import Hashes
from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import CHUNK_ROWS, Exchange, Outbox, Task, numbers_of, run_step
from curate.pipelines.groups import (
    GroupedPart,
    Groups,
    deliver,
    delivered,
    make_groups,
    partition_count,
    partition_tasks,
    senders,
    tasks_of_grouped,
)
from curate.pipelines.similarity.job import SIZES, Sizes, chosen
from curate.pipelines.steps import run_parts
from curate.runs.cleaned_documents import purged_documents
from curate.runs.image_verdicts import read_image_fates
from curate.runs.part import PartWriter, done_parts, read_markers
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION
from curate.runs.stage_names import PICTURES as STAGE
from curate.schemas.document import Document
from curate.schemas.identity import content_key, mix
from curate.schemas.settings.image_settings import Pictures
from curate.schemas.settings.recipe import Recipe

VERDICT_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("furniture", pa.list_(pa.binary(16))),
        ("kept_id", pa.string()),
        ("kept_url", pa.string()),
    ]
)
"""A row per document that shows furniture, or what another document shows; `row` counts the rows of
its documents file; `kept_id` is null where the document itself is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    run: RunDirectory
    recipe: Recipe
    rules: Pictures
    parts: tuple[InputPart, ...]
    """All parts of the run."""
    partitions: int
    groups: Groups
    """Of all parts."""

    def by_partition(self, step: str) -> Exchange:
        return Exchange(self.run, f"{STAGE}/{step}", self.partitions)

    def by_group(self, step: str) -> Exchange:
        return Exchange(self.run, f"{STAGE}/{step}", len(self.groups))

    def group_of(self, low: Hashes) -> npt.NDArray[np.int64]:
        """The group that holds the part of each document."""
        return self.groups.of_each(part_of(low))


def pictured_parts(plan: RunPlan) -> list[InputPart]:
    """The parts whose documents have pictures; none where the recipe does not ask for the stage."""
    if plan.recipe.images.duplicates is None:
        return []
    return [p for p in plan.parts if plan.recipe.sources[p.source].has_images]


def run_pictures(engine: Engine, run: RunDirectory, plan: RunPlan, sizes: Sizes = SIZES) -> None:
    """Make the stage."""
    rules = plan.recipe.images.duplicates
    parts = pictured_parts(plan)
    if rules is None or done_parts(run, STAGE).issuperset(p.name for p in parts):
        return
    markers = read_markers(run, DECONTAMINATION, [p.name for p in parts])
    wanted = {name: int(marker["images_wanted"]) for name, marker in markers.items()}
    job = _Job(
        run=run,
        recipe=plan.recipe,
        rules=rules,
        parts=plan.parts,
        partitions=partition_count(sum(wanted.values()), sizes.partition_rows),
        groups=make_groups((wanted.get(p.name, 0) for p in plan.parts), sizes.partition_rows),
    )
    of_parts = senders(parts)
    of_partitions = partition_tasks(job.partitions)
    if rules.max_documents is not None:
        run_step(engine, job.by_partition("shown"), of_parts, job, send_pictures)
        run_step(engine, job.by_group("furniture"), of_partitions, job, find_furniture)
        deliver(engine, job.by_group("furniture"), job.groups.tasks())
    run_step(engine, job.by_partition("sets"), of_parts, job, send_sets)
    run_step(engine, job.by_group("same"), of_partitions, job, find_same_sets)
    run_step(engine, job.by_group("asked"), job.groups.tasks(), job, ask_for_kept)
    run_step(engine, job.by_group("answers"), job.groups.tasks(), job, answer_for_kept)
    deliver(engine, job.by_group("answers"), job.groups.tasks())
    run_parts(engine, run, plan, STAGE, tasks_of_grouped(parts, job.groups), make_verdicts)
    run.remove(f"exchange/{STAGE}")


def _documents(
    run: RunDirectory, part: InputPart
) -> Iterator[tuple[int, Document, dict[bytes, None]]]:
    """The documents of a part, each with its row and its different pictures in order."""
    fates = read_image_fates(run, part.name)
    for row, document in purged_documents(run, part.name):
        pictures = (
            fates.of(image.url)["picture"]
            for number, image in enumerate(document.images)
            if fates.drop(row, number, image.url) is None
        )
        yield row, document, dict.fromkeys(pictures)


class _Rows:
    """Rows gathered until there are enough to send."""

    def __init__(self, outbox: Outbox, partitions: int, part: int) -> None:
        self._outbox = outbox
        self._partitions = partitions
        self._part = part
        self._columns: dict[str, list[int]] = {}
        self._places: list[tuple[int, int, int]] = []

    def add(self, row: int, number: tuple[int, int], **columns: int) -> None:
        self._places.append((row, *number))
        for name, value in columns.items():
            self._columns.setdefault(name, []).append(value)
        if len(self._places) >= CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._places:
            return
        rows, high, low = (np.array(c, np.uint64) for c in zip(*self._places, strict=True))
        high, low = place_rows(high, low, self._part, True, rows)
        columns = {name: np.array(values, np.uint64) for name, values in self._columns.items()}
        to = (mix(columns["key"]) % np.uint64(self._partitions)).astype(np.int64)
        self._outbox.send({**columns, "high": high, "low": low}, to)
        self._places.clear()
        self._columns.clear()


def send_pictures(job: _Job, task: Task) -> None:
    """Every different picture of every document to the partition of its key."""
    part: InputPart = task.payload
    row_format = job.recipe.sources[part.source].format
    with job.by_partition("shown").outbox(task.name) as outbox:
        rows = _Rows(outbox, job.partitions, part.number)
        for row, _, pictures in _documents(job.run, part):
            for key in pictures:
                rows.add(row, (0, 0), key=_number(key, row_format))
        rows.flush()


def find_furniture(job: _Job, task: Task) -> None:
    """Pictures that too many documents show, to the groups of parts of these."""
    most = job.rules.max_documents
    assert most is not None
    received = job.by_partition("shown")
    first = least("key", ("high", "low"), received.receive_numbers(task.payload))
    with job.by_group("furniture").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            lost = first.counts[first.index(chunk["key"])] > most
            rows = chosen({"low": chunk["low"], "key": chunk["key"]}, lost)
            outbox.send(rows, job.group_of(rows["low"]))


def _furniture_of(
    run: RunDirectory, rules: Pictures, group: int, part: InputPart
) -> dict[int, set[int]]:
    """The pictures, as `_number` has them, that a part's documents lose, by row."""
    found: dict[int, set[int]] = {}
    if rules.max_documents is None:
        return found
    for chunk in map(numbers_of, delivered(run, f"{STAGE}/furniture", [group], part.number)):
        rows = row_of(chunk["low"])
        for row, key in zip(rows.tolist(), chunk["key"].tolist(), strict=True):
            found.setdefault(row, set()).add(key)
    return found


def send_sets(job: _Job, task: Task) -> None:
    """Every document with pictures to the partition of what it shows."""
    part: InputPart = task.payload
    row_format = job.recipe.sources[part.source].format
    furniture = _furniture_of(job.run, job.rules, job.groups.of(part.number), part)
    with job.by_partition("sets").outbox(task.name) as outbox:
        rows = _Rows(outbox, job.partitions, part.number)
        for row, document, pictures in _documents(job.run, part):
            lost = furniture.get(row, set())
            kept = sorted(key for key in pictures if _number(key, row_format) not in lost)
            told = _what_it_shows(job.rules, row_format, kept, document)
            if told is None:
                continue
            keyed = content_key(str(job.recipe.seed), "pictures", document.id)
            number = preference(0.0, len(document.text), int.from_bytes(keyed[:8], "little"))
            rows.add(
                row,
                number,
                key=int.from_bytes(told[:8], "little"),
                key_2=int.from_bytes(told[8:], "little"),
                later=(1 << 63) - 1 - capture_number(document.date),
            )
        rows.flush()


def _what_it_shows(
    rules: Pictures, row_format: str, pictures: list[bytes], document: Document
) -> bytes | None:
    """A hash that is equal for documents of which one is kept; None for one that stays."""
    if not pictures:
        return None
    if row_format != "pairs":
        return content_key("pictures", *pictures) if rules.same_pictures else None
    if rules.pairs is None:
        return None
    caption = document.text.casefold() if rules.pairs == "caption" else ""
    return content_key("pair", *pictures, caption)


def find_same_sets(job: _Job, task: Task) -> None:
    """Documents that show what another shows, with the other, to their groups of parts.

    The latest capture is kept, then the longest text, then the lowest keyed hash.
    """
    received = job.by_partition("sets")
    order = ("key_2", "later", "high", "low")
    first = least("key", order, received.receive_numbers(task.payload))
    with job.by_group("same").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            kept = chosen(first.rows, first.index(chunk["key"]))
            lost = (chunk["key_2"] == kept["key_2"]) & (
                locator(chunk["low"]) != locator(kept["low"])
            )
            rows = {"low": locator(chunk["low"][lost]), "kept": locator(kept["low"][lost])}
            outbox.send(rows, job.group_of(rows["low"]))


def ask_for_kept(job: _Job, task: Task) -> None:
    """Each document that goes to the group of the one that is kept."""
    with job.by_group("asked").outbox(task.name) as outbox:
        for chunk in job.by_group("same").receive_numbers(task.payload):
            outbox.send(chunk, job.group_of(chunk["kept"]))


def answer_for_kept(job: _Job, task: Task) -> None:
    """Id and address of each kept document to the group of the one that goes."""
    with job.by_group("answers").outbox(task.name) as outbox:
        for chunk in job.by_group("asked").receive_numbers(task.payload):
            parts = part_of(chunk["kept"])
            for number in np.unique(parts).tolist():
                asked = chosen(chunk, parts == number)
                with job.run.open(f"documents/{job.parts[number].name}.parquet") as stream:
                    table = pq.read_table(stream, columns=["id", "url"])
                kept = table.take(pa.array(row_of(asked["kept"])))
                columns = {
                    "low": asked["low"],
                    "kept_id": kept["id"].combine_chunks(),
                    "kept_url": kept["url"].combine_chunks(),
                }
                outbox.send(columns, job.group_of(asked["low"]))


def make_verdicts(plan: RunPlan, part: PartWriter, asked: GroupedPart) -> None:
    """Write which pictures and which documents of one part go."""
    rules, task = plan.recipe.images.duplicates, asked.part
    assert rules is not None
    row_format = plan.recipe.sources[task.source].format
    furniture = _furniture_of(part.run, rules, asked.group, task)
    kept: dict[int, dict[str, Any]] = {}
    for batch in delivered(part.run, f"{STAGE}/answers", [asked.group], task.number):
        rows = row_of(batch["low"].to_numpy()).tolist()
        kept.update(zip(rows, batch.to_pylist(), strict=True))
    verdicts = part.rows(f"verdicts/{STAGE}/{task.name}.parquet", VERDICT_SCHEMA)
    for row, _, pictures in _documents(part.run, task):
        lost = furniture.get(row, set())
        if lost or row in kept:
            verdicts.write(
                {
                    "row": row,
                    "furniture": [k for k in pictures if _number(k, row_format) in lost],
                    "kept_id": kept[row]["kept_id"] if row in kept else None,
                    "kept_url": kept[row]["kept_url"] if row in kept else None,
                }
            )


def _number(picture: bytes, row_format: str) -> int:
    """A picture as documents of one format show it: those of others don't count with them."""
    return int.from_bytes(content_key(row_format, picture)[:8], "little")
