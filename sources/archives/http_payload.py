"""The HTTP response within a record: its headers, and its body as browsers would read it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from fastwarc.warc import WarcRecord

from curate.schemas.content_coding import CodingError, TooLargeError, decoded
from curate.schemas.http_headers import headers_of
from curate.schemas.page import Record

_READ_BYTES = 256 << 10


def parse_http(record: Record, data: bytes, limit: int) -> Record:
    """Parse HTTP headers and decode the body; one that belies its headers is taken as it is."""
    reason = ""
    for decode in ("all", "transfer", "content", "none"):
        parser = WarcRecord()
        parser.is_http = True
        parser.set_bytes_content(data)
        try:
            parser.parse_http(auto_decode=decode, quirks_mode=True)
            payload = read_fully(parser.reader, limit + 1)
        except (OSError, ValueError) as error:
            reason = reason or describe(error)
            continue
        if decode != "all" and not _looks_like_text(payload):
            break
        parsed = _with_headers(record, parser)
        if len(payload) > limit:
            return _too_large(parsed, limit)
        return replace(parsed, payload=payload)
    return _decode_ourselves(record, data, limit) or replace(
        record, fault="record.undecodable", fault_value=reason
    )


def _decode_ourselves(record: Record, data: bytes, limit: int) -> Record | None:
    """What the library does not decode and browsers do: `x-gzip`, bare deflate, codings of codings.

    None where that fails, too.
    """
    parser = WarcRecord()
    parser.is_http = True
    parser.set_bytes_content(data)
    try:
        parser.parse_http(auto_decode="none", quirks_mode=True)
        body = read_fully(parser.reader, limit + 1)
    except (OSError, ValueError):
        return None
    parsed = _with_headers(record, parser)
    codings = [parsed.headers.get(f"{kind}-encoding", "") for kind in ("content", "transfer")]
    try:
        return replace(parsed, payload=decoded(body, ",".join(codings), limit))
    except CodingError:
        return None
    except TooLargeError:
        return _too_large(parsed, limit)


def _with_headers(record: Record, parser: WarcRecord) -> Record:
    headers = headers_of(parser.http_headers.items())
    media_type = headers.get("content-type", "")
    return replace(
        record,
        status=_status(parser.http_headers.status_code),
        headers=headers,
        content_type=media_type_of(media_type),
        charset=charset_of(media_type),
    )


def _too_large(record: Record, limit: int) -> Record:
    return replace(
        record, fault="record.too_large", fault_value=f">{limit}", fault_limit=str(limit)
    )


def _looks_like_text(payload: bytes) -> bool:
    sample = payload[:1024]
    return b"\0" not in sample and not sample.startswith(b"\x1f\x8b")


def _status(code: object) -> int | None:
    text = str(code)
    return int(text) if text.isascii() and text.isdigit() else None


def media_type_of(header: str) -> str:
    return header.split(";", 1)[0].split(",", 1)[0].strip().lower()


def charset_of(header: str) -> str | None:
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", header, re.IGNORECASE)
    return found.group(1).lower() if found else None


def read_fully(stream: Any, length: int) -> bytes:
    """Read `length` bytes or to the end, a bounded buffer at a time.

    FastWARC sets aside as much memory as a read asks for, and warcio's streams return less.
    """
    chunks = []
    while length > 0 and (chunk := stream.read(min(length, _READ_BYTES))):
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
