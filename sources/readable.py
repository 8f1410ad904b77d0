"""Whether anything can be read of a source, looked at before a stage runs.

One bad file among good ones costs ledger rows. A source that gives nothing at all is a mistake of
its user's (a table under another name, an empty download, a field that is not there), and is told
in words before hours are spent on the other sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fsspec
import pyarrow.parquet as pq

from schemas.page import DamagedRegion
from schemas.source import Source
from schemas.verdict import Drop
from sources.archive import read_archive
from sources.compressed import ZSTD_MAGIC
from sources.corpus import READ_ERRORS, RejectedRow, read_corpus
from sources.img2dataset import KIND as IMPORTED
from sources.img2dataset import read_img2dataset
from sources.instructions import KIND as INSTRUCTIONS
from sources.instructions import read_instructions
from sources.listing import InputError
from sources.pair_tables import read_pair_table, require_columns

_LOOKED_AT = 1_000
"""Rows of a file, none of which can be read: the rest is taken to be like them."""
CHOSEN_RULES = frozenset({"record.not_selected", "record.not_fetched"})
"""Rules by which a row is left out that could be read."""

_EXPECTED = {
    "warc": "WARC or ARC records",
    "jsonl": "a JSON object on each line, with its text in `{field}`",
    "parquet": "a Parquet file, with its text in `{field}`",
    "wet": "a WET file, with records of type conversion",
    "text": "plain text",
    IMPORTED: "a .tar or .parquet that img2dataset wrote, images included",
    INSTRUCTIONS: "rows of prompts and answers, as published",
}
_MAGICS = (
    (b"\x1f\x8b", "gzip data", (".gz",)),
    (ZSTD_MAGIC, "Zstandard data", (".zst",)),
    (b"BZh", "bzip2 data", (".bz2",)),
    (b"\xfd7zXZ\x00", "xz data", (".xz",)),
    (b"PAR1", "a Parquet file", (".parquet",)),
    (b"WARC/", "WARC records", (".warc", ".wet")),
)
"""First bytes, what they are, and the endings that such a file has."""


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Why the first rows of a file give nothing."""

    path: str
    rows: int
    drop: Drop | None
    """Of the first row; None where there is no row."""


def require_readable(name: str, source: Source, paths: Sequence[str]) -> None:
    """Look for one row that can be read, in the files of a source in their order.

    It ends at the first file that gives one, so a source that is in order costs the look at one
    row.

    Raises:
        InputError: no file gives any; the message tells of the first one.
    """
    first: _Unreadable | None = None
    for path in paths:
        found = _look_at(path, source)
        if found is None:
            return
        first = first or found
    if first is None:
        return
    if source.is_pair_table and first.drop is not None:
        require_columns(first.path, source)
    others = f" (nor of {len(paths) - 1:,} other files)" if len(paths) > 1 else ""
    raise InputError(
        f"sources.{name}: nothing can be read of {first.path}{others}. {_told(first, source)}"
    )


def _look_at(path: str, source: Source) -> _Unreadable | None:
    """None for a file that holds something to read."""
    first: Drop | None = None
    count = 0
    for drop in islice(_outcomes(path, source), _LOOKED_AT):
        if drop is None or drop.rule in CHOSEN_RULES:
            return None
        count += 1
        first = first or drop
    return _Unreadable(path, count, first)


def _outcomes(path: str, source: Source) -> Iterator[Drop | None]:
    """Of each row why it gives nothing, or None where it gives something."""
    items: Iterator[Any]
    if source.kind == "warc":
        # A record of any kind will do: which ones are pages is for the stages to say.
        for item in read_archive(path, source.max_row_bytes):
            is_damage = isinstance(item, DamagedRegion)
            yield Drop("record.damaged", item.reason) if is_damage else None
        return
    if source.is_pair_table:
        items = read_pair_table(path, source, path, "")
    elif source.kind == IMPORTED:
        items = read_img2dataset(path, source, path, "")
    elif source.kind == INSTRUCTIONS:
        items = read_instructions(path, source, path, "")
    else:
        items = read_corpus(path, source, path, "")
    for item in items:
        yield item.drop if isinstance(item, RejectedRow) else None


def _told(found: _Unreadable, source: Source) -> str:
    expected = _EXPECTED.get(source.kind, "a table with columns of addresses and captions")
    got, remedy = _got(found, source)
    return f"Expected {expected.format(field=source.text_field)}; got {got}. {remedy}"


def _got(found: _Unreadable, source: Source) -> tuple[str, str]:
    """What the file holds instead, and what to do."""
    head = _head(found.path)
    name = found.path.lower()
    is_lines = source.kind in ("jsonl", INSTRUCTIONS) and ".parquet" not in name
    if not head:
        return "an empty file", "Fetch it again, or leave it out."
    for magic, what, endings in _MAGICS:
        if head.startswith(magic) and not name.endswith(endings):
            return what, f"Give it its ending, {endings[0]}, and the source the `kind` it is."
    if is_lines and head.lstrip().startswith(b"[") and found.drop is not None:
        return (
            "a JSON array, not lines",
            "Write one object a line: `jq -c '.[]' FILE.json > FILE.jsonl`.",
        )
    if found.drop is None:
        return "a file without a row", "Fetch it again, or leave it out."
    reason = f"{found.drop.rule}: {found.drop.value_text}"
    if found.drop.limit_text:
        reason += f", limit {found.drop.limit_text}"
    if found.drop.rule == "record.too_large":
        return f"rows that are too large ({reason})", "Set the source's `max_row_bytes`."
    keys = _keys(found.path) if source.kind == "parquet" else []
    if keys and source.text_field.split(".")[0] not in keys:
        return f"columns {', '.join(keys)}", "Name the one that holds text in `text_field`."
    what = f"{found.rows:,} rows of which none fits, the first by {reason}"
    if found.drop.rule == "record.no_text":
        return what, "Name the field that holds text in the source's `text_field`."
    return what, "Check what the file is, and the source's `kind`."


def _head(path: str) -> bytes:
    with fsspec.open(path, "rb", compression=None) as stream:
        data: bytes = stream.read(64)
    return data


def _keys(path: str) -> list[str]:
    try:
        with fsspec.open(path, "rb") as stream:
            return [str(name) for name in pq.read_schema(stream).names][:20]
    except READ_ERRORS:
        return []
