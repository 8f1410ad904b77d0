"""Which files a source names: globs on any fsspec filesystem, and Common Crawl path listings."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from itertools import pairwise

import fsspec

from schemas.errors import UsageError
from schemas.recipe import Source


class InputError(UsageError):
    """The named inputs can't be listed; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    path: str
    """Address that fsspec opens."""
    size: int
    """Bytes, or 0 where the server doesn't tell."""

    @property
    def name(self) -> str:
        """Last path component: how the file is named in lineage, wherever it lies."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]


def list_inputs(name: str, source: Source) -> list[InputFile]:
    """The files of a source, sorted by name: the order of the given paths plays no part.

    Raises:
        InputError: no file matches, a file is missing, or two files share a name.
    """
    if source.crawl:
        files = _crawl_files(source)
    elif source.paths:
        files = [file for path in source.paths for file in _expand(name, path)]
    else:
        raise InputError(
            f"sources.{name}: has neither `paths` nor `crawl`. "
            "Set one of them, or give the files with --input."
        )
    files = sorted({f.path: f for f in files}.values(), key=lambda f: (f.name, f.path))
    for before, after in pairwise(files):
        if before.name == after.name:
            raise InputError(
                f"sources.{name}: two inputs are named {after.name} ({before.path}, {after.path}). "
                "Lineage names files by their last component: rename one, or use two runs."
            )
    return files[: source.limit]


def _expand(source_name: str, path: str) -> list[InputFile]:
    try:
        filesystem, root = fsspec.core.url_to_fs(path)
    except ImportError as error:
        raise InputError(
            f"sources.{source_name}: {path} needs a package that is not installed: {error}. "
            "The extras `s3` and `gcp` of curate-pretraining bring what s3:// and gs:// need."
        ) from error
    try:
        if any(c in root for c in "*?["):
            found = {p: filesystem.info(p) for p in filesystem.glob(root)}
        else:
            found = {root: filesystem.info(root)}
    except FileNotFoundError:
        found = {}
    files = [
        InputFile(path=filesystem.unstrip_protocol(p), size=int(info.get("size") or 0))
        for p, info in found.items()
        if info["type"] == "file"
    ]
    if not files:
        raise InputError(
            f"sources.{source_name}: no file matches {path!r}. "
            "Check the path, and quote a glob so that the shell leaves it alone."
        )
    return files


def _crawl_files(source: Source) -> list[InputFile]:
    listing = f"{source.crawl_root}/crawl-data/{source.crawl}/warc.paths.gz"
    try:
        with fsspec.open(listing, "rb") as stream:
            lines = gzip.decompress(stream.read()).decode().split()
    except (OSError, EOFError) as error:
        raise InputError(
            f"crawl {source.crawl}: its path listing {listing} can't be read: {error}. "
            "Check the crawl's id and the network."
        ) from error
    return [InputFile(path=f"{source.crawl_root}/{line}", size=0) for line in lines]
