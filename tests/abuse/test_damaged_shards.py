"""Shards with a damaged byte, a cut, or a piece of another: what was written, or an error."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.schemas.packed import DocumentSpan, ImageSlots, PackedImage, PackedRow, packed_schema
from curate.tokenization.shard_batches import ROWS_PER_BATCH, CorruptShardError
from curate.tokenization.shards import Shard, ShardWriter
from curate.training.loading.rows import ShardRows
from tests.abuse.conftest import WHOLE

_VARIANTS = 20_000 if WHOLE else 1_500


def _row(number: int) -> PackedRow:
    length = 8 + number % 5
    image = PackedImage(
        url=f"http://h.test/{number}", key=number.to_bytes(16, "big"), tar=0, offset=0, size=4,
        width=2, height=2,
    )  # fmt: skip
    document = DocumentSpan(
        id=f"d{number}", url="http://h.test/", warc_file="w.warc", offset=number, length=2,
        inside=0, start=1, end=length,
    )  # fmt: skip
    return PackedRow(
        input_ids=tuple(range(number, number + length)),
        loss_mask=tuple(i % 3 > 0 for i in range(length)),
        image_slots=tuple(ImageSlots(offset=2, length=4, image=0) for _ in range(number % 2)),
        images=tuple(image for _ in range(number % 2)),
        documents=(document,),
    )


def write(path: Path, rows: int) -> Path:
    writer = ShardWriter(
        path, packed_schema(500, {"block": "64"}), lambda image: image.url.encode() * 3
    )
    for number in range(rows):
        writer.write(_row(number))
    writer.close()
    return path


def _read(path: Path) -> list[object]:
    """All that a shard says, through both of its readers."""
    shard, rows = Shard(str(path)), ShardRows(str(path))
    read: list[object] = [shard.metadata]
    for number in range(shard.rows):
        row = rows.row(number)
        arrays = (row.input_ids, row.loss_mask, row.slots, row.document_starts)
        read.append((shard.row(number), [a.tolist() for a in arrays], [*map(bytes, row.images)]))
    return read


def _damaged(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Without end: a bit, a byte, a run of zeros, a cut, a repeated or a moved piece."""
    while True:
        at, end = sorted(chance.sample(range(len(data)), 2))
        piece = data[at : min(end, at + 256)]
        yield data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        yield data[:at] + chance.randbytes(1) + data[at + 1 :]
        yield data[:at] + chance.randbytes(8) + data[at + 8 :]
        yield data[:at] + bytes(len(piece)) + data[at + len(piece) :]
        yield data[:at]
        yield data[:at] + data[end:]
        yield data[:at] + piece + data[at:]
        yield data[:end] + piece + data[end + len(piece) :]


def _try_all(folder: Path, rows: int, first: int, count: int) -> str:
    """Read damaged copies of a shard; how many were refused, or what was read wrongly."""
    data = write(folder / "whole.arrow", rows).read_bytes()
    whole = _read(folder / "whole.arrow")
    refused = same = 0
    variants = _damaged(data, random.Random(first))
    target = folder / "damaged.arrow"
    for number in range(count):
        target.write_bytes(next(variants))
        try:
            found = _read(target)
        except CorruptShardError as error:
            if "damaged.arrow" not in str(error):
                return f"variant {number} of {first} is not named: {error}"
            refused += 1
            continue
        if found != whole:
            return f"variant {number} of {first} was read wrongly"
        same += 1
    return f"{refused} refused, {same} the same"


@pytest.mark.parametrize("rows", [5, 2 * ROWS_PER_BATCH + 9])
def test_damaged_shards_are_refused_or_read_as_written(rows: int, tmp_path: Path) -> None:
    # In a process of its own: an interpreter that ends must not end the tests.
    code = (
        "import sys, pathlib; from tests.abuse.test_damaged_shards import _try_all;"
        f"print(_try_all(pathlib.Path(sys.argv[1]), {rows}, {rows}, {_VARIANTS}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    refused, same = (int(word) for word in done.stdout.split() if word.isdigit())
    assert refused + same == _VARIANTS, done.stdout
    assert refused > _VARIANTS // 2
