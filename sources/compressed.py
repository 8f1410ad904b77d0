"""Files that may be compressed, whatever the filesystem: .gz, .bz2, .xz and .zst."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import fsspec
import zstandard

_READ_BYTES = 1 << 18


class _Frames(io.RawIOBase):
    """All Zstandard frames of a file, one after another; a frame cut short is an error.

    The library's own reader stops after the first frame, or takes the end of the file for the end
    of a frame: either would lose rows without a word.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._in_frame = False
        self._waiting = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            data = self._waiting or self._stream.read(_READ_BYTES)
            self._waiting = b""
            if not data:
                if self._in_frame:
                    raise EOFError("the file ends inside a Zstandard frame")
                return 0
            self._in_frame = True
            self._ready = memoryview(self._frame.decompress(data))
            if self._frame.eof:
                self._waiting = self._frame.unused_data
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._in_frame = False
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


@contextmanager
def open_compressed(path: str) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file; its name tells how it is compressed.

    Raises:
        OSError: the file can't be opened; while reading, it is damaged (as do EOFError, zlib.error,
            lzma.LZMAError and zstandard.ZstdError).
    """
    if path.lower().endswith(".zst"):
        with fsspec.open(path, "rb", compression=None) as stream:
            yield io.BufferedReader(_Frames(stream), _READ_BYTES)
    else:
        with fsspec.open(path, "rb", compression="infer") as stream:
            yield stream
