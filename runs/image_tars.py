"""Reading stored images: the one way into `images/part-N.tar`."""

from __future__ import annotations

from types import TracebackType
from typing import IO

from curate.runs.buckets import bucket_name
from curate.runs.run_directory import RunDirectory

_OPEN_TARS = 32
"""A process may have 1,024 files open by default, and a task meets images of any bucket."""


class ImageTars:
    """Context manager: random reads from a run's image tars, with a bounded number of them open."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._open: dict[int, IO[bytes]] = {}
        self.count = 0
        """Images read."""

    def __enter__(self) -> ImageTars:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, tar: int, offset: int, size: int) -> bytes:
        """The JPEG that was stored there.

        Raises:
            OSError: the tar ends before it, or can't be read.
        """
        stream = self._open.pop(tar, None)
        if stream is None:
            if len(self._open) >= _OPEN_TARS:
                self._open.pop(next(iter(self._open))).close()
            stream = self._run.open(_path(tar))
        self._open[tar] = stream
        stream.seek(offset)
        data = stream.read(size)
        if len(data) != size:
            raise OSError(
                f"{_path(tar)} ends at byte {offset + len(data)}, must hold an image up to byte "
                f"{offset + size}. Remove the run directory's stages/images and run again."
            )
        self.count += 1
        return data

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _path(tar: int) -> str:
    return f"images/{bucket_name(tar)}.tar"
