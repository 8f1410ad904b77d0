"""Stage `repeats`: texts that repeat too often: lines within a domain, captions of pairs.

    documents ──send──▶ hashes of lines by domain, of captions ──count──▶ rows of repeated ones
                                                                                  │
    verdicts/repeats/SOURCE/part-N.parquet ◀──deliver── groups of parts ◀─────────┘

The documents are those that de-duplication left: of a page captured twice, no line is repeated.
Hashes have 64 bits: among ten billion different lines about three pairs share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from curate.dedup.nodes import least, locator, part_of, place, row_of
from curate.dedup.words import Hashes
from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import CHUNK_ROWS, Exchange, Task, all_numbers, run_step
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
from curate.pipelines.similarity.duplicates import drop_document, images_of
from curate.pipelines.similarity.job import SIZES, Sizes, chosen
from curate.pipelines.steps import run_parts
from curate.runs.cleaned_documents import CUT_SCHEMA, deduplicated_documents
from curate.runs.part import PartWriter, done_parts, read_markers
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DOCUMENTS
from curate.runs.stage_names import REPEATS as STAGE
from curate.schemas.document import Document
from curate.schemas.identity import content_key, mix
from curate.schemas.settings.purging import RepeatedLines
from curate.schemas.settings.recipe import Recipe
from curate.schemas.text.text_lines import units, without_units
from curate.schemas.verdict import Drop

NOTHING_LEFT = "dedup.nothing_left"
_REPEATED = f"{STAGE}/repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    run: RunDirectory
    recipe: Recipe
    partitions: int
    groups: Groups
    """Of all parts of the run."""
    limits: npt.NDArray[np.int64]
    """By number of a part, how many documents must share a text before it goes; 0 where nobody
    asks."""
    keeps_one: npt.NDArray[np.bool_]
    """By number of a part, whether one document keeps a text that others lose."""

    def sent(self) -> Exchange:
        return Exchange(self.run, f"{STAGE}/sent", self.partitions)

    def repeated(self) -> Exchange:
        return Exchange(self.run, _REPEATED, len(self.groups))


def _limit(recipe: Recipe, part: InputPart) -> int | None:
    """How many documents must share a text of this part; None where the recipe doesn't ask."""
    if recipe.sources[part.source].format == "pairs":
        most = recipe.filters.pair.max_caption_repeats
        return None if most is None else most + 1
    rules = _rules_of(recipe)
    return None if rules is None else rules.min_documents


def _keeps_one(recipe: Recipe, part: InputPart) -> bool:
    rules = _rules_of(recipe)
    is_pair = recipe.sources[part.source].format == "pairs"
    return rules is not None and rules.keep == "one" and not is_pair


def _rules_of(recipe: Recipe) -> RepeatedLines | None:
    return None if recipe.dedup is None else recipe.dedup.repeated


def counted_parts(plan: RunPlan) -> list[InputPart]:
    """The parts that the stage looks at: none where the recipe doesn't ask for it."""
    return [p for p in plan.parts if _limit(plan.recipe, p) is not None]


def run_repeats(engine: Engine, run: RunDirectory, plan: RunPlan, sizes: Sizes = SIZES) -> None:
    """Make the stage."""
    parts = counted_parts(plan)
    if done_parts(run, STAGE).issuperset(p.name for p in parts):
        return
    markers = read_markers(run, DOCUMENTS, [p.name for p in parts])
    lines = {name: int(marker["lines"]) for name, marker in markers.items()}
    job = _Job(
        run=run,
        recipe=plan.recipe,
        partitions=partition_count(sum(lines.values()), sizes.partition_rows),
        groups=make_groups((lines.get(p.name, 0) for p in plan.parts), sizes.group_rows),
        limits=np.array([_limit(plan.recipe, p) or 0 for p in plan.parts]),
        keeps_one=np.array([_keeps_one(plan.recipe, p) for p in plan.parts]),
    )
    run_step(engine, job.sent(), senders(parts), job, send_texts)
    run_step(engine, job.repeated(), partition_tasks(job.partitions), job, find_repeated)
    deliver(engine, job.repeated(), job.groups.tasks())
    run_parts(engine, run, plan, STAGE, tasks_of_grouped(parts, job.groups), make_cuts)
    run.remove(f"exchange/{STAGE}")


def send_texts(job: _Job, task: Task) -> None:
    """Every different text of every document of a part to the partition of its hash."""
    part: InputPart = task.payload
    high, low = _numbers_of(job, part)
    with job.sent().outbox(task.name) as outbox:
        for rows, keys in _sent_at_once(job, part):
            columns = {"key": keys, "high": high[rows], "low": low[rows]}
            outbox.send(columns, (mix(keys) % np.uint64(job.partitions)).astype(np.int64))


def _numbers_of(job: _Job, part: InputPart) -> tuple[Hashes, Hashes]:
    """`dedup.nodes.place` of a part's documents: their preference where one may be kept."""
    if job.recipe.sources[part.source].format == "pairs":
        with job.run.open(f"documents/{part.name}.parquet") as stream:
            nothing = np.zeros(pq.read_metadata(stream).num_rows, np.uint64)
        return place(nothing, nothing, part.number, True)
    with job.run.open(f"signatures/{part.name}.parquet") as stream:
        signed = pq.read_table(stream, columns=["high", "low"])
    return place(signed["high"].to_numpy(), signed["low"].to_numpy(), part.number, True)


def _sent_at_once(job: _Job, part: InputPart) -> Iterator[tuple[npt.NDArray[np.int64], Hashes]]:
    """Rows and hashes of the different texts of a part's documents, many at a time."""
    rows: list[npt.NDArray[np.int64]] = []
    keys: list[Hashes] = []
    waiting = 0
    for row, document in deduplicated_documents(job.run, part.name):
        keys.append(np.unique(text_keys(document, job.recipe)))
        rows.append(np.full(keys[-1].size, row))
        waiting += keys[-1].size
        if waiting >= CHUNK_ROWS:
            yield np.concatenate(rows), np.concatenate(keys)
            rows.clear()
            keys.clear()
            waiting = 0
    if waiting:
        yield np.concatenate(rows), np.concatenate(keys)


def text_keys(document: Document, recipe: Recipe) -> Hashes:
    """64-bit hashes of what is counted.

    Of a pair its caption; of another document each line or paragraph with the domain, in order,
    or nothing where it has no URL.
    """
    if recipe.sources[document.source].format == "pairs":
        hashes = content_key("caption", document.text.casefold())[:8]
        return np.frombuffer(hashes, "<u8")
    rules = _rules_of(recipe)
    assert rules is not None
    domain = (urlsplit(document.url).hostname or "").removeprefix("www.")
    if not domain:
        return np.empty(0, np.uint64)
    texts = units(document, rules.unit)
    hashes = b"".join(content_key("repeated", domain, text)[:8] for text in texts)
    return np.frombuffer(hashes, "<u8")


def find_repeated(job: _Job, task: Task) -> None:
    """Texts that enough documents hold, to the parts of those that lose them."""
    received = job.sent()
    first = least("key", ("high", "low"), received.receive_numbers(task.payload))
    with job.repeated().outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            index = first.index(chunk["key"])
            part = part_of(chunk["low"])
            is_first = locator(chunk["low"]) == locator(first.rows["low"][index])
            lost = (first.counts[index] >= job.limits[part]) & ~(is_first & job.keeps_one[part])
            rows = chosen({"low": chunk["low"], "key": chunk["key"]}, lost)
            outbox.send(rows, job.groups.of_each(part[lost]))


def make_cuts(plan: RunPlan, part: PartWriter, cut: GroupedPart) -> None:
    """Write which documents of one part lose lines, or go."""
    recipe, task = plan.recipe, cut.part
    cuts = part.rows(f"verdicts/{STAGE}/{task.name}.parquet", CUT_SCHEMA)
    lost = _lost_of(part.run, cut)
    shown = images_of(part.run, task.name)
    for row, document in deduplicated_documents(part.run, task.name):
        images = shown.get(row, [])
        part.came_in(task.source, "document")
        part.came_in(task.source, "node", len(images))
        keys = lost.get(row)
        if keys is not None:
            gone = np.flatnonzero(np.isin(text_keys(document, recipe), keys)).tolist()
            verdict = _verdict(document, gone, recipe)
            unit = "" if (rules := _rules_of(recipe)) is None else rules.unit
            is_dropped = verdict is not None
            cuts.write({"row": row, "dropped": is_dropped, "unit": unit, "gone": gone})
            if verdict is not None:
                drop_document(part, task.source, document.id, document.url, images, verdict)
                continue
            assert rules is not None
            texts = units(document, rules.unit)
            for number in gone:
                line = Drop(f"dedup.{rules.unit}", texts[number][:100], rules.min_documents)
                part.drop(task.source, "line", document.id, document.url, line)
        part.went_out(task.source, "document")
        part.went_out(task.source, "node", len(images))


def _verdict(document: Document, gone: list[int], recipe: Recipe) -> Drop | None:
    """Why the whole document goes, if it does."""
    if recipe.sources[document.source].format == "pairs":
        most = recipe.filters.pair.max_caption_repeats
        return Drop("pair.max_caption_repeats", document.text[:100], most or 0)
    rules = _rules_of(recipe)
    assert rules is not None
    if without_units(document, rules.unit, set(gone)).text.strip():
        return None
    return Drop(NOTHING_LEFT, len(gone))


def _lost_of(run: RunDirectory, cut: GroupedPart) -> dict[int, npt.NDArray[np.uint64]]:
    """Hashes of the texts that documents of a part lose, by row."""
    found = all_numbers(delivered(run, _REPEATED, [cut.group], cut.part.number))
    if found is None:
        return {}
    numbers = row_of(found["low"])
    order = np.argsort(numbers, kind="stable")
    rows, firsts = np.unique(numbers[order], return_index=True)
    return dict(zip(rows.tolist(), np.split(found["key"][order], firsts[1:]), strict=True))
