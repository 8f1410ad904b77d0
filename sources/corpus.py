"""Text corpora to documents: JSON lines, Parquet, WET and plain text files.

Damage costs the damaged row alone, as far as the format lets one tell; nothing in a row makes this
module raise.
"""

from __future__ import annotations

import csv
import json
import lzma
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import zstandard

from curate.schemas.document import Document, ImageSegment, Segment, TextSegment
from curate.schemas.identity import document_id
from curate.schemas.page import DamagedRegion, Origin
from curate.schemas.settings.source import Source
from curate.schemas.verdict import Drop
from curate.sources.archives.archive import read_archive
from curate.sources.compressed import TooLong, bounded_lines, open_compressed
from curate.sources.parquet_rows import read_table

CORPUS_KINDS = ("jsonl", "parquet", "wet", "text")
EXTENSIONS = {
    "warc": (".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz"),
    "jsonl": (".jsonl", ".json", ".ndjson"),
    "parquet": (".parquet",),
    "wet": (".wet", ".wet.gz", ".wet.zst", ".warc.wet.gz", ".warc.wet.zst"),
    "text": (".txt",),
}
"""File names that a folder is searched for; any may be compressed as `.gz`, `.zst`, `.bz2`, `.xz`
where the format itself is not."""
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")

READ_ERRORS = (
    OSError,
    csv.Error,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    pa.ArrowException,
)
"""What reading a damaged file raises."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that gives no document, and why."""

    origin: Origin
    drop: Drop


def read_corpus(
    path: str, source: Source, name: str, source_name: str
) -> Iterator[Document | RejectedRow]:
    """The documents of one file in file order, and the rows that give none.

    `origin.offset` counts rows (or, in WET files, bytes). Rows that `source.select` leaves out
    come as rejected by `record.not_selected`.

    Raises:
        InputFailedError: the file can't be opened, or the way to it fails.
    """
    if source.kind == "wet":
        yield from _read_wet(path, source, name, source_name)
        return
    if source.kind == "text":
        rows = _read_text(path, source.max_row_bytes)
    else:
        rows = read_rows(path, source.max_row_bytes, _columns_of(source))
    for origin, row in numbered_rows(rows, name):
        made = row if isinstance(row, Drop) else row_to_document(row, source, origin, source_name)
        yield RejectedRow(origin, made) if isinstance(made, Drop) else made


def numbered_rows(rows: Iterator[Any], name: str) -> Iterator[tuple[Origin, Any]]:
    """Each row of a file with its place; where reading fails, a last `Drop` says why."""
    number = -1
    while True:
        number += 1
        origin = Origin(warc_file=name, offset=number)
        try:
            row = next(rows, None)
        except READ_ERRORS as error:
            # The rest of the file is unreadable: its rows can't even be counted.
            yield origin, Drop("record.damaged", f"{type(error).__name__}: {error}")
            return
        if row is None:
            return
        yield origin, row


def row_to_document(row: Any, source: Source, origin: Origin, source_name: str) -> Document | Drop:
    """A row of JSON or Parquet: `text`, or `segments` as `curate extract` prints them."""
    if not isinstance(row, dict):
        return Drop("record.damaged", f"a {type(row).__name__} and not an object")
    left_out = not_selected(row, source)
    if left_out is not None:
        return left_out
    segments = _segments(row, source.text_field)
    if isinstance(segments, Drop):
        return segments
    url = text_of(_first(row, "url", "meta.url", "metadata.url") or "")
    given = look_up(row, source.id_field)
    own_id = "" if given is None else text_of(given)
    return Document(
        id=own_id or document_id(origin, url),
        source=source_name,
        url=url,
        segments=segments,
        origin=origin,
        date=text_of(_first(row, "date", "meta.date", "metadata.date") or ""),
        title=text_of(look_up(row, "title") or ""),
    )


def _first(row: Mapping[str, Any], *paths: str) -> Any:
    """The first of the paths that has a value: ours, the Pile's, datatrove's."""
    return next((value for path in paths if (value := look_up(row, path))), None)


def _columns_of(source: Source) -> set[str]:
    """Columns of a Parquet file that anything is read of."""
    named = {source.text_field, source.id_field, *source.select}
    return {"url", "date", "title", "segments", "meta", "metadata"}.union(
        named, (name.split(".")[0] for name in named)
    )


def not_selected(row: Mapping[str, Any], source: Source) -> Drop | None:
    """Why `source.select` leaves a row out, or None."""
    for path, wanted in source.select.items():
        value = look_up(row, path)
        if str(value) not in wanted:
            return Drop("record.not_selected", f"{path}: {value}"[:200])
    return None


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, as `meta.pile_set_name`, or None."""
    if path in row:
        return row[path]
    value: Any = row
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _segments(row: dict[str, Any], text_field: str) -> tuple[Segment, ...] | Drop:
    given = row.get("segments")
    if isinstance(given, list):
        made: list[Segment] = []
        for item in given:
            if not isinstance(item, dict):
                return Drop("record.damaged", f"a segment that is a {type(item).__name__}")
            if item.get("type") == "image":
                made.append(
                    ImageSegment(
                        url=text_of(item.get("url") or ""),
                        alt=text_of(item.get("alt") or ""),
                        caption=text_of(item.get("caption") or ""),
                    )
                )
            else:
                text = text_of(item.get("text") or "")
                made.append(TextSegment(text=text, prompt=item.get("prompt") is True))
        found = tuple(made)
    else:
        text = look_up(row, text_field)
        if not isinstance(text, str):
            return Drop("record.no_text", f"{text_field} is {type(text).__name__}")
        found = (TextSegment(text=text_of(text)),)
    if not any(isinstance(s, ImageSegment) or s.text.strip() for s in found):
        return Drop("record.no_text", "empty")
    return found


def text_of(value: Any) -> str:
    """As text that UTF-8 can hold: JSON holds lone surrogates, Arrow does not."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _read_json_lines(path: str, limit: int) -> Iterator[Any]:
    with open_compressed(path) as stream:
        for line in bounded_lines(stream, limit):
            if isinstance(line, TooLong):
                yield too_large(line.size, limit)
                continue
            if not line.strip():
                yield Drop("record.no_text", "empty line")
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Drop("record.damaged", f"{type(error).__name__}: {error}"[:200])


def too_large(size: int, limit: int) -> Drop:
    return Drop("record.too_large", size, limit)


def _read_text(path: str, limit: int) -> Iterator[Any]:
    with open_compressed(path) as stream:
        data: bytes = stream.read(limit + 1)
        if len(data) > limit:
            size = len(data)
            while rest := stream.read(1 << 20):
                size += len(rest)
            yield too_large(size, limit)
            return
    title = path.rsplit("/", 1)[-1].split(".")[0]
    yield {"text": data.decode("utf-8-sig", "replace"), "title": title}


def read_rows(path: str, limit: int, columns: set[str] | None = None) -> Iterator[Any]:
    """The rows of a Parquet or JSON lines file, as its name says; `Drop` for those unreadable.

    Args:
        limit: decoded bytes of a row; a longer one is a `Drop`.
        columns: of a Parquet file, those to read; None reads all.
    """
    if path.lower().endswith(".parquet"):
        return read_table(path, limit, columns)
    return _read_json_lines(path, limit)


def _read_wet(
    path: str, source: Source, name: str, source_name: str
) -> Iterator[Document | RejectedRow]:
    for item in read_archive(path, source.max_row_bytes):
        if isinstance(item, DamagedRegion):
            yield RejectedRow(
                item.origin, Drop("record.damaged", item.reason, f"{item.origin.length} bytes")
            )
        elif item.fault is not None:
            yield RejectedRow(item.origin, Drop(item.fault, item.fault_value, item.fault_limit))
        elif item.kind != "conversion" or item.content_type not in ("text/plain", ""):
            yield RejectedRow(
                item.origin, Drop("record.media_type", item.content_type or item.kind, "text/plain")
            )
        else:
            text = item.payload.decode("utf-8", "replace")
            if not text.strip():
                yield RejectedRow(item.origin, Drop("record.no_text", "empty"))
                continue
            yield Document(
                id=document_id(item.origin, text_of(item.url)),
                source=source_name,
                url=text_of(item.url),
                segments=(TextSegment(text=text),),
                origin=item.origin,
                date=item.date,
            )
