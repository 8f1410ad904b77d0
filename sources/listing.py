"""Which files a source names: globs on any fsspec filesystem, and Common Crawl path listings."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import fsspec

from curate.schemas.address import file_name
from curate.schemas.errors import UsageError
from curate.schemas.settings.source import Source
from curate.sources.corpus import COMPRESSIONS, EXTENSIONS
from curate.sources.img2dataset import EXTENSIONS as IMPORTED_EXTENSIONS
from curate.sources.img2dataset import KIND as IMPORTED
from curate.sources.input_identity import stamp_of
from curate.sources.instructions import EXTENSIONS as INSTRUCTION_EXTENSIONS
from curate.sources.instructions import KIND as INSTRUCTIONS
from curate.sources.pair_tables import EXTENSIONS as TABLE_EXTENSIONS
from curate.sources.pair_tables import TABLES


class InputError(UsageError):
    """The named inputs can't be listed; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    path: str
    """Address that fsspec opens."""
    size: int
    """Bytes, or 0 where the server doesn't tell."""
    name: str
    """How the file is named in lineage, wherever it lies: its last path component, or its path
    below the folder that was given."""
    stamp: str = ""
    """What the filesystem tells of its state: an ETag or a time."""


def list_inputs(name: str, source: Source) -> list[InputFile]:
    """The files of a source, sorted by name: the order of the given paths plays no part.

    Raises:
        InputError: no file matches, a file is missing, or two files share a name.
    """
    if source.crawl:
        files = _crawl_files(source)
    elif source.paths:
        files = [file for path in source.paths for file in _expand(name, path, source)]
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


def _expand(source_name: str, path: str, source: Source) -> list[InputFile]:
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
    files = []
    for entry, info in found.items():
        if info["type"] == "directory":
            files += _folder_files(filesystem, entry, source)
        elif info["type"] == "file":
            files.append(_input_file(filesystem, entry, info, file_name(entry)))
    if not files:
        what = f"no {source.kind} file" if found else "no file"
        raise InputError(
            f"sources.{source_name}: {what} matches {path!r}. "
            "Check the path, and quote a glob so that the shell leaves it alone."
        )
    return files


def _folder_files(filesystem: Any, folder: str, source: Source) -> list[InputFile]:
    """The files of the source's kind and split anywhere below a folder."""
    found = filesystem.find(folder, detail=True)
    base = len(folder.rstrip("/")) + 1
    return [
        _input_file(filesystem, entry, info, entry[base:])
        for entry, info in found.items()
        if _is_of_kind(entry, source.kind) and _is_of_split(entry[base:], source.split)
    ]


def _is_of_kind(path: str, kind: str) -> bool:
    name = path.lower()
    if kind == IMPORTED:
        return name.endswith(IMPORTED_EXTENSIONS)
    for compression in COMPRESSIONS if kind not in ("warc", "wet", "parquet") else ():
        name = name.removesuffix(compression)
    if kind == INSTRUCTIONS:
        return name.endswith(INSTRUCTION_EXTENSIONS)
    return name.endswith(TABLE_EXTENSIONS if kind in TABLES else EXTENSIONS[kind])


def _is_of_split(path: str, split: str | None) -> bool:
    *folders, name = path.split("/")
    return split is None or split in folders or name.startswith((f"{split}-", f"{split}."))


def _input_file(filesystem: Any, path: str, info: dict[str, Any], name: str) -> InputFile:
    size = int(info.get("size") or 0)
    return InputFile(
        path=filesystem.unstrip_protocol(path), size=size, name=name, stamp=stamp_of(info)
    )


def _crawl_files(source: Source) -> list[InputFile]:
    listing = f"{source.crawl_root}/crawl-data/{source.crawl}/{source.kind}.paths.gz"
    try:
        with fsspec.open(listing, "rb") as stream:
            lines = gzip.decompress(stream.read()).decode().split()
    except (OSError, EOFError) as error:
        raise InputError(
            f"crawl {source.crawl}: its path listing {listing} can't be read: {error}. "
            "Check the crawl's id and the network."
        ) from error
    return [
        InputFile(path=f"{source.crawl_root}/{line}", size=0, name=line.rsplit("/", 1)[-1])
        for line in lines
    ]
