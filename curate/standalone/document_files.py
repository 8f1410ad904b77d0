"""`curate dedup` and `curate decontaminate`: single stages over files of documents.

The stages are those of `build-shards`, in the run directory `DIR/run`; beside it stand the
documents that are left, as they were given but for what was cut, a ledger and a report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curate.build import build_shards
from curate.pipelines.engine.worker_processes import Process
from curate.pipelines.stages import Watch
from curate.reports.purge_report import (
    contaminated,
    decontamination_report,
    dedup_report,
    duplicates,
)
from curate.runs.cleaned_documents import changes, cut_documents, dropped_rows
from curate.runs.plan import InputPart, plan_parts
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION, DUPLICATES, REPEATS
from curate.schemas.document import Document, ImageSegment
from curate.schemas.errors import CurateError, UsageError
from curate.schemas.settings.purging import Decontamination, Dedup
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Source
from curate.schemas.text.json_lines import json_line
from curate.sources.compressed import TooLong, bounded_lines, open_compressed
from curate.sources.corpus import EXTENSIONS, READ_ERRORS, read_corpus
from curate.sources.listing import list_inputs
from curate.sources.parquet_rows import batches_of, open_table, written_out

SOURCE = "documents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One standalone command over files of documents."""

    inputs: tuple[str, ...]
    out: str
    workers: int
    pages: bool = False
    """Whether documents with the same `url` are captures of one page."""
    dedup: Dedup | None = None
    decontamination: Decontamination | None = None

    @property
    def stage(self) -> str:
        """The last one."""
        if self.decontamination is not None:
            return DECONTAMINATION
        repeated = None if self.dedup is None else self.dedup.repeated
        return DUPLICATES if repeated is None else REPEATS


def run_on_files(
    job: Job, processes: list[Process], watch: Callable[[RunDirectory], Watch]
) -> dict[str, Any]:
    """Do the stages, write the outputs; the report.

    Raises:
        UsageError: the inputs are of no known kind, or of several.
        RunError: the directory holds another run.
    """
    recipe = _recipe(job)
    run = RunDirectory(f"{job.out.rstrip('/')}/run")
    build_shards(
        recipe,
        run.root,
        watch=watch(run),
        workers=job.workers,
        until=job.stage,
        processes=processes,
    )
    out = RunDirectory(job.out)
    kind = recipe.sources[SOURCE].kind
    with out.publish(f"documents.{kind}") as path:
        write = _write_parquet if kind == "parquet" else _write_json_lines
        write(run, recipe, job.stage, path)
    with out.publish("ledger.jsonl") as path, path.open("wb") as stream:
        for row in _ledger(run, job.stage):
            stream.write(json_line(row))
    report = (decontamination_report if job.stage == DECONTAMINATION else dedup_report)(run)
    assert report is not None
    report = {"inputs": list(job.inputs), **_settings(job), **report}
    out.write_json(report, "report.json")
    return report


def _settings(job: Job) -> dict[str, Any]:
    chosen = job.dedup if job.decontamination is None else job.decontamination
    assert chosen is not None
    return {"settings": chosen.model_dump(mode="json")}


def _recipe(job: Job) -> Recipe:
    kind = kind_of(job.inputs)
    source = Source(kind=kind, format="text", paths=job.inputs, filtered=False, pages=job.pages)
    if _has_segments(source):
        source = source.model_copy(update={"format": "interleaved"})
    return Recipe(
        name=job.stage,
        sources={SOURCE: source},
        dedup=job.dedup,
        decontamination=job.decontamination,
    )


def kind_of(inputs: tuple[str, ...]) -> Literal["jsonl", "parquet"]:
    parquet = [path.lower().endswith(EXTENSIONS["parquet"]) for path in inputs]
    if all(parquet):
        return "parquet"
    if any(parquet):
        raise UsageError(
            "the inputs are JSON lines and Parquet. Give one kind at a time: the output is of it."
        )
    return "jsonl"


def _has_segments(source: Source) -> bool:
    first = list_inputs(SOURCE, source)[0]
    for item in islice(read_corpus(first.path, source, first.name, SOURCE), 100):
        if isinstance(item, Document) and any(isinstance(s, ImageSegment) for s in item.segments):
            return True
    return False


# --- outputs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A row of an input file that stays."""

    number: int
    """Position in the file, from 0."""
    changed: Document | None
    """The document in its place, where it was cut."""


def _kept_rows(run: RunDirectory, part: InputPart, stage: str) -> Iterator[_Kept]:
    gone = dropped_rows(run, part.name)
    changed: Iterator[tuple[int, Document | None]] = (
        changes(run, part.name) if stage == DECONTAMINATION else cut_documents(run, part.name)
    )
    change = next(changed, None)
    with run.open(f"documents/{part.name}.parquet") as stream:
        numbers = pq.read_table(stream, columns=["offset"])["offset"].to_pylist()
    for row, number in enumerate(numbers):
        document = None
        if change is not None and change[0] == row:
            document = change[1]
            is_dropped = document is None
            change = next(changed, None)
            if is_dropped:
                continue
        if row not in gone:
            yield _Kept(number=number, changed=document)


def _write_json_lines(run: RunDirectory, recipe: Recipe, stage: str, path: Path) -> None:
    with path.open("wb") as written:
        for part in plan_parts(recipe):
            with open_compressed(part.path) as stream:
                limit = recipe.sources[SOURCE].max_row_bytes
                lines = enumerate(bounded_lines(stream, limit))
                for kept in _kept_rows(run, part, stage):
                    line = next(line for number, line in lines if number == kept.number)
                    assert not isinstance(line, TooLong)
                    if kept.changed is not None:
                        line = json_line(_with_text(json.loads(line), kept.changed))
                    written.write(line.rstrip(b"\r\n") + b"\n")


def _write_parquet(run: RunDirectory, recipe: Recipe, stage: str, path: Path) -> None:
    writer: pq.ParquetWriter | None = None
    for part in plan_parts(recipe):
        kept_rows = _kept_rows(run, part, stage)
        waiting = next(kept_rows, None)
        with fsspec.open(part.path, "rb") as stream:
            try:
                schema = pq.read_schema(stream)
                stream.seek(0)
                source = open_table(stream)
            except READ_ERRORS:
                if waiting is not None:
                    raise
                # The ledger tells of it.
                continue
            if writer is None:
                writer = pq.ParquetWriter(path, schema, compression="zstd")
            elif not schema.equals(writer.schema):
                raise UsageError(
                    f"{part.path}: its columns differ from those of the first input, so one "
                    "Parquet file can't hold both. Run the command once for each."
                )
            start = 0
            for batch in _batches(source, part.path):
                if waiting is None:
                    break
                kept = []
                while waiting is not None and waiting.number < start + batch.num_rows:
                    kept.append(waiting)
                    waiting = next(kept_rows, None)
                taken = batch.take(pa.array([k.number - start for k in kept], pa.int64()))
                stays = iter(kept)
                for rows in written_out(taken, schema):
                    writer.write_batch(_with_changes(rows, list(islice(stays, rows.num_rows))))
                start += batch.num_rows
    assert writer is not None
    writer.close()


def _batches(table: pq.ParquetFile, path: str) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches_of(table)
    except READ_ERRORS as error:
        raise CurateError(
            f"{path}: documents of it are to be kept, but columns beside their text can't be read: "
            f"{error}. Fetch the file again, or leave it out."
        ) from error


def _with_changes(rows: pa.RecordBatch, kept: list[_Kept]) -> pa.RecordBatch:
    if all(k.changed is None for k in kept):
        return rows
    held = [
        row if k.changed is None else _with_text(row, k.changed)
        for row, k in zip(rows.to_pylist(), kept, strict=True)
    ]
    return pa.RecordBatch.from_pylist(held, schema=rows.schema)


def _with_text(row: dict[str, Any], document: Document) -> dict[str, Any]:
    """The row as given, with the text that is left."""
    if not isinstance(row.get("segments"), list):
        return {**row, "text": document.text}
    images = iter([s for s in row["segments"] if s.get("type") == "image"])
    segments = [
        next(images) if isinstance(s, ImageSegment) else {"type": "text", "text": s.text}
        for s in document.segments
    ]
    changed = {**row, "segments": segments}
    return {**changed, "text": document.text} if isinstance(row.get("text"), str) else changed


def _ledger(run: RunDirectory, stage: str) -> Iterator[dict[str, Any]]:
    """A row for each document that was dropped or cut, with what it matched."""
    for path in run.files("ledger/documents", suffix=".parquet"):
        with run.open(path) as stream:
            for row in pq.read_table(stream).to_pylist():
                yield {k: row[k] for k in ("id", "url", "rule", "value", "limit")}
    if stage != DECONTAMINATION:
        for row in duplicates(run):
            yield {
                "id": row["id"],
                "url": row["url"],
                "rule": row["rule"],
                "action": "dropped",
                "match": row["kept_id"],
                "match_url": row["kept_url"],
                "match_is_of_this_run": row["of_this_run"],
            }
        for path in run.files(f"ledger/{REPEATS}", suffix=".parquet"):
            with run.open(path) as stream:
                for row in pq.read_table(stream).to_pylist():
                    if row["kind"] in ("line", "document"):
                        action = "cut" if row["kind"] == "line" else "dropped"
                        told = {k: row[k] for k in ("id", "url", "rule")}
                        yield {**told, "action": action, "text": row["value"]}
        return
    for row in contaminated(run):
        first, outcome = row["found"][0], row["outcome"]
        was_dropped = outcome not in ("cut", "tagged")
        yield {
            "id": row["id"],
            "url": row["url"],
            "rule": outcome if was_dropped else first["rule"],
            "action": "dropped" if was_dropped else outcome,
            "match": first["item"],
            "benchmark": first["benchmark"],
            "matches": row["found"],
        }
