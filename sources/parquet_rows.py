"""Rows of a Parquet file, one after another, each within a bound.

A value that a file names a million times in its dictionary stands in memory once: columns are read
as dictionaries, and a batch that would be large is turned to rows one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.schemas.verdict import Drop
from curate.sources.watched import open_watched

_BATCH_ROWS = 256
_BATCH_BYTES = 64 << 20
"""Decoded bytes of a batch that become Python values at once."""


def read_table(path: str, limit: int, columns: set[str] | None = None) -> Iterator[Any]:
    """The rows as dictionaries; a `Drop` for each of more than `limit` decoded bytes or bad UTF-8.

    Args:
        columns: names of columns to read, of those that the file has; None reads all.

    Raises:
        InputFailedError: the file can't be opened, or the way to it fails.
        pa.ArrowException: it is damaged.
    """
    with open_watched(path) as stream:
        table = open_table(stream)
        held = table.schema_arrow.names
        chosen = held if columns is None else [name for name in held if name in columns]
        for batch in batches_of(table, chosen):
            yield from _rows(batch, limit)


def open_table(stream: IO[bytes]) -> pq.ParquetFile:
    """The table of a file, its texts and binary values as dictionaries.

    Raises:
        pa.ArrowException: it is no Parquet file.
    """
    schema = pq.ParquetFile(stream).schema
    leaves = [schema.column(i) for i in range(len(schema))]
    stream.seek(0)
    return pq.ParquetFile(
        stream,
        read_dictionary=[c.path for c in leaves if c.physical_type == "BYTE_ARRAY"],
        buffer_size=1 << 20,
    )


def batches_of(table: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of `open_table`, a row group at a time.

    Each group has dictionaries of its own, and Arrow can't join those of nested columns.
    """
    for group in range(table.num_row_groups):
        yield from table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)


def written_out(batch: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows of `open_table` in the file's own types, in batches of bounded size."""
    rows = batch.num_rows
    if rows > 1 and sum(map(decoded_bytes, batch.columns)) > _BATCH_BYTES:
        half = rows // 2
        yield from written_out(batch.slice(0, half), schema)
        yield from written_out(batch.slice(half), schema)
        return
    columns = [c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _rows(batch: pa.RecordBatch, limit: int) -> Iterator[Any]:
    if sum(map(decoded_bytes, batch.columns)) <= min(limit, _BATCH_BYTES):
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError:
            rows = [_row(batch.slice(number, 1)) for number in range(batch.num_rows)]
        yield from rows
        return
    for number in range(batch.num_rows):
        row = batch.slice(number, 1)
        size = sum(map(decoded_bytes, row.columns))
        if size > limit:
            yield Drop("record.too_large", size, limit)
        else:
            yield _row(row)


def _row(batch: pa.RecordBatch) -> Any:
    """The one row; a `Drop` where its text is no UTF-8, which costs no other row."""
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return Drop("record.damaged", f"{type(error).__name__}: {error}")


def decoded_bytes(array: pa.Array) -> int:
    """Bytes of the texts and binary values of an array, dictionaries written out."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary)
        total = pc.sum(lengths.take(array.indices)).as_py()
    elif pa.types.is_struct(kind):
        return sum(map(decoded_bytes, array.flatten()))
    elif pa.types.is_map(kind):
        entries = pa.ListArray.from_arrays(
            array.offsets, pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
        )
        return decoded_bytes(entries)
    elif isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return decoded_bytes(array.flatten())
    elif (
        pa.types.is_binary(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_binary(kind)
        or (pa.types.is_large_string(kind))
    ):
        total = pc.sum(pc.binary_length(array)).as_py()
    else:
        return int(array.nbytes)
    return int(total or 0)
