"""A shard whose checksums are right and whose rows are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate.schemas.packed import packed_schema
from curate.tokenization.shard_batches import BatchWriter, CorruptShardError, ShardBatches

_GOOD: dict[str, Any] = {
    "input_ids": [0, 5, 6, 7, 2],
    "loss_mask": [False, True, False, True, True],
    "image_slots": [{"offset": 2, "length": 2, "image": 0}],
    "images": [{"bytes": b"jpeg", "width": 2, "height": 2, "key": b"k" * 16, "url": "http://h/"}],
    "documents": [
        {"id": "d", "url": "u", "warc_file": "w", "offset": 0, "length": 9, "inside": 0,
         "start": 1, "end": 5}
    ],
}  # fmt: skip


def read(path: Path, **changes: Any) -> int:
    """Rows of a shard whose second row has other values."""
    schema = packed_schema(100, {})
    writer = BatchWriter(str(path), schema)
    rows = [_GOOD, {**_GOOD, **changes}, _GOOD]
    writer.write(pa.RecordBatch.from_pylist(rows, schema), last=True)
    writer.close()
    return int(ShardBatches(str(path), seal=writer.seal).read(0).num_rows)


def slot(**changes: int) -> list[dict[str, int]]:
    return [_GOOD["image_slots"][0] | changes]


def span(**changes: int) -> list[dict[str, Any]]:
    return [_GOOD["documents"][0] | changes]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"input_ids": [0, 5, 6, 100, 2]}, "token id 100 of a vocabulary of 100"),
        ({"loss_mask": [True] * 4}, "a loss mask of another length than its tokens"),
        ({"loss_mask": None}, "a missing value"),
        ({"input_ids": [0, 5, None, 7, 2]}, "a missing value"),
        ({"image_slots": slot(offset=-1)}, "an image slot outside its row"),
        ({"image_slots": slot(offset=4)}, "an image slot outside its row"),
        ({"image_slots": slot(length=2**31 - 1)}, "an image slot outside its row"),
        ({"image_slots": slot(length=-1)}, "an image slot outside its row"),
        ({"image_slots": slot(image=1)}, "an image slot without its image"),
        ({"image_slots": slot(image=-1)}, "an image slot without its image"),
        ({"images": []}, "an image slot without its image"),
        ({"documents": span(start=4, end=3)}, "a document outside its row"),
        ({"documents": span(end=6)}, "a document outside its row"),
        ({"documents": span(start=-1)}, "a document outside its row"),
        ({"documents": span(id=None)}, "a missing value"),
    ],
)
def test_rows_that_no_trainer_could_use(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(CorruptShardError, match=rf"a\.arrow has {problem} in record batch 0"):
        read(tmp_path / "a.arrow", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"input_ids": [0, 5, 6, 99, 2]},
        {"image_slots": slot(offset=3)},
        {"image_slots": [], "images": []},
        {"documents": span(start=5, end=5)},
        {"input_ids": [], "loss_mask": [], "image_slots": [], "documents": []},
    ],
)
def test_rows_at_the_limits(changes: dict[str, Any], tmp_path: Path) -> None:
    assert read(tmp_path / "a.arrow", **changes) == 3
