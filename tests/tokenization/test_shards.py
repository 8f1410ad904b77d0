from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from curate.schemas.packed import DocumentSpan, ImageSlots, PackedImage, PackedRow, packed_schema
from curate.tokenization.shard_batches import ROWS_PER_BATCH, CorruptShardError
from curate.tokenization.shards import Shard, ShardWriter


def row(number: int) -> PackedRow:
    return PackedRow(
        input_ids=(0, number, 2),
        loss_mask=(False, True, True),
        image_slots=(ImageSlots(offset=1, length=1, image=0),),
        images=(
            PackedImage(
                url=f"http://h/{number}", key=b"k" * 16, tar=0, offset=0, size=4, width=2, height=2
            ),
        ),
        documents=(
            DocumentSpan(
                id="d", url="u", warc_file="w", offset=1, length=2, inside=0, start=1, end=3
            ),
        ),
    )


def write(path: Path, rows: int, vocabulary: int = 64_007) -> Path:
    schema = packed_schema(vocabulary, {"block": "2048"})
    writer = ShardWriter(path, schema, lambda image: image.url.encode())
    for number in range(rows):
        writer.write(row(number))
    writer.close()
    return path


def test_rows_are_read_at_random(tmp_path: Path) -> None:
    shard = Shard(str(write(tmp_path / "a.arrow", 2 * ROWS_PER_BATCH + 5)))
    assert shard.rows == 2 * ROWS_PER_BATCH + 5
    assert shard.metadata == {
        "schema_version": "3",
        "vocabulary": "64007",
        "block": "2048",
    }
    for number in (0, ROWS_PER_BATCH - 1, ROWS_PER_BATCH, shard.rows - 1):
        found = shard.row(number)
        assert found["input_ids"] == [0, number, 2]
        assert found["images"][0]["bytes"] == f"http://h/{number}".encode()
        assert found["documents"][0]["end"] == 3
    with pytest.raises(IndexError, match=rf"0 to {shard.rows - 1} \(got {shard.rows}\)"):
        shard.row(shard.rows)


def test_without_rows_there_is_an_empty_batch(tmp_path: Path) -> None:
    shard = Shard(str(write(tmp_path / "a.arrow", 0)))
    assert shard.rows == 0
    assert list(shard.lineage()) == []
    with pytest.raises(IndexError):
        shard.row(0)


@pytest.mark.parametrize("rows", [ROWS_PER_BATCH, ROWS_PER_BATCH + 1])
def test_a_shard_is_known_by_its_seal(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    writer = ShardWriter(path, packed_schema(300, {}), lambda image: b"jpeg")
    for number in range(rows):
        writer.write(row(number))
    writer.close()
    shard = Shard(pa.PythonFile(path.open("rb")), "its name", writer.seal)
    assert [found["documents"][0]["id"] for found in shard.lineage()] == ["d"] * rows
    with pytest.raises(CorruptShardError, match="^its name has the seal .*: it is another shard"):
        Shard(pa.PythonFile(path.open("rb")), "its name", "00000000")


def test_shards_of_another_version_are_refused(tmp_path: Path) -> None:
    schema = packed_schema(300, {"schema_version": "2"})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema))
    with pytest.raises(CorruptShardError, match="has schema version '2', where '3' is read"):
        Shard(str(tmp_path / "a.arrow"))


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write(tmp_path / n, 70).read_bytes() for n in ("a", "b"))
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()


@pytest.mark.parametrize(("size", "type"), [(65_536, pa.uint16()), (65_537, pa.uint32())])
def test_ids_are_as_narrow_as_the_vocabulary_allows(size: int, type: pa.DataType) -> None:
    assert packed_schema(size, {}).field("input_ids").type.value_type == type
