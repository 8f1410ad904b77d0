"""Stored images: WebDataset tars with an index, written deterministically, read at random."""

from __future__ import annotations

import io
import json
import tarfile
from typing import IO, Any

import pyarrow as pa

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
        ("thumbnail", pa.binary(1024)),
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
is the verdict with its evidence; `sha256` is of the original bytes; `phash` to `thumbnail` are
`media.fingerprint`; `retryable` tells of a fetch that might succeed another time.
"""

_BLOCK = 512


class ImageTarWriter:
    """A WebDataset tar whose bytes depend on its members alone (no times, no owners)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar = tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT)

    def add(self, key: bytes, jpeg: bytes, meta: dict[str, Any]) -> int:
        """Append `KEY.jpg` and `KEY.json`; returns the byte offset of the image's data."""
        offset = self._tar.offset + _BLOCK
        self._member(f"{key.hex()}.jpg", jpeg)
        self._member(f"{key.hex()}.json", json.dumps(meta, sort_keys=True).encode())
        return offset

    def close(self) -> None:
        self._tar.close()

    def _member(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
