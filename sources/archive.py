"""WARC and ARC files to content records.

FastWARC reads WARC; warcio reads what FastWARC can't, which is ARC. Damage costs the damaged
region alone: the reader looks for the next record behind it and goes on. Nothing in a file's
bytes makes this module raise.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import fsspec
import zstandard
from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed

from schemas.address import file_name
from schemas.page import DamagedRegion, Origin, Record
from sources.compressed import GzipMember
from sources.http_payload import charset_of, describe, media_type_of, parse_http, read_fully
from sources.members import (
    GZIP_START,
    Codec,
    MemberReader,
    MembersStream,
    codec_of,
    scan_members,
)

AUXILIARY_TYPES = frozenset({"warcinfo", "request", "metadata"})
"""Record types that describe other records: they are no input and no loss."""

_WARC_START = re.compile(rb"WARC/[01]\.\d+\r?\n")
_ARC_START = re.compile(
    rb"(?:https?|ftp|dns|gopher|filedesc):\S[^\n]* \d{1,3}(?:\.\d{1,3}){3} \d{14} [^\n]*\n"
)
_SCAN_BYTES = 1 << 20
_SCAN_OVERLAP = 4096
_MAX_HEADER_BYTES = 64 << 10
_READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, ArchiveLoadFailed)


@dataclass(frozen=True, slots=True)
class _Block:
    """One record as either library gives it, before its HTTP headers are parsed."""

    offset: int
    kind: str
    url: str
    date: str
    media_type: str
    declared: int
    data: bytes | None
    """None when the record declares more than the limit."""


def read_archive(path: str, max_record_bytes: int) -> Iterator[Record | DamagedRegion]:
    """Content records of a file in file order, and the regions that could not be read.

    Args:
        path: any address that fsspec opens.
        max_record_bytes: a longer record comes with `fault` set and no payload.

    Raises:
        OSError: the file itself can't be opened, or the connection to it broke.
    """
    with fsspec.open(path, "rb") as stream:
        yield from read_stream(stream, file_name(path), max_record_bytes)


def read_stream(
    stream: IO[bytes], name: str, max_record_bytes: int
) -> Iterator[Record | DamagedRegion]:
    """`read_archive` over an open, seekable stream; `name` is the file's name in lineage."""
    codec = codec_of(stream)
    behind = (-1, 0)
    if codec is None or codec.start is GZIP_START:
        try:
            for item in _read_records(stream, name, max_record_bytes):
                yield item
                behind = (item.origin.offset, 0)
            return
        except _SharedMemberError:
            # What was yielded had members of its own.
            codec = codec_of(stream)
    assert codec is not None
    for item in _read_members(stream, codec, name, max_record_bytes):
        if (item.origin.offset, item.origin.inside) > behind:
            yield item


class _SharedMemberError(Exception):
    """A gzip member holds more than one record: the libraries tell no place of the others."""


def _read_members(
    stream: IO[bytes], codec: Codec, name: str, max_record_bytes: int
) -> Iterator[Record | DamagedRegion]:
    """Records wherever they lie in the decompressed bytes."""
    runs, damages = scan_members(stream, codec)
    for run in runs:
        members = MembersStream(stream, codec, run)
        for item in _read_records(members, name, max_record_bytes):
            yield replace(item, origin=members.place(item.origin))
    for damage in damages:
        yield _damaged(name, damage.start, damage.end, damage.reason)


def _read_records(
    stream: Any, name: str, max_record_bytes: int
) -> Iterator[Record | DamagedRegion]:
    watched: Any = _WatchedStream(stream)
    watched.seek(0)
    head = watched.read(_SCAN_OVERLAP)
    size = watched.seek(0, io.SEEK_END)
    arc = _plain_prefix(head).startswith(b"filedesc:")
    blocks = _arc_blocks if arc else _warc_blocks
    gzipped = head.startswith(b"\x1f\x8b")
    start = GZIP_START if gzipped else _ARC_START if arc else _WARC_START

    position = 0
    damage: tuple[int, str] | None = None
    while position < size:
        watched.seek(position)
        pending: _Block | None = None
        error: Exception | None = None
        try:
            for block in blocks(watched, max_record_bytes):
                if damage is not None:
                    if block.offset > damage[0]:
                        yield _damaged(name, damage[0], block.offset, damage[1])
                    damage = None
                if gzipped and pending is not None and block.offset in (pending.offset, size):
                    raise _SharedMemberError
                if pending is not None:
                    yield from _content(pending, block.offset, name, max_record_bytes)
                pending = block
        except _READ_ERRORS as caught:
            if watched.failure is not None:
                raise
            if "non-chunked gzip" in str(caught):
                raise _SharedMemberError from caught
            error = caught
        last = position if pending is None else pending.offset
        following = size
        unread = _unread(watched, pending, position, size, gzipped)
        if error is not None or unread is not None:
            begin = position if pending is None else max(unread or 0, last + 1)
            resume = last + 1 if error is not None else max(begin, last + 1)
            following = _find(watched, start, resume, size)
            reason = "no whole record here" if error is None else describe(error)
            damage = damage or (begin, reason)
        if pending is not None:
            yield from _content(pending, following, name, max_record_bytes)
        position = following
    if damage is not None and damage[0] < size:
        yield _damaged(name, damage[0], size, damage[1])


class RecordReader:
    """Records of an open archive by their places; in the order of the file it reads on."""

    def __init__(self, stream: IO[bytes], max_record_bytes: int) -> None:
        self._stream = stream
        self._limit = max_record_bytes
        self._codec = codec_of(stream)
        self._offset = -1
        self._member: MemberReader | None = None

    def read(self, origin: Origin) -> Record | None:
        """The record that lies at `origin`, or None where none can be read."""
        try:
            data = self._plain(origin) if self._codec is None else self._decompressed(origin)
            if data is None:
                return None
            blocks = _warc_blocks if data.startswith(b"WARC/") else _arc_blocks
            block = next(blocks(io.BytesIO(data), self._limit), None)
        except (*_READ_ERRORS, zstandard.ZstdError):
            self._member = None
            return None
        if block is None:
            return None
        content = _content(block, len(data), origin.warc_file, self._limit)
        return next((replace(record, origin=origin) for record in content), None)

    def _plain(self, origin: Origin) -> bytes:
        self._stream.seek(origin.offset)
        return self._stream.read(min(origin.length, self._limit + _MAX_HEADER_BYTES))

    def _decompressed(self, origin: Origin) -> bytes | None:
        member = self._member
        if member is None or self._offset != origin.offset or member.position > origin.inside:
            assert self._codec is not None
            member = MemberReader(self._stream, self._codec, origin.offset)
            self._member, self._offset = member, origin.offset
        member.skip_to(origin.inside)
        head = member.read(_MAX_HEADER_BYTES)
        size = _record_size(head)
        if size is None or size > self._limit + _MAX_HEADER_BYTES:
            return None
        if size <= len(head):
            member.put_back(head[size:])
            return head[:size]
        return head + member.read(size - len(head))


def _record_size(head: bytes) -> int | None:
    """Bytes of header and content of the record that begins here, as it declares them."""
    if head.startswith(b"WARC/"):
        end = re.search(rb"\r?\n\r?\n", head)
        declared = (
            re.search(rb"(?im)^content-length:[ \t]*(\d{1,18})", head[: end.end()])
            if (end)
            else None
        )
    else:
        end = re.search(rb"\n", head)
        declared = re.search(rb" (\d{1,18})\r?\n", head[: end.end()]) if end else None
    return end.end() + int(declared.group(1)) if end and declared else None


def read_record_at(stream: IO[bytes], origin: Origin, max_record_bytes: int) -> Record | None:
    """One record of an open archive; many are read by a `RecordReader`."""
    return RecordReader(stream, max_record_bytes).read(origin)


class _WatchedStream(io.RawIOBase):
    """Remembers the stream's own failure: a broken connection is never taken for damage."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as failure:
            self.failure = failure
            raise

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _unread(
    stream: IO[bytes], last: _Block | None, position: int, size: int, gzipped: bool
) -> int | None:
    """Offset from which on a reader that ended without an error has left bytes unread."""
    if last is None:
        return position
    return (_unread_gzip if gzipped else _unread_plain)(stream, last, size)


def _unread_gzip(stream: IO[bytes], last: _Block, size: int) -> int | None:
    """Offset behind the last block where bytes are left that are no whole gzip member."""
    start = last.offset
    stream.seek(start)
    chunk = b""
    member = GzipMember()
    while chunk or (chunk := stream.read(_SCAN_BYTES)):
        try:
            for _ in member.pieces(chunk):
                pass
        except zlib.error:
            break
        if not member.eof:
            chunk = b""
            continue
        chunk = member.unused
        start = stream.tell() - len(chunk)
        member = GzipMember()
        if not chunk.strip(b"\0") and start + len(chunk) == size:
            return None
    if start >= size or (start == last.offset and _falls_short(last)):
        return None
    return start


def _unread_plain(stream: IO[bytes], last: _Block, size: int) -> int | None:
    """Offset behind the last block of an uncompressed file where bytes are left unread."""
    stream.seek(last.offset)
    head = stream.read(_SCAN_BYTES)
    end_of_header = (re.search(rb"\r?\n\r?\n", head) if head.startswith(b"WARC/") else None) or (
        re.search(rb"\n", head)
    )
    end = last.offset + (end_of_header.end() if end_of_header else size) + max(last.declared, 0)
    if end > size:
        return None if _falls_short(last) else last.offset
    stream.seek(end)
    return end if stream.read().strip() else None


def _falls_short(block: _Block) -> bool:
    """Whether `_content` itself reports that the block was cut."""
    is_content = block.kind not in AUXILIARY_TYPES
    return is_content and block.data is not None and len(block.data) < block.declared


def _warc_blocks(stream: IO[bytes], limit: int) -> Iterator[_Block]:
    for record in ArchiveIterator(stream, parse_http=False):
        headers = record.headers
        kind = (headers.get("WARC-Type") or "unknown").strip().lower()
        declared = record.content_length
        wanted = kind not in AUXILIARY_TYPES and declared <= limit
        yield _Block(
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


def _arc_blocks(stream: IO[bytes], limit: int) -> Iterator[_Block]:
    iterator = _QuietIterator(stream, no_record_parse=True, arc2warc=True)
    for record in iterator:
        declared = int(record.rec_headers.get_header("Content-Length") or 0)
        url = record.rec_headers.get_header("WARC-Target-URI") or ""
        kind = "response" if record.rec_type == "response" and url else "warcinfo"
        media_type = record.rec_headers.get_header("Content-Type") or ""
        data = read_fully(record.raw_stream, declared) if 0 <= declared <= limit else None
        yield _Block(
            offset=iterator.get_record_offset(),
            kind=kind,
            url=url.strip(),
            date=record.rec_headers.get_header("WARC-Date") or "",
            media_type=media_type,
            declared=declared,
            data=data,
        )


def _content(block: _Block, end: int, name: str, limit: int) -> Iterator[Record]:
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


def _plain_prefix(head: bytes) -> bytes:
    """The first decompressed bytes of a file that may be gzipped."""
    if not head.startswith(b"\x1f\x8b"):
        return head[:64]
    try:
        return zlib.decompressobj(31).decompress(head, 64)
    except zlib.error:
        return b""


def _find(stream: IO[bytes], pattern: re.Pattern[bytes], position: int, size: int) -> int:
    """Offset of the first match at or behind `position`, or `size`."""
    begin = max(position - 1, 0)
    while begin < size:
        stream.seek(begin)
        chunk = stream.read(_SCAN_BYTES)
        for match in pattern.finditer(chunk):
            if begin + match.start() >= position:
                return begin + match.start()
        if begin + len(chunk) >= size or not chunk:
            break
        begin += len(chunk) - min(_SCAN_OVERLAP, len(chunk) - 1)
    return size


def _damaged(name: str, begin: int, end: int, reason: str) -> DamagedRegion:
    origin = Origin(warc_file=name, offset=begin, length=end - begin)
    return DamagedRegion(origin=origin, reason=reason)
