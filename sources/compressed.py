"""Files that may be compressed, whatever the filesystem: .gz, .bz2, .xz and .zst.

What a file decompresses to is never held: bytes come in bounded pieces, and a line is no longer
than its reader allows.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import zstandard
from fsspec.compression import compr
from fsspec.utils import infer_compression

from curate.sources.watched import open_watched

_READ_BYTES = 1 << 18
_PIECE_BYTES = 1 << 20
_ZSTD_FEED_BYTES = 1 << 11
"""Given to the library at a time: a frame's smallest blocks, of 4 bytes, become 128 KiB each."""
_ZSTD_SMALL_FEED_BYTES = 1 << 7
MAX_WINDOW_BYTES = 1 << 31
"""Largest window of a Zstandard frame that is read: what `zstd --long=31` writes."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class GzipMember:
    """One gzip member, decompressed in pieces."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(31)
        self.unused = b""

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the file decompress to; `unused` is what stands behind the end.

        Raises:
            zlib.error: they are damaged.
        """
        while data and not self.eof:
            yield self._decompressor.decompress(data, _PIECE_BYTES)
            data = self._decompressor.unconsumed_tail
        self.unused = self._decompressor.unused_data


class ZstdFrame:
    """One Zstandard frame, decompressed in pieces."""

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None = None) -> None:
        decompressor = zstandard.ZstdDecompressor(
            dict_data=dictionary, max_window_size=MAX_WINDOW_BYTES
        )
        self._frame = decompressor.decompressobj()
        self._feed = _ZSTD_FEED_BYTES
        self.unused = b""

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """As of `GzipMember`.

        Raises:
            zstandard.ZstdError: they are damaged.
        """
        position = 0
        while position < len(data) and not self.eof:
            try:
                piece = self._frame.decompress(data[position : position + self._feed])
            except zstandard.ZstdError as error:
                if "too much memory" not in str(error):
                    raise
                raise zstandard.ZstdError(
                    "a window of more than 2 GiB, which is the most that is read: compress it anew "
                    "with `zstd --long=31` at most"
                ) from error
            position += self._feed
            if len(piece) > _PIECE_BYTES:
                self._feed = _ZSTD_SMALL_FEED_BYTES
            yield piece
        self.unused = self._frame.unused_data + data[position:] if self.eof else b""


class _Frames(io.RawIOBase):
    """All Zstandard frames of a file, one after another; a frame cut short is an error.

    The library's own reader stops after the first frame, or takes the end of the file for the end
    of a frame: either would lose rows without a word.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._pieces = self._decompressed()
        self._ready = memoryview(b"")

    def _decompressed(self) -> Iterator[bytes]:
        waiting = b""
        while waiting or (waiting := self._stream.read(_READ_BYTES)):
            frame = ZstdFrame()
            while not frame.eof:
                yield from frame.pieces(waiting)
                waiting = frame.unused
                if not frame.eof and not (waiting := self._stream.read(_READ_BYTES)):
                    raise EOFError("the file ends inside a Zstandard frame")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._ready = memoryview(piece)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


@contextmanager
def open_compressed(path: str) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file; its name tells how it is compressed.

    Raises:
        InputFailedError: the file can't be opened, or the way to it fails.
        OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError: while reading, its
            content is damaged.
    """
    with open_watched(path) as stream:
        if path.lower().endswith(".zst"):
            yield io.BufferedReader(_Frames(stream), _READ_BYTES)
            return
        compression = infer_compression(path)
        if compression is None:
            yield stream
            return
        with compr[compression](stream, mode="rb") as decompressed:
            yield decompressed


@dataclass(frozen=True, slots=True)
class TooLong:
    """In place of a line that is longer than the limit."""

    size: int
    """Bytes of the line."""


def bounded_lines(stream: IO[bytes], limit: int) -> Iterator[bytes | TooLong]:
    """The lines of a stream with their ends; of one over `limit` bytes nothing but its size."""
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        size = len(line)
        while not line.endswith(b"\n") and (line := stream.readline(_PIECE_BYTES)):
            size += len(line)
        yield TooLong(size)
