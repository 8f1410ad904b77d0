"""Whether anything can be read of a source, found out before any stage runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import fsspec

from curate.schemas.errors import UsageError
from curate.schemas.settings.source import Source
from curate.schemas.text.shown import one_line
from curate.schemas.verdict import Drop
from curate.sources.compressed import open_compressed
from curate.sources.corpus import CORPUS_KINDS, READ_ERRORS, read_corpus
from curate.sources.img2dataset import KIND as IMPORTED
from curate.sources.img2dataset import read_img2dataset
from curate.sources.instructions import KIND as INSTRUCTIONS
from curate.sources.instructions import read_instructions
from curate.sources.pair_tables import read_pair_table

_FILES = 8
"""A source of more files is not looked at: one of them may be bad, and costs itself alone."""
_ROWS = 100
_EXPECTED = {
    "jsonl": "a JSON object a line",
    "parquet": "Parquet",
    "wet": "text records",
    "text": "text",
    IMPORTED: "samples that img2dataset stored",
    INSTRUCTIONS: "instructions, a JSON object a line or a row of Parquet",
}


class UnreadableSourceError(UsageError):
    """No row of a source can be read; the message says why and what to do."""


def require_readable(name: str, source: Source, files: Iterable[tuple[str, str]]) -> None:
    """Look whether the first rows of a source give anything.

    Archives are not looked at: one that holds nothing of use is no mistake.

    Args:
        files: address and name of each file.

    Raises:
        UnreadableSourceError: nothing of it can be read.
    """
    listed = list(islice(files, _FILES + 1))
    if source.kind == "warc" or len(listed) > _FILES:
        return
    reasons = [_why_nothing(path, source, file_name, name) for path, file_name in listed]
    if reasons and all(reason is not None for reason in reasons):
        expected = _EXPECTED.get(source.kind, "a table of pairs")
        raise UnreadableSourceError(
            f"sources.{name}: no row of {one_line(listed[0][0], 1_000)} can be read. Expected "
            f"{expected}, got {reasons[0]}. Give another file, or the `kind` that it is of."
        )


def _why_nothing(path: str, source: Source, file_name: str, name: str) -> str | None:
    """Why the first rows of a file give nothing; None where one of them gives a document.

    Rows that are too large are read as rows: where more follow, it is not known that none fits.
    """
    rules: dict[str, Drop] = {}
    rows = 0
    for item in islice(_reader_of(source)(path, source, file_name, name), _ROWS):
        rows += 1
        drop = getattr(item, "drop", None)
        if drop is None or drop.rule == "record.not_selected":
            return None
        rules.setdefault(drop.rule, drop)
    if not rules:
        return "an empty file"
    if rows == _ROWS and set(rules) == {"record.too_large"}:
        return None
    beginning = _beginning(path)
    if source.kind in ("jsonl", INSTRUCTIONS) and beginning.lstrip().startswith("["):
        return "a JSON array and not lines: `jq -c .[] FILE` makes lines of it"
    told = "; ".join(f"{drop.rule} ({one_line(drop.value_text, 120)})" for drop in rules.values())
    return f"{told}, in a file that begins {beginning[:40]!r}" if beginning else told


def _reader_of(source: Source) -> Callable[[str, Source, str, str], Iterator[Any]]:
    if source.kind == IMPORTED:
        return read_img2dataset
    if source.kind == INSTRUCTIONS:
        return read_instructions
    return read_corpus if source.kind in CORPUS_KINDS else read_pair_table


def _beginning(path: str) -> str:
    """The first characters of a file that is text; as it lies there, where it is not."""
    for opened in (open_compressed(path), fsspec.open(path, "rb")):
        try:
            with opened as stream:
                data: bytes = stream.read(200)
        except READ_ERRORS:
            continue
        return data.decode("utf-8", "replace")
    return ""
