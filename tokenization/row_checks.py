"""What holds in every packed row, checked on whole record batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.integer[Any]]


def problem_of_rows(batch: pa.RecordBatch, vocabulary: int) -> str | None:
    """What is wrong with the rows of a batch that Arrow found valid; None if nothing is.

    A trainer relies on it: positions lie within the row, images within its images, and ids within
    the vocabulary, or a model would be asked for embeddings that it does not have.
    """
    if any(_has_nulls(column) for column in batch.columns):
        return "a missing value"
    ids = batch["input_ids"]
    lengths = _lengths(ids)
    if (_lengths(batch["loss_mask"]) != lengths).any():
        return "a loss mask of another length than its tokens"
    values = ids.flatten().to_numpy()
    if values.size and int(values.max()) >= vocabulary:
        return f"token id {int(values.max())} of a vocabulary of {vocabulary}"
    offset, length, image = _fields(batch["image_slots"], "offset", "length", "image")
    row = _rows_of(batch["image_slots"])
    if not _within(offset, offset + length, lengths[row]):
        return "an image slot outside its row"
    if not _within(image, image + 1, _lengths(batch["images"])[row]):
        return "an image slot without its image"
    start, end = _fields(batch["documents"], "start", "end")
    if not _within(start, end, lengths[_rows_of(batch["documents"])]):
        return "a document outside its row"
    return None


def _within(first: Numbers, end: Numbers, limit: Numbers) -> bool:
    return bool(((first >= 0) & (first <= end) & (end <= limit)).all())


def _lengths(column: pa.ListArray) -> Numbers:
    found: Numbers = np.diff(column.offsets.to_numpy())
    return found


def _rows_of(column: pa.ListArray) -> Numbers:
    """The row of each value of a list column."""
    return np.repeat(np.arange(len(column)), _lengths(column))


def _fields(column: pa.ListArray, *names: str) -> list[Numbers]:
    """Fields of the structs that a list column holds, wide enough to be added up."""
    values = column.flatten()
    return [values.field(name).to_numpy().astype(np.int64) for name in names]


def _has_nulls(column: pa.Array) -> bool:
    if column.null_count:
        return True
    if pa.types.is_list(column.type):
        return _has_nulls(column.flatten())
    if pa.types.is_struct(column.type):
        return any(_has_nulls(column.field(i)) for i in range(column.type.num_fields))
    return False
