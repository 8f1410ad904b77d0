"""Shard files: Arrow IPC, memory-mappable, one row a training sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.packed import PackedImage, PackedRow

ROWS_PER_BATCH = 64
"""Rows of a record batch: small enough to read one row alone, large enough for sequential reads."""

ReadImage = Callable[[PackedImage], bytes]


class ShardWriter:
    """Writes packed rows; the bytes depend on the rows and the schema alone."""

    def __init__(self, path: Path, schema: pa.Schema, read_image: ReadImage) -> None:
        self._writer = pa.ipc.new_file(str(path), schema)
        self._schema = schema
        self._read_image = read_image
        self._rows: list[dict[str, Any]] = []
        self.rows = 0
        self.tokens = 0

    def write(self, row: PackedRow) -> None:
        self._rows.append(
            {
                "input_ids": row.input_ids,
                "loss_mask": row.loss_mask,
                "image_slots": [
                    {"offset": s.offset, "length": s.length, "image": s.image}
                    for s in row.image_slots
                ],
                "images": [
                    {
                        "bytes": self._read_image(image),
                        "width": image.width,
                        "height": image.height,
                        "key": image.key,
                        "url": image.url,
                    }
                    for image in row.images
                ],
                "documents": [
                    {
                        "id": d.id,
                        "url": d.url,
                        "warc_file": d.warc_file,
                        "offset": d.offset,
                        "length": d.length,
                        "inside": d.inside,
                        "start": d.start,
                        "end": d.end,
                    }
                    for d in row.documents
                ],
            }
        )
        self.rows += 1
        self.tokens += len(row.input_ids)
        if len(self._rows) >= ROWS_PER_BATCH:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            batch = pa.RecordBatch.from_pylist(self._rows, self._schema)
            self._writer.write_batch(batch)
            self._rows.clear()


class Shard:
    """A shard opened for reading: rows by number, memory-mapped where the file is local."""

    def __init__(self, source: str | pa.NativeFile) -> None:
        stream = pa.memory_map(source, "r") if isinstance(source, str) else source
        self._reader = pa.ipc.open_file(stream)
        self.schema = self._reader.schema
        self.metadata = {k.decode(): v.decode() for k, v in (self.schema.metadata or {}).items()}
        counts = [
            self._reader.get_batch(i).num_rows for i in range(self._reader.num_record_batches)
        ]
        self._starts = [sum(counts[:i]) for i in range(len(counts))]
        self.rows = sum(counts)

    def lineage(self) -> Iterator[dict[str, Any]]:
        """Each row's `documents`, `image_slots` and image `keys`, without touching image bytes."""
        for index in range(self._reader.num_record_batches):
            batch = self._reader.get_batch(index)
            images = batch["images"]
            keys = pa.ListArray.from_arrays(images.offsets, images.values.field("key"))
            yield from (
                {"documents": documents, "image_slots": slots, "keys": row_keys}
                for documents, slots, row_keys in zip(
                    batch["documents"].to_pylist(),
                    batch["image_slots"].to_pylist(),
                    keys.to_pylist(),
                    strict=True,
                )
            )

    def row(self, number: int) -> dict[str, Any]:
        """One row as plain Python values.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= number < self.rows:
            raise IndexError(f"row must be 0 to {self.rows - 1} (got {number})")
        batch = max(i for i, start in enumerate(self._starts) if start <= number)
        found = self._reader.get_batch(batch).slice(number - self._starts[batch], 1)
        plain: dict[str, Any] = found.to_pylist()[0]
        return plain
