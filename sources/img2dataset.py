"""Outputs of img2dataset as pairs whose images are there already: WebDataset tars and Parquet.

A sample of a tar is `KEY.jpg` (or .png, .webp), `KEY.txt` and `KEY.json`; a row of a Parquet file
has the image in `jpg` (or `png`, `webp`) beside its `url` and `caption`. Images keep the address
that they were fetched from.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.identity import document_id
from curate.schemas.page import Origin
from curate.schemas.settings.source import Source
from curate.schemas.verdict import Drop
from curate.sources.corpus import READ_ERRORS, RejectedRow, too_large
from curate.sources.parquet_rows import read_table
from curate.sources.watched import open_watched

KIND = "img2dataset"
EXTENSIONS = (".tar", ".parquet")
_IMAGES = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True, slots=True)
class ImportedPair:
    """A pair, and its image: where it lies in the tar, or its bytes."""

    document: Document
    offset: int = 0
    length: int = 0
    data: bytes | None = None


def read_img2dataset(
    path: str, source: Source, name: str, source_name: str
) -> Iterator[ImportedPair | RejectedRow]:
    """The samples of one file in file order, and those that give no pair.

    `origin.offset` counts samples.

    Raises:
        InputFailedError: the file can't be opened, or the way to it fails.
    """
    limit = source.max_row_bytes
    with open_watched(path) as stream:
        read: Iterator[_Sample | Drop] = (
            _read_rows(path, limit)
            if path.lower().endswith(".parquet")
            else _read_tar(stream, limit)
        )
        number = -1
        while True:
            number += 1
            origin = Origin(warc_file=name, offset=number)
            try:
                sample = next(read, None)
            except (*READ_ERRORS, tarfile.TarError) as error:
                damage = Drop("record.damaged", f"{type(error).__name__}: {error}")
                yield RejectedRow(origin, damage)
                return
            if sample is None:
                return
            if isinstance(sample, Drop):
                yield RejectedRow(origin, sample)
            else:
                yield _pair(sample, origin, source_name)


@dataclass(frozen=True, slots=True)
class _Sample:
    told: Mapping[str, Any]
    """What the `.json` or the row tells."""
    caption: str | None
    offset: int = 0
    length: int = 0
    data: bytes | None = None


def _pair(sample: _Sample, origin: Origin, source_name: str) -> ImportedPair | RejectedRow:
    url, caption = sample.told.get("url"), sample.caption or sample.told.get("caption")
    status = sample.told.get("status", "success")
    if status != "success":
        reason = str(sample.told.get("error_message") or status)
        return RejectedRow(origin, Drop("record.not_fetched", reason[:200]))
    if not sample.length and not sample.data:
        return RejectedRow(origin, Drop("record.no_image", " ".join(_IMAGES)))
    if not isinstance(url, str) or not url.strip():
        return RejectedRow(origin, Drop("record.no_url", "url"))
    if not isinstance(caption, str) or not caption.strip():
        return RejectedRow(origin, Drop("record.no_text", "txt caption"))
    address = url.strip().encode("utf-8", "replace").decode()
    text = " ".join(caption.encode("utf-8", "replace").decode().split())
    image = ImageSegment(
        url=address, width=_side(sample.told, "width"), height=_side(sample.told, "height")
    )
    document = Document(
        id=document_id(origin, address),
        source=source_name,
        url=address,
        segments=(image, TextSegment(text=text)),
        origin=origin,
    )
    return ImportedPair(document, sample.offset, sample.length, sample.data)


def _side(told: Mapping[str, Any], name: str) -> int | None:
    """Of the original, where it is told, else of the image that was stored."""
    value = told.get(f"original_{name}") or told.get(name)
    return value if isinstance(value, int) and 0 < value < 1 << 31 else None


def _read_tar(stream: IO[bytes], limit: int) -> Iterator[_Sample | Drop]:
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        key: str | None = None
        members: dict[str, tarfile.TarInfo] = {}
        for member in tar:
            if not member.isfile():
                continue
            stem, _, extension = member.name.rpartition(".")
            if stem != key and members:
                yield _sample(tar, members, limit)
                members = {}
            key = stem
            members[extension.lower()] = member
        if members:
            yield _sample(tar, members, limit)


def _sample(
    tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], limit: int
) -> _Sample | Drop:
    # Of a sparse member the size is what it would grow to.
    size = sum(member.size for member in members.values())
    if size > limit:
        return too_large(size, limit)
    image = next((members[e] for e in _IMAGES if e in members), None)
    told: Any = {}
    if "json" in members:
        try:
            told = json.loads(_bytes_of(tar, members["json"]))
        except (ValueError, RecursionError) as error:
            return Drop("record.damaged", f"{type(error).__name__}: {error}"[:200])
    caption = (
        _bytes_of(tar, members["txt"]).decode("utf-8", "replace") if "txt" in members else None
    )
    return _Sample(
        told if isinstance(told, dict) else {},
        caption,
        0 if image is None else image.offset_data,
        0 if image is None else image.size,
    )


def _bytes_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return b"" if stream is None else stream.read()


def _read_rows(path: str, limit: int) -> Iterator[_Sample | Drop]:
    for row in read_table(path, limit):
        if isinstance(row, Drop):
            yield row
            continue
        data = next((row[e] for e in _IMAGES if isinstance(row.get(e), bytes)), None)
        yield _Sample(row, None, data=data)
