"""The documents of a part as de-duplication and decontamination left them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.run_directory import RunDirectory
from schemas.document import DOCUMENT_SCHEMA, Document, document_from_row

DUPLICATES = "duplicates"
DECONTAMINATION = "decontamination"

PURGE_SCHEMA = pa.schema([("row", pa.int64()), ("dropped", pa.bool_()), *DOCUMENT_SCHEMA])
"""A row per document that decontamination dropped or changed: `row` counts the rows of the
documents file; a changed document follows whole, a dropped one only with its id."""

_BATCH_DOCUMENTS = 256


def dropped_rows(run: RunDirectory, name: str) -> set[int]:
    """Rows of a documents part that are duplicates."""
    with run.open(f"verdicts/{DUPLICATES}/{name}.parquet") as stream:
        rows: list[int] = pq.read_table(stream, columns=["row"])["row"].to_pylist()
    return set(rows)


def deduplicated_documents(run: RunDirectory, name: str) -> Iterator[tuple[int, Document]]:
    """Documents of a part that are no duplicates, each with its row."""
    dropped = dropped_rows(run, name)
    row = -1
    with run.open(f"documents/{name}.parquet") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=_BATCH_DOCUMENTS):
            for held in batch.to_pylist():
                row += 1
                if row not in dropped:
                    yield row, document_from_row(held)


def purged_documents(run: RunDirectory, name: str) -> Iterator[tuple[int, Document]]:
    """Documents of a part that came through both stages, each with its row."""
    changed = changes(run, name)
    change = next(changed, None)
    for row, document in deduplicated_documents(run, name):
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
