"""Published tables of image-caption pairs to documents: LAION, COYO, CC3M, CC12M, GrIT, or any.

A table is Parquet, CSV or TSV, as its extension says; its columns have their published names. A
pair is a document of two segments: the image, then its caption. Damage costs the damaged row alone.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import pyarrow.parquet as pq

from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.errors import UsageError
from curate.schemas.identity import document_id
from curate.schemas.page import Origin
from curate.schemas.settings.source import Source
from curate.schemas.verdict import Drop
from curate.sources.compressed import TooLong, bounded_lines, open_compressed
from curate.sources.corpus import READ_ERRORS, RejectedRow, numbered_rows, too_large
from curate.sources.parquet_rows import read_table

_MAX_FIELD_CHARACTERS = 1 << 20
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")

SIMILARITY, NSFW, WATERMARK, AESTHETIC = (
    "pair.similarity",
    "pair.nsfw",
    "pair.watermark",
    "pair.aesthetic",
)
"""Names of the scores that tables bring."""
NSFW_LABELS = {"UNLIKELY": 0.0, "UNSURE": 0.5, "NSFW": 1.0}
"""LAION-400M tells its classifier's verdict in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Column names of a published table; of several the first that a file has counts."""

    url: tuple[str, ...] = ("url", "URL")
    caption: tuple[str, ...] = ("caption", "text", "TEXT", "CAPTION")
    width: tuple[str, ...] = ("width", "WIDTH")
    height: tuple[str, ...] = ("height", "HEIGHT")
    scores: Mapping[str, tuple[str, ...]]
    no_header: tuple[str, ...] = ()
    """Columns of a CSV or TSV that is published without a header line."""


TABLES: dict[str, Table] = {
    "laion-400m": Table(scores={SIMILARITY: ("similarity",), NSFW: ("NSFW",)}),
    "laion-2b-en": Table(
        scores={
            SIMILARITY: ("similarity",),
            NSFW: ("punsafe",),
            WATERMARK: ("pwatermark",),
            AESTHETIC: ("aesthetic", "AESTHETIC_SCORE", "aesthetic_score_laion_v2"),
        }
    ),
    "coyo-700m": Table(
        scores={
            SIMILARITY: ("clip_similarity_vitl14", "clip_similarity_vitb32"),
            NSFW: ("nsfw_score_opennsfw2", "nsfw_score_gantman"),
            WATERMARK: ("watermark_score",),
            AESTHETIC: ("aesthetic_score_laion_v2",),
        }
    ),
    "cc3m": Table(scores={}, no_header=("caption", "url")),
    "cc12m": Table(scores={}, no_header=("url", "caption")),
    "grit": Table(scores={SIMILARITY: ("clip_similarity_vitl14", "clip_similarity_vitb32")}),
    "pairs": Table(scores={}),
}
"""Published tables by the `kind` of a source; `pairs` is any with a URL and a caption."""
EXTENSIONS = (".parquet", ".csv", ".tsv")


def read_pair_table(
    path: str, source: Source, name: str, source_name: str
) -> Iterator[Document | RejectedRow]:
    """The pairs of one file in file order, and the rows that give none.

    `origin.offset` counts rows.

    Raises:
        InputFailedError: the file can't be opened, or the way to it fails.
    """
    columns = _columns_of(source)
    rows: Iterator[Any] = (
        read_table(path, source.max_row_bytes, _named(columns))
        if ".parquet" in path.lower()
        else _read_lines(path, source)
    )
    for origin, row in numbered_rows(rows, name):
        made = row if isinstance(row, Drop) else _row_to_pair(row, columns, origin, source_name)
        yield RejectedRow(origin, made) if isinstance(made, Drop) else made


class TableError(UsageError):
    """A table is not what the recipe says it is; the message names its columns."""


def require_columns(path: str, source: Source) -> None:
    """Look whether a table has a column of addresses and one of captions.

    Raises:
        TableError: it has not.
    """
    columns = _columns_of(source)
    if ".parquet" in path.lower():
        try:
            with fsspec.open(path, "rb") as stream:
                held = set(pq.read_schema(stream).names)
        except READ_ERRORS as error:
            raise TableError(f"{path} is no Parquet file: {error}") from error
    else:
        first = next((r for r in _read_lines(path, source) if not isinstance(r, Drop)), {})
        held = set(first)
    for what, names in (("addresses", columns.url), ("captions", columns.caption)):
        if held and not held & set(names):
            raise TableError(
                f"{path} has no column of {what} named {' or '.join(names)} "
                f"(it has {', '.join(sorted(held))}). Name the kind of table it is, or its columns."
            )


def _columns_of(source: Source) -> Table:
    table = TABLES[source.kind]
    own = source.columns
    if own is None:
        return table
    return Table(
        url=(own.url,),
        caption=(own.caption,),
        width=(own.width,) if own.width else table.width,
        height=(own.height,) if own.height else table.height,
        scores={
            **table.scores,
            **{
                score: (column,)
                for score, column in (
                    (SIMILARITY, own.similarity),
                    (NSFW, own.nsfw),
                    (WATERMARK, own.watermark),
                    (AESTHETIC, own.aesthetic),
                )
                if column
            },
        },
    )


def _row_to_pair(
    row: Mapping[str, Any], columns: Table, origin: Origin, source_name: str
) -> Document | Drop:
    url, caption = _first(row, columns.url), _first(row, columns.caption)
    if not isinstance(url, str) or not url.strip():
        return Drop("record.no_url", " ".join(columns.url))
    if not isinstance(caption, str) or not caption.strip():
        return Drop("record.no_text", " ".join(columns.caption))
    address = _clean(url.strip())
    image = ImageSegment(
        url=address,
        width=_size(_first(row, columns.width)),
        height=_size(_first(row, columns.height)),
    )
    scores = {name: _score(_first(row, names)) for name, names in columns.scores.items()}
    return Document(
        id=document_id(origin, address),
        source=source_name,
        url=address,
        segments=(image, TextSegment(text=" ".join(_clean(caption).split()))),
        origin=origin,
        scores={name: value for name, value in scores.items() if value is not None},
    )


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the columns that has a value."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _size(value: Any) -> int | None:
    number = _score(value)
    return int(number) if number is not None and 0 < number < 1 << 31 else None


def _score(value: Any) -> float | None:
    """A number, also where the table holds it as text; LAION-400M's words for NSFW."""
    if isinstance(value, str) and value in NSFW_LABELS:
        return NSFW_LABELS[value]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _clean(text: str) -> str:
    """As text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _named(columns: Table) -> set[str]:
    names = {*columns.url, *columns.caption, *columns.width, *columns.height}
    return names.union(*columns.scores.values())


def _read_lines(path: str, source: Source) -> Iterator[Mapping[str, Any] | Drop]:
    is_tsv = ".tsv" in path.lower()
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    with open_compressed(path) as stream:
        lines = _Lines(stream, source.max_row_bytes)
        # A TSV as published quotes nothing: a quotation mark is a character of the caption.
        reader = (
            csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            if is_tsv
            else csv.reader(lines)
        )
        header = TABLES[source.kind].no_header if source.columns is None else ()
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                yield Drop("record.damaged", f"{type(error).__name__}: {error}")
                continue
            if lines.too_long is not None:
                yield too_large(lines.too_long.size, source.max_row_bytes)
                lines.too_long = None
            elif fields is None:
                return
            elif not header:
                header = tuple(fields)
            else:
                yield dict(zip(header, fields, strict=False))


class _Lines:
    """The lines of a table as text; one that is too long is empty, and told."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._lines = bounded_lines(stream, limit)
        self._waiting: list[str] = []
        self._encoding = "utf-8-sig"
        self.too_long: TooLong | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._waiting:
            return self._waiting.pop()
        line = next(self._lines)
        if isinstance(line, TooLong):
            self.too_long = line
            return ""
        encoding, self._encoding = self._encoding, "utf-8"
        text = line.decode(encoding, "replace")
        if "\r" in text[:-2]:
            # Lines may end as on old machines, too.
            self._waiting = _LINE.findall(text)[::-1]
            return self._waiting.pop()
        return text
