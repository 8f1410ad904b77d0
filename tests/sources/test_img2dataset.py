"""What img2dataset writes, read as pairs with their images."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.schemas.settings.source import Source
from curate.sources.corpus import RejectedRow
from curate.sources.img2dataset import ImportedPair, read_img2dataset

SOURCE = Source(kind="img2dataset", format="pairs")

URL = "http://h.test/a.jpg"


def told(**more: Any) -> dict[str, Any]:
    """As img2dataset's rows are."""
    return {
        "url": URL, "caption": "a ship", "key": "000000000", "status": "success",
        "error_message": None, "width": 256, "height": 256, "original_width": 400,
        "original_height": 300, "sha256": "0" * 64, **more,
    }  # fmt: skip


def tar_of(path: Path, samples: list[dict[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for number, members in enumerate(samples):
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{number:09d}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def sample(jpg: bytes = b"jpeg", **more: Any) -> dict[str, bytes]:
    row = told(**more)
    return {"jpg": jpg, "json": json.dumps(row).encode(), "txt": (row["caption"] or "").encode()}


def read(path: Path) -> list[ImportedPair | RejectedRow]:
    return list(read_img2dataset(str(path), SOURCE, path.name, "pairs"))


def test_a_tar_gives_pairs_with_the_places_of_their_images(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "00000.tar", [sample(b"first"), sample(b"second", caption="a  boat\n")]
    )
    first, second = read(path)
    assert isinstance(first, ImportedPair)
    assert isinstance(second, ImportedPair)
    data = path.read_bytes()
    assert data[first.offset : first.offset + first.length] == b"first"
    assert data[second.offset : second.offset + second.length] == b"second"
    assert second.document.text == "a boat"
    (image,) = first.document.images
    assert (image.url, image.width, image.height) == (URL, 400, 300)
    assert first.document.id != second.document.id


def test_a_parquet_file_gives_pairs_with_their_images(tmp_path: Path) -> None:
    rows = [told(jpg=b"first"), told(jpg=None, status="failed_to_download", error_message="404")]
    path = tmp_path / "00000.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    first, second = read(path)
    assert isinstance(first, ImportedPair)
    assert first.data == b"first"
    assert isinstance(second, RejectedRow)
    assert (second.drop.rule, second.drop.value) == ("record.not_fetched", "404")


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        (sample(url=None), "record.no_url"),
        (sample(caption=""), "record.no_text"),
        ({"json": json.dumps(told()).encode(), "txt": b"a ship"}, "record.no_image"),
        ({"jpg": b"jpeg", "txt": b"a ship"}, "record.no_url"),
        ({"jpg": b"jpeg", "json": b"{", "txt": b"a ship"}, "record.damaged"),
    ],
)
def test_samples_that_give_no_pair(tmp_path: Path, members: dict[str, bytes], rule: str) -> None:
    (row,) = read(tar_of(tmp_path / "00000.tar", [members]))
    assert isinstance(row, RejectedRow)
    assert row.drop.rule == rule


def test_a_cut_file_gives_what_stands_before_the_cut(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "00000.tar", [sample(b"x" * 3_000) for _ in range(5)])
    path.write_bytes(path.read_bytes()[:9_000])
    rows = read(path)
    assert isinstance(rows[0], ImportedPair)
    assert isinstance(rows[-1], RejectedRow)
    assert rows[-1].drop.rule == "record.damaged"
