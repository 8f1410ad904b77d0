"""Rows of a shard as NumPy views: nothing is copied, no Python object is made per token."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
    """Random access to the rows of a local shard, memory-mapped."""

    def __init__(self, path: str) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(path, "r"))
        self._batches: list[_Batch | None] = [None] * self._reader.num_record_batches
        self._batch_rows = self._reader.get_batch(0).num_rows

    def row(self, number: int) -> Row:
        """A row by number; every record batch but the last has the same number of rows."""
        index, inside = divmod(number, self._batch_rows)
        batch = self._batches[index]
        if batch is None:
            batch = self._batches[index] = _Batch(self._reader.get_batch(index))
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
