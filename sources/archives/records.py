"""Records of WARC and ARC files as FastWARC and warcio give them, and what is content of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed

from curate.schemas.page import Origin, Record
from curate.sources.archives.http_payload import charset_of, media_type_of, parse_http, read_fully

AUXILIARY_TYPES = frozenset({"warcinfo", "request", "metadata"})
"""Record types that describe other records: they are no input and no loss."""

READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, ArchiveLoadFailed)
"""What the libraries raise on damage."""


@dataclass(frozen=True, slots=True)
class Block:
    """One record as either library gives it, before its HTTP headers are parsed."""

    offset: int
    kind: str
    url: str
    date: str
    media_type: str
    declared: int
    data: bytes | None
    """None when the record declares more than the limit."""


def falls_short(block: Block) -> bool:
    """Whether `content_of` itself reports that the block was cut."""
    is_content = block.kind not in AUXILIARY_TYPES
    return is_content and block.data is not None and len(block.data) < block.declared


def warc_blocks(stream: IO[bytes], limit: int) -> Iterator[Block]:
    for record in ArchiveIterator(stream, parse_http=False):
        headers = record.headers
        kind = (headers.get("WARC-Type") or "unknown").strip().lower()
        declared = record.content_length
        wanted = kind not in AUXILIARY_TYPES and declared <= limit
        yield Block(
            offset=record.stream_pos,
            kind=kind,
            url=(headers.get("WARC-Target-URI") or "").strip("<> \t"),
            date=headers.get("WARC-Date") or "",
            media_type=headers.get("Content-Type") or "",
            declared=declared,
            data=record.reader.read(declared) if wanted else None,
        )


class _QuietIterator(WarcioIterator):  # type: ignore[misc]
    """warcio's reader, without its own lines on standard error about what the ledger tells."""

    INC_RECORD = ""


def arc_blocks(stream: IO[bytes], limit: int) -> Iterator[Block]:
    iterator = _QuietIterator(stream, no_record_parse=True, arc2warc=True)
    for record in iterator:
        declared = int(record.rec_headers.get_header("Content-Length") or 0)
        url = record.rec_headers.get_header("WARC-Target-URI") or ""
        kind = "response" if record.rec_type == "response" and url else "warcinfo"
        media_type = record.rec_headers.get_header("Content-Type") or ""
        data = read_fully(record.raw_stream, declared) if 0 <= declared <= limit else None
        yield Block(
            offset=iterator.get_record_offset(),
            kind=kind,
            url=url.strip(),
            date=record.rec_headers.get_header("WARC-Date") or "",
            media_type=media_type,
            declared=declared,
            data=data,
        )


def content_of(block: Block, end: int, name: str, limit: int) -> Iterator[Record]:
    """The content record of a block, or nothing for an auxiliary record."""
    if block.kind in AUXILIARY_TYPES:
        return
    record = Record(
        origin=Origin(warc_file=name, offset=block.offset, length=end - block.offset),
        kind=block.kind,
        url=block.url,
        date=block.date,
        status=None,
        content_type=media_type_of(block.media_type),
        charset=charset_of(block.media_type),
    )
    if block.declared < 0:
        yield replace(record, fault="record.bad_length", fault_value=str(block.declared))
    elif block.data is None:
        yield replace(
            record,
            fault="record.too_large",
            fault_value=str(block.declared),
            fault_limit=str(limit),
        )
    elif len(block.data) < block.declared:
        yield replace(
            record,
            fault="record.truncated",
            fault_value=str(len(block.data)),
            fault_limit=str(block.declared),
        )
    elif block.data.startswith(b"HTTP/"):
        yield parse_http(record, block.data, limit)
    else:
        yield replace(record, payload=block.data)
