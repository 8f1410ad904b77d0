"""A finished run's shards, on any fsspec filesystem, with their checksums."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from curate.schemas.errors import UsageError
from curate.schemas.manifest import MANIFEST_PATH, TOKENIZER_PATH, Manifest, ShardFile
from curate.tokenization.shard_batches import CorruptShardError
from curate.tokenization.vocabulary import Vocabulary, VocabularyError
from curate.training.arguments import path_text


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one shard."""

    path: str
    problem: str


@dataclass(frozen=True)
class ShardSet:
    """The shards of a run.

    Args:
        root: run directory, as `--out` of `build-shards`; local or any fsspec address.
        cache: folder for copies of shards that are not local; None for one of this process.

    Raises:
        UsageError: a path is empty.
    """

    root: str
    cache: str | None = None

    def __post_init__(self) -> None:
        path_text("the path of the run", self.root)
        if self.cache is not None:
            path_text("the cache", self.cache)

    def __reduce__(self) -> tuple[type[ShardSet], tuple[str, str | None]]:
        """Another process looks for copies in the same folder."""
        return ShardSet, (self.root, self.cache_folder)

    @cached_property
    def manifest(self) -> Manifest:
        """What the run says of its shards.

        Raises:
            UsageError: there is no finished run, or its manifest can't be read.
        """
        content = self._read(MANIFEST_PATH)
        try:
            return Manifest.model_validate_json(content)
        except ValidationError as error:
            raise UsageError(f"{self.root}/{MANIFEST_PATH} is no manifest: {error}") from error

    @property
    def vocabulary(self) -> Vocabulary:
        """The run's tokenizer.

        Raises:
            UsageError: there is no finished run.
            VocabularyError: its file is not the one that the shards were made with.
        """
        model = self._read(TOKENIZER_PATH)
        if hashlib.sha256(model).hexdigest() != self.manifest.tokenizer_sha256:
            raise VocabularyError(
                f"{self.root}/{TOKENIZER_PATH} is not the tokenizer of these shards. "
                "Run the same `curate build-shards` again: it writes it anew."
            )
        return Vocabulary(model)

    def _read(self, path: str) -> bytes:
        try:
            with fsspec.open(f"{self.root}/{path}", "rb") as stream:
                content: bytes = stream.read()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                f"{self.root} holds no finished shards ({path} is missing). "
                "Give the --out of a `curate build-shards` that ran to its end."
            ) from error
        except (ValueError, ImportError) as error:  # An address of a kind that fsspec has not.
            raise UsageError(f"{self.root!r} can't be opened: {error}.") from error
        return content

    def shards_of(self, source: str) -> list[ShardFile]:
        """The shards of a source, in the order of their names.

        Raises:
            UsageError: the run has no such source.
        """
        found = [shard for shard in self.manifest.shards if shard.source == source]
        if not found:
            raise UsageError(
                f"{self.root} has no shards of source {source!r} "
                f"(it has: {', '.join(self.manifest.sources)})."
            )
        return found

    def verify(self) -> Iterator[Fault | None]:
        """For every shard of the manifest what is wrong with it, or None; reads every byte."""
        for shard in self.manifest.shards:
            yield self._verify(shard)

    def _verify(self, shard: ShardFile) -> Fault | None:
        try:
            with fsspec.open(self._address(shard), "rb") as stream:
                problem = _problem(stream, shard)
        except FileNotFoundError:
            return Fault(shard.path, "is missing")
        except OSError as error:
            return Fault(shard.path, f"can't be read: {error}")
        return None if problem is None else Fault(shard.path, problem)

    def refuse(self, faults: list[Fault]) -> None:
        """Name what is wrong.

        Raises:
            CorruptShardError: there are faults.
        """
        if faults:
            listed = "; ".join(f"shards/{fault.path} {fault.problem}" for fault in faults[:10])
            more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
            raise CorruptShardError(
                f"{self.root}: {listed}{more}. "
                "Run the same `curate build-shards` again: it makes damaged shards anew."
            )

    def damage(self, shard: ShardFile, problem: str) -> CorruptShardError:
        """The error of a shard that can't be read as it should be, to be raised."""
        return CorruptShardError(
            f"{self.root}: shards/{shard.path} {problem}. "
            f"`curate verify {self.root}` tells which shards are not as they were written."
        )

    def _address(self, shard: ShardFile) -> str:
        return f"{self.root}/shards/{shard.path}"

    @cached_property
    def is_local(self) -> bool:
        """Whether the shards lie on this machine; others are copied to it."""
        return isinstance(fsspec.core.url_to_fs(self.root)[0], LocalFileSystem)

    def local_path(self, shard: ShardFile) -> str:
        """The shard on this machine: where it lies, or a copy that is fetched once per machine.

        Raises:
            CorruptShardError: the copy is not as the shard was written.
        """
        filesystem, path = fsspec.core.url_to_fs(self._address(shard))
        if self.is_local:
            return str(path)
        target = self._copy(shard)
        lock = os.open(f"{target}.lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                partial = target.with_suffix(f".{os.getpid()}.partial")
                filesystem.get_file(path, str(partial))
                with partial.open("rb") as stream:
                    problem = _problem(stream, shard)
                if problem is not None:
                    partial.unlink()
                    self.refuse([Fault(shard.path, problem)])
                os.replace(partial, target)
        finally:
            os.close(lock)
        return str(target)

    def forget(self, shard: ShardFile) -> None:
        """Remove the copy of a shard that is not needed any more; open maps of it stay valid."""
        if not self.is_local:
            self._copy(shard).unlink(missing_ok=True)

    def _copy(self, shard: ShardFile) -> Path:
        return Path(str(self.cache_folder), f"{shard.sha256}.arrow")

    @cached_property
    def cache_folder(self) -> str | None:
        """Where copies lie, for other processes; a folder of this one ends with it."""
        if self.is_local:
            return None
        if self.cache is None:
            return self._temporary.name
        try:
            Path(self.cache).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, ValueError) as error:
            raise UsageError(
                f"the cache must be a folder (got {self.cache!r}, which can't be one: {error})."
            ) from error
        return self.cache

    @cached_property
    def _temporary(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="curate-shards-")


def _problem(stream: IO[bytes], shard: ShardFile) -> str | None:
    """What is wrong with the bytes of a shard, or None; reads them all."""
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if digest == shard.sha256:
        return None
    return f"has sha256 {digest[:16]}..., was written as {shard.sha256[:16]}..."
