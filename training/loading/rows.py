"""Rows of a shard as NumPy views: nothing is copied, no Python object is made per token."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.tokenization.shard_batches import ROWS_PER_BATCH, ShardBatches

Column = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Offsets and values of a list column."""


@dataclass(frozen=True, slots=True)
class Row:
    """One packed row."""

    input_ids: npt.NDArray[np.integer[Any]]
    """Token ids, shape (tokens,)."""
    loss_mask: npt.NDArray[np.bool_]
    """Whether each token counts as a prediction target."""
    slots: npt.NDArray[np.int32]
    """First slot and image of every run of slots, shape (runs, 2)."""
    document_starts: npt.NDArray[np.int32]
    """First token of every document."""
    images: tuple[memoryview, ...]
    """Encoded images."""


class ShardRows:
    """Random access to the rows of a local shard, memory-mapped.

    Args:
        path: of the shard on this machine.
        seal: as the manifest has it, where the shard is opened through one.

    Raises:
        CorruptShardError: the file is no shard, is cut, or is another than the manifest's. So does
            `row` where the record batch of a row is not what was written.
    """

    def __init__(self, path: str, seal: str | None = None) -> None:
        self._read = ShardBatches(path, seal=seal)
        self._batches: list[_Batch | None] = [None] * len(self._read)

    def row(self, number: int) -> Row:
        """A row by number. A record batch is checked when the first of its rows is read."""
        index, inside = divmod(number, ROWS_PER_BATCH)
        batch = self._batches[index]
        if batch is None:
            batch = self._batches[index] = _Batch(self._read.read(index))
        row: Row = batch.row(inside)
        return row


class _Batch:
    def __init__(self, batch: pa.RecordBatch) -> None:
        self._ids = _list_column(batch["input_ids"])
        offsets, mask = _offsets(batch["loss_mask"]), batch["loss_mask"].values
        self._mask = (offsets, mask.to_numpy(zero_copy_only=False))
        slots = batch["image_slots"]
        fields = [slots.values.field(name).to_numpy() for name in ("offset", "image")]
        self._slots = (_offsets(slots), np.stack(fields, axis=1))
        documents = batch["documents"]
        self._documents = (_offsets(documents), documents.values.field("start").to_numpy())
        images = batch["images"]
        encoded = images.values.field("bytes")
        self._image_offsets = _offsets(images)
        self._byte_offsets = np.frombuffer(encoded.buffers()[1], np.int32)[
            encoded.offset : encoded.offset + len(encoded) + 1
        ]
        data = encoded.buffers()[2]
        self._bytes = memoryview(data) if data is not None else memoryview(b"")

    def row(self, number: int) -> Row:
        first, last = self._image_offsets[number : number + 2]
        bounds = self._byte_offsets[first : last + 1].tolist()
        return Row(
            input_ids=_part(self._ids, number),
            loss_mask=_part(self._mask, number),
            slots=_part(self._slots, number),
            document_starts=_part(self._documents, number),
            images=tuple(self._bytes[start:end] for start, end in pairwise(bounds)),
        )


def _offsets(column: pa.ListArray) -> npt.NDArray[np.int32]:
    found: npt.NDArray[np.int32] = column.offsets.to_numpy()
    return found


def _list_column(column: pa.ListArray) -> Column:
    return _offsets(column), column.values.to_numpy()


def _part(column: Column, number: int) -> npt.NDArray[Any]:
    offsets, values = column
    return values[offsets[number] : offsets[number + 1]]
