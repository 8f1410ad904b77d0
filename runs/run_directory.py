"""The run directory on any fsspec filesystem: whole files or none."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from curate.schemas.errors import UsageError, outside_errors

_ANSWER_SECONDS = 6.0


def _ask(question: Callable[[], object]) -> BaseException | None:
    """What an object store says against a question; its clients try for minutes, this for seconds.

    Raises:
        Exception: the question failed for a reason that is not the store's.
    """
    answer: Future[object] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    # The thread of an executor would keep the process from ending.
    threading.Thread(target=ask, daemon=True).start()
    wait([answer], _ANSWER_SECONDS)
    if not answer.done():
        return TimeoutError(f"no answer in {_ANSWER_SECONDS:.0f} s")
    try:
        answer.result()
    except outside_errors() as error:
        return error
    return None


class RunDirectory:
    """Paths below one root, written so that no reader ever sees half a file."""

    def __init__(self, root: str) -> None:
        self.root = root

    @cached_property
    def _place(self) -> tuple[AbstractFileSystem, str]:
        """File system and path, looked up when they are first needed."""
        # Other processes write here, too: what was listed a moment ago may have grown since.
        found: tuple[AbstractFileSystem, str] = fsspec.core.url_to_fs(
            self.root, use_listings_cache=False
        )
        return found

    @property
    def _filesystem(self) -> AbstractFileSystem:
        return self._place[0]

    @property
    def _base(self) -> str:
        return self._place[1]

    def __reduce__(self) -> tuple[type[RunDirectory], tuple[str]]:
        return RunDirectory, (self.root,)

    @property
    def is_local(self) -> bool:
        return isinstance(self._filesystem, LocalFileSystem)

    def require_place(self) -> None:
        """Find out in seconds whether there is a bucket to write to; any disk has room to try.

        Raises:
            UsageError: there is none of the name, or the store does not answer.
        """

        def bucket() -> str:
            return self._base.split("/")[0]

        # The client's code is no part of the answer: loading it may take seconds on a busy machine.
        fsspec.get_filesystem_class(fsspec.utils.get_protocol(self.root))
        # `exists` of s3fs says that there is no bucket where nobody answers. The clients look for
        # credentials when they are made, which may take as long.
        problem = _ask(lambda: self.is_local or self._filesystem.info(bucket()))
        if isinstance(problem, PermissionError):
            # The bucket may be closed to who may write below the run's path.
            problem = _ask(self.exists)
        if isinstance(problem, (FileNotFoundError, PermissionError)):
            raise UsageError(
                f"{self.root}: there is no bucket {bucket()!r}, or it is not for you to see. "
                "Create it, or check its name and the credentials."
            )
        if problem is not None:
            raise UsageError(
                f"{self.root}: its object store can't be asked: {problem}. Check the network, the "
                "endpoint and the credentials."
            )

    def path(self, *parts: str) -> str:
        return "/".join((self._base, *parts))

    def address(self, *parts: str) -> str:
        """As `path`, with the protocol: what fsspec opens."""
        return str(self._filesystem.unstrip_protocol(self.path(*parts)))

    def exists(self, *parts: str) -> bool:
        return bool(self._filesystem.exists(self.path(*parts)))

    def files(self, *parts: str, suffix: str = "") -> list[str]:
        """Files anywhere below a folder, as paths relative to the root, sorted."""
        base = self.path(*parts)
        if not self._filesystem.exists(base):
            return []
        found = self._filesystem.find(base)
        prefix = len(self._base) + 1
        return sorted(
            relative
            for name in found
            if (relative := name[prefix:]).endswith(suffix) and not relative.endswith(".tmp")
        )

    def size(self, *parts: str) -> int:
        return int(self._filesystem.size(self.path(*parts)))

    def open(self, *parts: str) -> IO[bytes]:
        """Open a file for reading, seekable."""
        stream: IO[bytes] = self._filesystem.open(self.path(*parts), "rb")
        return stream

    def read_json(self, *parts: str) -> Any:
        with self.open(*parts) as stream:
            return json.load(stream)

    def read_bytes(self, *parts: str) -> bytes:
        with self.open(*parts) as stream:
            return stream.read()

    def read_many(self, paths: Iterable[str]) -> list[bytes]:
        """Whole small files, in the order given; an object store is asked for many at a time."""
        absolute = [self.path(path) for path in paths]
        if self.is_local or not absolute:
            return [Path(path).read_bytes() for path in absolute]
        found = self._filesystem.cat(absolute)
        return [found[path] for path in absolute]

    def create(self, data: bytes, *parts: str) -> None:
        """Write a small file that is not there yet, if nobody else has meanwhile.

        Raises:
            Exception: it is there, in the words of the file system.
        """
        self._filesystem.pipe_file(self.path(*parts), data, mode="create")

    def write_json(self, data: Any, *parts: str) -> None:
        self.write_bytes((json.dumps(data, indent=1, sort_keys=True) + "\n").encode(), *parts)

    def write_bytes(self, data: bytes, *parts: str) -> None:
        with self.publish(*parts) as local:
            local.write_bytes(data)

    @contextmanager
    def publish(self, *parts: str) -> Iterator[Path]:
        """A local file to fill, which appears under its name whole when the block ends well.

        On a disk: a temporary name in the same folder, fsync, rename. On an object store: one
        finished upload. When the block raises, nothing appears.
        """
        target = self.path(*parts)
        folder, name = os.path.split(target)
        if not self.is_local:
            with tempfile.TemporaryDirectory(prefix="curate-") as scratch:
                yield Path(scratch, name)
                self._filesystem.put_file(str(Path(scratch, name)), target)
            return
        os.makedirs(folder, exist_ok=True)
        temporary = Path(folder, f".{name}.{uuid.uuid4().hex}.tmp")
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, *parts: str) -> None:
        """Remove a folder with all that is in it, if there is one."""
        if self.exists(*parts):
            self._filesystem.rm(self.path(*parts), recursive=True)

    def sweep(self) -> None:
        """Remove temporary files that a killed run left behind."""
        if self.is_local:
            for name in Path(self._base).rglob(".*.tmp"):
                name.unlink(missing_ok=True)
