"""Stage `duplicates`: which documents to drop, and for which other each.

    signatures ─▶ urls ─▶ exact ─▶ bands ─▶ candidates ─▶ [compare] ─▶ stars ⟳ ─▶ targets ⟳
                                                                                    │
    verdicts/duplicates/SOURCE/part-N.parquet ◀─────────────────────────── answers ◀┘

Each arrow is an exchange of numbers between tasks: either over *groups* (neighbouring parts, some
hundred thousand documents, whose signatures a task can hold) or over *partitions* (rows by hash of
what they are grouped by). URL duplicates go first, then equal texts, then near-duplicates of what
is left. Two documents are near-duplicates when they share a band and their signatures agree
enough; clusters are the connected components, found by alternating large-star and small-star
steps (Kiveris et al., Connected Components in MapReduce and Beyond, 2014), and keep the document
that is preferred by `dedup.nodes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.dedup.likeness import TextLikeness
from curate.dedup.nodes import row_of
from curate.pipelines.engine.engine import Engine
from curate.pipelines.groups import delivered
from curate.pipelines.similarity.job import (
    SIZES,
    STEPS,
    SignaturePart,
    Sizes,
    group_parts,
    signature_part,
)
from curate.pipelines.similarity.search import find_duplicates, groups_of_parts, make_job
from curate.pipelines.similarity.signatures import check_parameters, hasher_of
from curate.pipelines.steps import PartTask, run_parts
from curate.runs.part import PartWriter, done_parts
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DUPLICATES as STAGE
from curate.schemas.errors import UsageError
from curate.schemas.settings.purging import Dedup
from curate.schemas.verdict import Drop

RULES = dict(zip(STEPS, ("dedup.url", "dedup.exact", "dedup.near"), strict=True))

VERDICT_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("rule", pa.string()),
        ("kept_id", pa.string()),
        ("kept_url", pa.string()),
        ("of_this_run", pa.bool_()),
    ]
)
"""A row per dropped document of a part: `row` counts the rows of its documents file."""


def run_duplicates(engine: Engine, run: RunDirectory, plan: RunPlan, sizes: Sizes = SIZES) -> None:
    """Make the stage: find the duplicates, then write each part's verdicts.

    Raises:
        UsageError: a run of `dedup.against` has no signatures, or others.
    """
    tasks = [
        PartTask(name=p.name, cost=p.size + 1, payload=VerdictTask(part=p)) for p in plan.parts
    ]
    if done_parts(run, STAGE).issuperset(t.name for t in tasks):
        return
    dedup = plan.recipe.dedup
    groups = () if dedup is None else group_parts(_signature_parts(run, plan, dedup), sizes)
    if dedup is not None and groups:
        asked = {"urls": dedup.urls, "exact": dedup.exact, "clusters": dedup.near}
        likeness = TextLikeness(hasher_of(dedup), dedup.min_similarity)
        steps = tuple(step for step in STEPS if asked[step])
        find_duplicates(engine, make_job(run, STAGE, steps, likeness, groups, sizes))
        groups_of = groups_of_parts(groups)
        tasks = [
            replace(
                t,
                payload=replace(t.payload, groups=groups_of.get(t.payload.part.number, ())),
            )
            for t in tasks
        ]
    run_parts(engine, run, plan, STAGE, tasks, make_verdicts)
    run.remove(f"exchange/{STAGE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictTask:
    """One part to write the verdicts of."""

    part: InputPart
    groups: tuple[int, ...] = ()
    """The groups that hold documents of the part."""


def _signature_parts(run: RunDirectory, plan: RunPlan, dedup: Dedup) -> Iterator[SignaturePart]:
    for part in plan.parts:
        yield signature_part(run, f"signatures/{part.name}.parquet", part.number, True)
    number = len(plan.parts)
    for root in dedup.against:
        earlier = RunDirectory(root)
        paths = earlier.files("signatures", suffix=".parquet")
        if not paths:
            raise UsageError(
                f"dedup.against: {root} has no signatures. "
                "Give the directory of a run whose recipe has a `dedup` section."
            )
        for path in paths:
            problem = check_parameters(earlier, path, dedup)
            if problem is not None:
                raise UsageError(
                    f"dedup.against: {root} can't be compared with: {problem}. "
                    "Use the earlier run's parameters, or leave it out."
                )
            yield signature_part(earlier, path, number, False)
            number += 1


def make_verdicts(plan: RunPlan, part: PartWriter, task: VerdictTask) -> None:
    """Write which documents of one part are dropped, and count them and their images."""
    name, source = task.part.name, task.part.source
    dropped = _dropped_of(part.run, task)
    rows = part.rows(f"verdicts/{STAGE}/{name}.parquet", VERDICT_SCHEMA)
    shown = images_of(part.run, name)
    with part.run.open(f"documents/{name}.parquet") as stream:
        start = 0
        for batch in pq.ParquetFile(stream).iter_batches(columns=["id", "url"]):
            identity = zip(batch["id"].to_pylist(), batch["url"].to_pylist(), strict=True)
            for row, (document_id, url) in enumerate(identity, start):
                images = shown.get(row, [])
                part.came_in(source, "document")
                part.came_in(source, "node", len(images))
                found = dropped.get(row)
                if found is None:
                    part.went_out(source, "document")
                    part.went_out(source, "node", len(images))
                    continue
                rows.write({"row": row, "id": document_id, "url": url, **found})
                drop_document(part, source, document_id, url, images, _drop(found))
            start += batch.num_rows


def _drop(found: dict[str, Any]) -> Drop:
    return Drop(found["rule"], found["kept_url"] or found["kept_id"], match=found["kept_id"])


def _dropped_of(run: RunDirectory, task: VerdictTask) -> dict[int, dict[str, Any]]:
    """The dropped documents of a part by row, with the columns of `VERDICT_SCHEMA`."""
    found: dict[int, dict[str, Any]] = {}
    for batch in delivered(run, f"{STAGE}/answers", task.groups, task.part.number):
        rows = row_of(batch["low"].to_numpy()).tolist()
        for row, answer in zip(rows, batch.drop_columns(["low"]).to_pylist(), strict=True):
            found[row] = {**answer, "rule": RULES[STEPS[answer["rule"]]]}
    return found


def drop_document(
    part: PartWriter, source: str, document_id: str, url: str, images: list[str], verdict: Drop
) -> None:
    """Count a dropped document with the images that go with it, and write their ledger rows."""
    part.drop(source, "document", document_id, url, verdict)
    for address in images:
        gone = Drop("node.document_dropped", verdict.rule)
        part.drop(source, "node", document_id, address, gone)


def images_of(run: RunDirectory, name: str) -> dict[int, list[str]]:
    """Image URLs of each document of a part, by row, as often as the document shows them."""
    with run.open(f"references/shown/{name}.parquet") as stream:
        table = pq.read_table(stream, columns=["row", "url"])
    found: dict[int, list[str]] = {}
    for row, url in zip(table["row"].to_pylist(), table["url"].to_pylist(), strict=True):
        found.setdefault(row, []).append(url)
    return found
