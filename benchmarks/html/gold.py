"""Real pages with what is known of their content: text, snippets, images in reading order."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser

from curate.filters.web.record import classify_record
from curate.schemas.page import Record
from curate.sources.archives.archive import read_archive

TEXT_SETS = (
    "aeb",
    "cleaneval",
    "cleanportal",
    "dragnet",
    "htmltotext",
    "pagesignal",
    "readability",
)
"""The sets with gold text that the mean is taken over."""
SITE_IMAGES = {
    "colah": "#content img",
    "debian-gimp-help-en": ".mediaobject img",
    "debian-gimp-help-ja": ".mediaobject img",
    "debian-gnucash-docs": ".mediaobject img",
    "debian-python-skimage-doc": "[role=main] img, section img",
    "lilianweng": ".post-content img",
}
"""CSS selector of the content images of sites whose structure tells them."""


@dataclass(frozen=True, slots=True)
class GoldPage:
    """A page and its truth; fields are None (or empty) where nothing is known."""

    id: str
    set: str
    url: str
    html: bytes
    charset: str | None
    text: str | None = None
    required: tuple[str, ...] = ()
    """Snippets that the text must hold."""
    forbidden: tuple[str, ...] = ()
    """Snippets that it must not hold."""
    images: tuple[str, ...] | None = field(default=None)
    """`image_name` of the content images, in reading order."""
    images_are_complete: bool = False
    """Whether an image that is not listed is wrong."""


def image_name(address: str) -> str:
    """What images are compared by: the last component of the address's path."""
    return unquote(urlsplit(address).path.rstrip("/").rsplit("/", 1)[-1])


def load_gold(data: Path) -> list[GoldPage]:
    """Every page of `data/warc` that has some truth, by id.

    Args:
        data: folder with `warc/`, `truth.jsonl.gz` and `interleaved_truth.jsonl.gz`.
    """
    ids = {row["sha1"]: row for row in _rows(data / "warc" / "pages.jsonl.gz")}
    truths = {row["id"]: row for row in _rows(data / "truth.jsonl.gz") if not row["suspect"]}
    sequences = {row["id"]: row["sequence"] for row in _rows(data / "interleaved_truth.jsonl.gz")}
    pages = {}
    for path in sorted((data / "warc").glob("*.warc.gz")):
        for item in read_archive(str(path), 64 << 20):
            if not isinstance(item, Record) or classify_record(item) != "page":
                continue
            row = ids.get(hashlib.sha1(item.payload, usedforsecurity=False).hexdigest())
            if row and (row["id"] in truths or row["set"] in SITE_IMAGES):
                pages[row["id"]] = _page(
                    row, item, truths.get(row["id"], {}), sequences.get(row["id"])
                )
    return [pages[key] for key in sorted(pages)]


def _page(
    row: dict[str, Any], record: Record, truth: dict[str, Any], sequence: list[list[str]] | None
) -> GoldPage:
    images: tuple[str, ...] | None = None
    if sequence is not None:
        images = tuple(image_name(part[1]) for part in sequence if part[0] == "image")
    elif row["set"] in SITE_IMAGES:
        found = LexborHTMLParser(record.payload).css(SITE_IMAGES[row["set"]])
        # An element that the selector finds by several ancestors counts once.
        sources = {image.mem_id: image.attributes.get("src") or "" for image in found}
        images = tuple(map(image_name, sources.values()))
    return GoldPage(
        id=row["id"],
        set="cleaneval" if row["set"] == "cleaneval-dev" else row["set"],
        url=row["url"],
        html=record.payload,
        charset=record.charset,
        text=truth.get("text"),
        required=tuple(truth.get("with", ())),
        forbidden=tuple(truth.get("without", ())),
        images=images,
        images_are_complete=sequence is not None,
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
