"""Shard files: Arrow IPC, memory-mappable, one row a training sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.schemas.packed import PackedImage, PackedRow
from curate.tokenization.shard_batches import ROWS_PER_BATCH, BatchWriter, ShardBatches

ReadImage = Callable[[PackedImage], bytes]


class ShardWriter:
    """Writes packed rows; the bytes depend on the rows and the schema alone."""

    def __init__(self, path: Path, schema: pa.Schema, read_image: ReadImage) -> None:
        self._writer = BatchWriter(str(path), schema)
        self._schema = schema
        self._read_image = read_image
        self._rows: list[dict[str, Any]] = []
        self.rows = 0
        self.tokens = 0

    def write(self, row: PackedRow) -> None:
        if len(self._rows) == ROWS_PER_BATCH:
            self._flush(last=False)
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

    def close(self) -> None:
        self._flush(last=True)
        self._writer.close()

    @property
    def seal(self) -> str:
        """The checksum of all that the closed shard holds, as its last batch tells it."""
        return self._writer.seal

    def _flush(self, *, last: bool) -> None:
        self._writer.write(pa.RecordBatch.from_pylist(self._rows, self._schema), last=last)
        self._rows.clear()


class Shard:
    """A shard opened for reading: rows by number, memory-mapped where the file is local.

    Args:
        source: a path on this machine, or an open file.
        name: for messages; the path unless it is given.
        seal: as the manifest has it, where the shard is opened through one.

    Raises:
        CorruptShardError: the file is no shard, is cut, or is another than the manifest's. So do
            the methods where what they read is not what was written.
    """

    def __init__(
        self, source: str | pa.NativeFile, name: str | None = None, seal: str | None = None
    ) -> None:
        self._batches = ShardBatches(source, name, seal)
        self.schema = self._batches.schema
        self.metadata = self._batches.metadata
        self.rows = self._batches.rows
        self._read: tuple[int, pa.RecordBatch] | None = None
        """The batch that was read last, and its number."""

    def lineage(self) -> Iterator[dict[str, Any]]:
        """Each row's `documents`, `image_slots` and image `keys`."""
        for index in range(len(self._batches)):
            batch = self._batch(index)
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
        index, inside = divmod(number, ROWS_PER_BATCH)
        plain: dict[str, Any] = self._batch(index).slice(inside, 1).to_pylist()[0]
        return plain

    def _batch(self, index: int) -> pa.RecordBatch:
        if self._read is None or self._read[0] != index:
            self._read = index, self._batches.read(index)
        return self._read[1]
