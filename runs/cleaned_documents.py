"""The documents of a part as the stages on text left them, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION, DUPLICATES, REPEATS
from curate.schemas.document import DOCUMENT_SCHEMA, Document, document_from_row
from curate.schemas.text.text_lines import without_units

PURGE_SCHEMA = pa.schema([("row", pa.int64()), ("dropped", pa.bool_()), *DOCUMENT_SCHEMA])
"""A row per document that decontamination dropped or changed: `row` counts the rows of the
documents file; a changed document follows whole, a dropped one only with its id."""

CUT_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("dropped", pa.bool_()),
        ("unit", pa.string()),
        ("gone", pa.list_(pa.int64())),
    ]
)
"""A row per document that loses lines or paragraphs: their positions as `units` in
schemas/text/text_lines.py counts them. Where nothing is left the document is dropped, and a pair
always."""

_BATCH_DOCUMENTS = 256


def dropped_rows(run: RunDirectory, name: str) -> set[int]:
    """Rows of a documents part that are duplicates, or gone for what they repeat."""
    with run.open(f"verdicts/{DUPLICATES}/{name}.parquet") as stream:
        rows: set[int] = set(pq.read_table(stream, columns=["row"])["row"].to_pylist())
    return rows | {cut["row"] for cut in _cuts(run, name) if cut["dropped"]}


def deduplicated_documents(run: RunDirectory, name: str) -> Iterator[tuple[int, Document]]:
    """Documents of a part that are no duplicates, each with its row, whole."""
    with run.open(f"verdicts/{DUPLICATES}/{name}.parquet") as stream:
        dropped = set(pq.read_table(stream, columns=["row"])["row"].to_pylist())
    row = -1
    with run.open(f"documents/{name}.parquet") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=_BATCH_DOCUMENTS):
            for held in batch.to_pylist():
                row += 1
                if row not in dropped:
                    yield row, document_from_row(held)


def distinct_documents(run: RunDirectory, name: str) -> Iterator[tuple[int, Document]]:
    """Documents of a part that are no duplicates, each with its row, without repeated lines."""
    cuts = {cut["row"]: cut for cut in _cuts(run, name)}
    for row, document in deduplicated_documents(run, name):
        cut = cuts.get(row)
        if cut is None:
            yield row, document
        elif not cut["dropped"]:
            yield row, without_units(document, cut["unit"], set(cut["gone"]))


def cut_documents(run: RunDirectory, name: str) -> Iterator[tuple[int, Document]]:
    """Of `distinct_documents` those that lost lines."""
    rows = {cut["row"] for cut in _cuts(run, name) if not cut["dropped"]}
    if rows:
        yield from ((row, d) for row, d in distinct_documents(run, name) if row in rows)


def _cuts(run: RunDirectory, name: str) -> list[dict[str, Any]]:
    path = f"verdicts/{REPEATS}/{name}.parquet"
    if not run.exists(path):
        return []
    with run.open(path) as stream:
        rows: list[dict[str, Any]] = pq.read_table(stream).to_pylist()
    return rows


def purged_documents(run: RunDirectory, name: str) -> Iterator[tuple[int, Document]]:
    """Documents of a part that came through all of these stages, each with its row."""
    changed = changes(run, name)
    change = next(changed, None)
    for row, document in distinct_documents(run, name):
        if change is None or change[0] != row:
            yield row, document
            continue
        if change[1] is not None:
            yield row, change[1]
        change = next(changed, None)


def changes(run: RunDirectory, name: str) -> Iterator[tuple[int, Document | None]]:
    """Rows of a documents part that decontamination dropped (None) or changed, in order."""
    with run.open(f"verdicts/{DECONTAMINATION}/{name}.parquet") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=_BATCH_DOCUMENTS):
            for held in batch.to_pylist():
                row, dropped = held.pop("row"), held.pop("dropped")
                yield row, None if dropped else document_from_row(held)
