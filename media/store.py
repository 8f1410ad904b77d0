"""Stored images: WebDataset tars with an index, written deterministically, read at random."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import IO

import pyarrow as pa

from curate.dedup.pictures import THUMBNAIL_BYTES

IMAGE_INDEX_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("url", pa.string()),
        ("rule", pa.string()),
        ("value", pa.string()),
        ("limit", pa.string()),
        ("tar", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("original_format", pa.string()),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("original_bytes", pa.int64()),
        ("frames", pa.int32()),
        ("channel_spread", pa.int32()),
        ("blank_share", pa.float64()),
        ("sharpness", pa.float64()),
        ("phash", pa.uint64()),
        ("dhash", pa.uint64()),
        ("dhash_vertical", pa.uint64()),
        ("sha256", pa.string()),
        ("origin", pa.string()),
        ("time", pa.string()),
        ("consent", pa.string()),
        ("documents", pa.int64()),
        ("retryable", pa.bool_()),
    ]
)
"""One row per distinct image URL, kept or dropped.

`rule`, `value` and `limit` are null for a stored image and tell why a dropped one went; `origin` is
`warc:FILE@OFFSET`, `inline` or `http`; `time` is when the bytes were captured or fetched; `consent`
is the verdict with its evidence; `sha256` is of the original bytes; `phash` to `dhash_vertical` are
`media.fingerprint`; `retryable` tells of a fetch that might succeed another time.
"""

PLACE = ("tar", "offset", "size")
"""The columns that tell where a stored image lies."""

FINGERPRINT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("content_key", pa.uint64()),
        ("content_key_2", pa.uint64()),
        ("comparable", pa.bool_()),
        ("signature", pa.binary(THUMBNAIL_BYTES)),
    ],
    metadata={"format": "picture-1"},
)
"""What pictures that look the same are found by, a row per stored image.

`id` is the image's key in hexadecimal; `high` and `low` are `dedup.nodes.preference`, by which the
largest original is kept; `content_key` and `content_key_2` are of the original bytes; `signature`
is a thumbnail (`dedup.pictures`), and `comparable` whether it shows enough to be compared.
"""

_BLOCK = 512


class SampleTarWriter:
    """A WebDataset tar whose bytes depend on its members alone (no times, no owners)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._size = 0

    def add(self, key: str, members: Mapping[str, bytes]) -> int:
        """Append `KEY.EXTENSION` for each; the byte offset of the first one's data."""
        offset = self._size + _BLOCK
        for extension, data in members.items():
            header = tarfile.TarInfo(f"{key}.{extension}")
            header.size = len(data)
            self._write(header.tobuf(tarfile.USTAR_FORMAT))
            self._write(data)
            self._fill(_BLOCK)
        return offset

    def close(self) -> None:
        """End the tar as `tarfile` does: two empty blocks, filled up to a record."""
        self._write(bytes(2 * _BLOCK))
        self._fill(tarfile.RECORDSIZE)

    def _write(self, data: bytes) -> None:
        self._size += self._stream.write(data)

    def _fill(self, multiple: int) -> None:
        self._write(bytes(-self._size % multiple))
