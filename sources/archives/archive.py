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
from dataclasses import replace
from typing import IO, Any

import fsspec

from curate.schemas.address import file_name
from curate.schemas.page import DamagedRegion, Origin, Record
from curate.sources.archives.http_payload import describe
from curate.sources.archives.members import GZIP_START, Codec, MembersStream, codec_of, scan_members
from curate.sources.archives.records import (
    READ_ERRORS,
    Block,
    arc_blocks,
    content_of,
    falls_short,
    warc_blocks,
)
from curate.sources.compressed import GzipMember

_WARC_START = re.compile(rb"WARC/[01]\.\d+\r?\n")
_ARC_START = re.compile(
    rb"(?:https?|ftp|dns|gopher|filedesc):\S[^\n]* \d{1,3}(?:\.\d{1,3}){3} \d{14} [^\n]*\n"
)
_SCAN_BYTES = 1 << 20
_SCAN_OVERLAP = 4096


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
    blocks = arc_blocks if arc else warc_blocks
    gzipped = head.startswith(b"\x1f\x8b")
    start = GZIP_START if gzipped else _ARC_START if arc else _WARC_START

    position = 0
    damage: tuple[int, str] | None = None
    while position < size:
        watched.seek(position)
        pending: Block | None = None
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
                    yield from content_of(pending, block.offset, name, max_record_bytes)
                pending = block
        except READ_ERRORS as caught:
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
            yield from content_of(pending, following, name, max_record_bytes)
        position = following
    if damage is not None and damage[0] < size:
        yield _damaged(name, damage[0], size, damage[1])


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
    stream: IO[bytes], last: Block | None, position: int, size: int, gzipped: bool
) -> int | None:
    """Offset from which on a reader that ended without an error has left bytes unread."""
    if last is None:
        return position
    return (_unread_gzip if gzipped else _unread_plain)(stream, last, size)


def _unread_gzip(stream: IO[bytes], last: Block, size: int) -> int | None:
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
    if start >= size or (start == last.offset and falls_short(last)):
        return None
    return start


def _unread_plain(stream: IO[bytes], last: Block, size: int) -> int | None:
    """Offset behind the last block of an uncompressed file where bytes are left unread."""
    stream.seek(last.offset)
    head = stream.read(_SCAN_BYTES)
    end_of_header = (re.search(rb"\r?\n\r?\n", head) if head.startswith(b"WARC/") else None) or (
        re.search(rb"\n", head)
    )
    end = last.offset + (end_of_header.end() if end_of_header else size) + max(last.declared, 0)
    if end > size:
        return None if falls_short(last) else last.offset
    stream.seek(end)
    return end if stream.read().strip() else None


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
