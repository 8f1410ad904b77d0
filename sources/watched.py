"""Opening an input so that its own failure is never taken for damage in what it holds.

A reader takes most errors for damage: it costs the damaged row, or the rest of the file. A broken
connection, a disk that can't be read or a file that is gone must cost nothing: the part is made
again.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import fsspec

from curate.schemas.errors import CurateError
from curate.schemas.text.secrets import masked

_READ_BYTES = 1 << 18


class InputFailedError(CurateError):
    """An input can't be opened, or not read to its end; the message says which, and why."""


class _Watched(io.RawIOBase):
    """A stream whose every error is an `InputFailedError`."""

    def __init__(self, stream: IO[bytes], path: str) -> None:
        self._stream = stream
        self._path = path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _told(self._path):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _told(self._path):
            return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def open_watched(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file as they lie there, on any filesystem that fsspec knows.

    Raises:
        InputFailedError: it can't be opened; while reading, it or the way to it fails.
    """
    with _told(path):
        opened = fsspec.open(path, "rb", compression=None).open()
    with opened as stream:
        yield io.BufferedReader(_Watched(stream, path), _READ_BYTES)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        reason = masked(f"{type(error).__name__}: {error}")
        raise InputFailedError(
            f"{masked(path)} can't be read: {reason}. Check the file and the way to it, and run "
            "the same command again"
        ) from error
