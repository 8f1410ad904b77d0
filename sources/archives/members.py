"""The members of a compressed archive: where each lies, and their bytes as one seekable stream.

An archive has a gzip member or a Zstandard frame for each record, or for many, or one for all. A
record is named by its member's place in the file, and by its own place among the member's
decompressed bytes (`Origin.inside`): that can be read back, whatever was compressed together.
"""

from __future__ import annotations

import io
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO

import zstandard

from curate.schemas.page import Origin
from curate.sources.compressed import ZSTD_MAGIC, GzipMember, ZstdFrame

GZIP_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_ZSTD_START = re.compile(re.escape(ZSTD_MAGIC) + rb"|[\x50-\x5f]\x2a\x4d\x18")
_DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"
"""Of the skippable frame that holds the dictionary of a `.warc.zst` (IIPC's draft for WARC)."""
_MAX_DICTIONARY_BYTES = 16 << 20
_READ_BYTES = 256 << 10
_ERRORS = (zlib.error, zstandard.ZstdError, EOFError)

Unit = GzipMember | ZstdFrame


@dataclass(frozen=True, slots=True)
class Codec:
    """How the members of a file are compressed."""

    make: Callable[[], Unit]
    start: re.Pattern[bytes]
    """The bytes that a member begins with."""


def codec_of(stream: IO[bytes]) -> Codec | None:
    """The codec of a file by its first bytes; None for one that is not compressed."""
    stream.seek(0)
    head = stream.read(8)
    if head.startswith(b"\x1f\x8b"):
        return Codec(GzipMember, GZIP_START)
    if not _ZSTD_START.match(head):
        return None
    dictionary = None
    if head.startswith(_DICTIONARY_MAGIC):
        size = int.from_bytes(head[4:8], "little")
        dictionary = _dictionary(stream.read(min(size, _MAX_DICTIONARY_BYTES)))
    return Codec(lambda: ZstdFrame(dictionary), _ZSTD_START)


def _dictionary(data: bytes) -> zstandard.ZstdCompressionDict | None:
    """The dictionary, which may be compressed itself; None where it can't be read."""
    if data.startswith(ZSTD_MAGIC):
        try:
            data = b"".join(ZstdFrame().pieces(data))[:_MAX_DICTIONARY_BYTES]
        except zstandard.ZstdError:
            return None
    return zstandard.ZstdCompressionDict(data)


@dataclass(frozen=True, slots=True)
class Member:
    """Bytes `start` to `end` of the file, which decompress to `plain_start` to `plain_end`."""

    start: int
    end: int
    plain_start: int
    plain_end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of the file that can't be decompressed, or not to their end."""

    start: int
    end: int
    reason: str


def scan_members(stream: IO[bytes], codec: Codec) -> tuple[list[list[Member]], list[Damage]]:
    """All members of a file, in runs that no damage parts, and the damage.

    One pass over the file, in bounded memory. What a damaged member gives before its damage is the
    end of a run.
    """
    size = stream.seek(0, io.SEEK_END)
    runs: list[list[Member]] = [[]]
    damages: list[Damage] = []
    position = plain = 0
    waiting = b""
    stream.seek(0)
    while position < size:
        unit, length, read = codec.make(), 0, 0
        try:
            while not unit.eof:
                waiting = waiting or stream.read(_READ_BYTES)
                if not waiting:
                    raise EOFError("the file ends inside a member")
                read += len(waiting)
                length += sum(map(len, unit.pieces(waiting)))
                waiting = unit.unused
            end = position + read - len(waiting)
            runs[-1].append(Member(position, end, plain, plain + length))
        except _ERRORS as error:
            end = _find(stream, codec.start, position + 1, size)
            if _only_zeros(stream, position, end) and end == size:
                break
            damages.append(Damage(position, end, f"{type(error).__name__}: {error}"[:200]))
            if length:
                runs[-1].append(Member(position, end, plain, plain + length))
            runs.append([])
            waiting = b""
            stream.seek(end)
        plain += length
        position = end
    return [run for run in runs if run], damages


def _find(stream: IO[bytes], pattern: re.Pattern[bytes], position: int, size: int) -> int:
    overlap = b""
    stream.seek(position)
    while chunk := stream.read(_READ_BYTES):
        found = pattern.search(overlap + chunk)
        if found:
            return position - len(overlap) + found.start()
        position += len(chunk)
        overlap = chunk[-3:]
    return size


def _only_zeros(stream: IO[bytes], start: int, end: int) -> bool:
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_READ_BYTES, end - start))):
        if chunk.strip(b"\0"):
            return False
        start += len(chunk)
    return True


class MembersStream(io.RawIOBase):
    """The decompressed bytes of a run of members, seekable: from a member's start, forward."""

    def __init__(self, stream: IO[bytes], codec: Codec, members: list[Member]) -> None:
        self._stream = stream
        self._codec = codec
        self._members = members
        self._starts = [m.plain_start for m in members]
        self._first, self._end = members[0].plain_start, members[-1].plain_end
        self._position = self._first
        self._open: int | None = None
        self._reader: MemberReader | None = None

    def place(self, origin: Origin) -> Origin:
        """Where a record lies in the file, given where it lies in this stream."""
        begin = self._first + origin.offset
        first = self._members[self._number(begin)]
        last = self._members[self._number(begin + max(origin.length, 1) - 1)]
        return replace(
            origin,
            offset=first.start,
            length=last.end - first.start,
            inside=begin - first.plain_start,
        )

    def _number(self, position: int) -> int:
        return max(bisect_right(self._starts, position) - 1, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position - self._first

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._first, io.SEEK_CUR: self._position, io.SEEK_END: self._end}
        self._position = base[whence] + offset
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        wanted = self._end - self._position if size < 0 else size
        data = b""
        while wanted > 0 and self._position < self._end:
            number = self._number(self._position)
            member = self._members[number]
            inside = self._position - member.plain_start
            if self._reader is None or self._open != number or self._reader.position > inside:
                self._reader = MemberReader(self._stream, self._codec, member.start)
                self._open = number
            self._reader.skip_to(inside)
            piece = self._reader.read(min(wanted, member.plain_end - self._position))
            data = data + piece if data else piece
            self._position += len(piece)
            wanted -= len(piece)
        return data


class MemberReader:
    """Decompresses forward from a member's start, into the members behind it if need be."""

    def __init__(self, stream: IO[bytes], codec: Codec, start: int) -> None:
        self._stream = stream
        self._codec = codec
        self._file_position = start
        self._pieces = self._decompressed()
        self._ready = b""
        self.position = 0
        """Decompressed bytes that were read or skipped."""

    def skip_to(self, position: int) -> None:
        while self.position < position and self._fill():
            count = min(position - self.position, len(self._ready))
            self._ready = self._ready[count:]
            self.position += count

    def read(self, size: int) -> bytes:
        """`size` bytes, or as many as come before the end or before damage.

        Raises:
            zlib.error, zstandard.ZstdError, EOFError: damage stands here.
        """
        chunks: list[bytes] = []
        try:
            while size > 0 and self._fill():
                chunk, self._ready = self._ready[:size], self._ready[size:]
                self.position += len(chunk)
                size -= len(chunk)
                chunks.append(chunk)
        except _ERRORS:
            if not chunks:
                raise
        return b"".join(chunks)

    def put_back(self, data: bytes) -> None:
        self._ready = data + self._ready
        self.position -= len(data)

    def _fill(self) -> bool:
        while not self._ready:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._ready = piece
        return True

    def _decompressed(self) -> Iterator[bytes]:
        waiting = b""
        while waiting := waiting or self._more():
            unit = self._codec.make()
            while not unit.eof:
                yield from unit.pieces(waiting)
                waiting = unit.unused
                if not unit.eof and not (waiting := self._more()):
                    raise EOFError("the file ends inside a member")

    def _more(self) -> bytes:
        self._stream.seek(self._file_position)
        data = self._stream.read(_READ_BYTES)
        self._file_position += len(data)
        return data
