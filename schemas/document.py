"""Documents: text and images in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from curate.schemas.page import Origin
from curate.schemas.verdict import Drop


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Which line of a text segment is a heading."""

    line: int
    """Number of the line in the segment's text, from 0."""
    level: int
    """1 (`h1`) to 6 (`h6`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSegment:
    """Text between two images: one line per paragraph, heading, list item or table row."""

    text: str
    headings: tuple[Heading, ...] = ()
    continues: bool = False
    """The first line goes on where the text before it left off: an image stands inside a line."""
    prompt: bool = False
    """Given and not learnt, as an instruction is: its tokens are no targets of the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """Where a stored image lies: a member of one of the run's image tars."""

    tar: int
    """Number of the tar in `images/`."""
    offset: int
    """Byte offset of the encoded image in that tar."""
    size: int
    """Bytes of the encoded image."""
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSegment:
    """An image at its place in the text."""

    url: str
    """Absolute address. A `data:` image is held under `data:,` and the hash of its bytes."""
    alt: str = ""
    caption: str = ""
    width: int | None = None
    """Rendered width in CSS pixels, where the markup says so."""
    height: int | None = None
    rule: str = ""
    """The rule of extraction that took it for content: `figure`, `container`, `between`,
    `og_image`; empty for a source that gives its images."""
    stored: StoredImage | None = None
    """Set once the image has been resolved and judged."""


Segment = TextSegment | ImageSegment


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutImage:
    """An image among the content whose markup shows that it is no picture: for the ledger."""

    url: str
    drop: Drop


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The unit of curation, from any source."""

    id: str
    source: str
    url: str
    segments: tuple[Segment, ...]
    origin: Origin
    date: str = ""
    title: str = ""
    author: str = ""
    published: str = ""
    """Day that the page says it was published, `YYYY-MM-DD`."""
    language: str = ""
    """Language that the page declares, as `en` or `pt-br`."""
    comments: tuple[str, ...] = ()
    """Readers' comments, a line or paragraph each, where the recipe asks for them."""
    scores: dict[str, float] = field(default_factory=dict)
    """Every number that a filter computed, under the rule's name: thresholds can be re-cut."""
    left_out: tuple[LeftOutImage, ...] = ()
    """Not stored with the document: its rows stand in the ledger."""
    consent: dict[str, str] = field(default_factory=dict)
    """What the page's head says of its use, under the names of the response headers that say the
    same; judged at once, not stored."""

    @property
    def text(self) -> str:
        """All text, a segment per line or more."""
        return "\n".join(s.text for s in self.segments if isinstance(s, TextSegment))

    @property
    def images(self) -> tuple[ImageSegment, ...]:
        return tuple(s for s in self.segments if isinstance(s, ImageSegment))

    def with_segments(self, segments: Iterator[Segment] | list[Segment]) -> Document:
        return replace(self, segments=join_adjacent_text(segments))


def join_adjacent_text(segments: Iterator[Segment] | list[Segment]) -> tuple[Segment, ...]:
    """Drop empty text and join neighbouring text segments, as after an image between them went.

    Text that an image interrupted becomes one line again.
    """
    joined: list[Segment] = []
    for segment in segments:
        if isinstance(segment, TextSegment):
            if not segment.text.strip():
                continue
            before = joined[-1] if joined else None
            if isinstance(before, TextSegment) and before.prompt == segment.prompt:
                joined[-1] = _joined(before, segment)
                continue
        joined.append(segment)
    return tuple(joined)


def _joined(before: TextSegment, after: TextSegment) -> TextSegment:
    gap = " " if after.continues else "\n"
    first = before.text.count("\n") + (gap == "\n")
    moved = tuple(Heading(line=h.line + first, level=h.level) for h in after.headings)
    return replace(before, text=f"{before.text}{gap}{after.text}", headings=before.headings + moved)


_HEADING = pa.struct([("line", pa.int32()), ("level", pa.int8())])
_STORED = pa.struct(
    [
        ("tar", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)

DOCUMENT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("warc_file", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("inside", pa.int64()),
        ("date", pa.string()),
        ("title", pa.string()),
        ("author", pa.string()),
        ("published", pa.string()),
        ("language", pa.string()),
        ("comments", pa.list_(pa.string())),
        ("scores", pa.map_(pa.string(), pa.float64())),
        (
            "segments",
            pa.list_(
                pa.struct(
                    [
                        ("type", pa.string()),
                        ("text", pa.string()),
                        ("continues", pa.bool_()),
                        ("prompt", pa.bool_()),
                        ("headings", pa.list_(_HEADING)),
                        ("url", pa.string()),
                        ("alt", pa.string()),
                        ("caption", pa.string()),
                        ("width", pa.int32()),
                        ("height", pa.int32()),
                        ("rule", pa.string()),
                        ("stored", _STORED),
                    ]
                )
            ),
        ),
    ]
)


def document_to_row(document: Document) -> dict[str, Any]:
    """A row of `DOCUMENT_SCHEMA`."""
    return {
        "id": document.id,
        "source": document.source,
        "url": document.url,
        "warc_file": document.origin.warc_file,
        "offset": document.origin.offset,
        "length": document.origin.length,
        "inside": document.origin.inside,
        "date": document.date,
        "title": document.title,
        "author": document.author,
        "published": document.published,
        "language": document.language,
        "comments": list(document.comments),
        "scores": sorted(document.scores.items()),
        "segments": [_segment_to_row(s) for s in document.segments],
    }


def _segment_to_row(segment: Segment) -> dict[str, Any]:
    if isinstance(segment, TextSegment):
        return {
            "type": "text",
            "text": segment.text,
            "continues": segment.continues,
            "prompt": segment.prompt,
            "headings": [{"line": h.line, "level": h.level} for h in segment.headings],
        }
    row: dict[str, Any] = {
        "type": "image",
        "url": segment.url,
        "alt": segment.alt,
        "caption": segment.caption,
        "width": segment.width,
        "height": segment.height,
        "rule": segment.rule,
    }
    if (stored := segment.stored) is not None:
        row["stored"] = {
            "tar": stored.tar,
            "offset": stored.offset,
            "size": stored.size,
            "width": stored.width,
            "height": stored.height,
        }
    return row


def document_from_row(row: dict[str, Any]) -> Document:
    """The inverse of `document_to_row`."""
    return Document(
        id=row["id"],
        source=row["source"],
        url=row["url"],
        origin=Origin(**{name: row[name] for name in ("warc_file", "offset", "length", "inside")}),
        date=row["date"],
        title=row["title"],
        author=row["author"],
        published=row["published"],
        language=row["language"],
        comments=tuple(row["comments"]),
        scores=dict(row["scores"]),
        segments=tuple(_segment_from_row(s) for s in row["segments"]),
    )


def _segment_from_row(row: dict[str, Any]) -> Segment:
    if row["type"] == "text":
        return TextSegment(
            text=row["text"],
            continues=row["continues"],
            prompt=row["prompt"],
            headings=tuple(Heading(**h) for h in row["headings"]),
        )
    stored = row["stored"]
    return ImageSegment(
        url=row["url"],
        alt=row["alt"],
        caption=row["caption"],
        width=row["width"],
        height=row["height"],
        rule=row["rule"],
        stored=None if stored is None else StoredImage(**stored),
    )


def document_to_json(document: Document) -> dict[str, Any]:
    """The document as `curate extract` prints it, one JSON object a line."""
    meta = {
        "source": document.source,
        "warc_file": document.origin.warc_file,
        "offset": document.origin.offset,
        "date": document.date,
        "title": document.title,
        "author": document.author,
        "published": document.published,
        "language": document.language,
        "scores": document.scores,
    }
    if document.comments:
        meta["comments"] = list(document.comments)
    segments = [_segment_to_json(segment) for segment in document.segments]
    return {"id": document.id, "url": document.url, "segments": segments, "meta": meta}


def _segment_to_json(segment: Segment) -> dict[str, Any]:
    if isinstance(segment, TextSegment):
        shown: dict[str, Any] = {"type": "text", "text": segment.text}
        if segment.headings:
            shown["headings"] = [{"line": h.line, "level": h.level} for h in segment.headings]
        if segment.prompt:
            shown["prompt"] = True
        return shown
    shown = {
        "type": "image",
        "url": segment.url,
        "alt": segment.alt,
        "caption": segment.caption,
        "rule": segment.rule,
    }
    if segment.width is not None:
        shown["width"] = segment.width
    if segment.height is not None:
        shown["height"] = segment.height
    return shown
