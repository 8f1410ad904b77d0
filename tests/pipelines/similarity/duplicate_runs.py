"""Runs of a few documents that have come to the signatures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curate.pipelines.engine.engine import Engine
from curate.pipelines.similarity import signatures
from curate.pipelines.steps import PartTask, run_parts
from curate.pipelines.text import documents
from curate.runs.plan import RunPlan, plan_parts
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DOCUMENTS, SIGNATURES
from curate.schemas.settings.purging import Dedup
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Format, Source

Row = dict[str, Any]


@contextmanager
def run_of(
    folder: Path,
    dedup: Dedup,
    parts: list[list[Row]],
    workers: int = 1,
    row_format: Format = "text",
) -> Iterator[tuple]:
    """A run directory with the documents of JSON lines files, and their signatures."""
    (folder / "in").mkdir(parents=True)
    for number, rows in enumerate(parts):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "in" / f"{number}.jsonl").write_text(lines)
    source = Source(kind="jsonl", format=row_format, paths=(str(folder / "in"),), pages=True)
    recipe = Recipe(name="test", sources={"texts": source}, dedup=dedup)
    plan = RunPlan(recipe=recipe, fingerprint="f", parts=plan_parts(recipe))
    run = RunDirectory(str(folder / "run"))
    tasks = [PartTask(name=p.name, cost=1, payload=p) for p in plan.parts]
    with Engine("direct", workers) as engine:
        run_parts(engine, run, plan, DOCUMENTS, tasks, documents.make_documents)
        run_parts(engine, run, plan, SIGNATURES, tasks, signatures.make_signatures)
        yield engine, run, plan


def dropped(run: RunDirectory) -> dict[str, tuple[str, str]]:
    """Rule and kept document, by id of the dropped one."""
    found = {}
    for path in run.files("verdicts/duplicates", suffix=".parquet"):
        with run.open(path) as stream:
            for row in pq.read_table(stream).to_pylist():
                found[row["id"]] = (row["rule"], row["kept_id"])
    return found


def row(name: str, text: str, **fields: str) -> Row:
    return {"id": name, "text": text, **fields}
