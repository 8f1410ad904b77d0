"""What a page says of itself in its head: title, author, date, language, lead image, its use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from selectolax.lexbor import LexborHTMLParser

_TITLES = ("og:title", "twitter:title", "dc.title")
_AUTHORS = ("author", "article:author", "dc.creator", "parsely-author", "sailthru.author")
_DATES = (
    "article:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.date",
    "pubdate",
    "publishdate",
    "parsely-pub-date",
    "sailthru.date",
    "article:published",
)
_LANGUAGES = ("content-language", "og:locale", "dc.language")
_IMAGES = ("og:image", "og:image:url", "og:image:secure_url", "twitter:image")
_TDM = "tdm-reservation"
_WANTED = frozenset((*_TITLES, *_AUTHORS, *_DATES, *_LANGUAGES, *_IMAGES, _TDM))
_NAMING = ("property", "name", "itemprop", "http-equiv")
_ISO_DATE = re.compile(r"\s*(\d{4})[-/.]?(0[1-9]|1[0-2])[-/.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)
_MAX_LD_CHARS = 200_000
_MAX_LD_NODES = 200
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """Stored with the document and never mixed into its text; empty where nothing is said."""

    title: str = ""
    author: str = ""
    published: str = ""
    """Day of publication, `YYYY-MM-DD`."""
    language: str = ""
    """As declared, in lower case with hyphens (`en`, `pt-br`)."""
    image: str = ""
    """Address of the lead image, as written."""
    robots: str = ""
    """Directives to all robots and to ours, a line an element, as X-Robots-Tag would say them."""
    tdm_reservation: str = ""
    """`1` where the rights of text and data mining are reserved (W3C TDMRep, section 6.3)."""


def read_metadata(tree: LexborHTMLParser, robots_token: str) -> Metadata:
    """Metadata of a parsed page: meta elements first, JSON-LD for what they leave out.

    Args:
        tree: the page.
        robots_token: name of a `<meta>` that speaks to our robot alone.
    """
    said: dict[str, str] = {}
    robots: list[str] = []
    for node in tree.css("meta"):
        attributes = node.attributes
        content = attributes.get("content")
        if not content:
            continue
        for naming in _NAMING:
            name = (attributes.get(naming) or "").lower()
            if name == "robots":
                robots.append(" ".join(content.split()))
            elif name == robots_token.lower():
                robots.append(f"{name}: {' '.join(content.split())}")
            elif name in _WANTED:
                said.setdefault(name, " ".join(content.split()))
    title = tree.css_first("title")
    author = next((said[n] for n in _AUTHORS if _is_name(said.get(n, ""))), "")
    published = next((day for n in _DATES if (day := iso_day(said.get(n, "")))), "")
    if not author or not published:
        linked_author, linked_day = _linked_data(tree)
        author, published = author or linked_author, published or linked_day
    return Metadata(
        title=" ".join(title.text().split()) if title is not None else _first(said, _TITLES),
        author=author,
        published=published,
        language=_language(tree, said),
        image=_first(said, _IMAGES),
        robots="\n".join(robots),
        tdm_reservation=said.get(_TDM, ""),
    )


def iso_day(text: str) -> str:
    """The day of a date in ISO 8601 or RFC 2822, as `YYYY-MM-DD`; empty for anything else."""
    if match := _ISO_DATE.match(text):
        return "-".join(match.groups())
    try:
        return parsedate_to_datetime(text).strftime("%Y-%m-%d") if "," in text else ""
    except (TypeError, ValueError, OverflowError):
        return ""


def _language(tree: LexborHTMLParser, said: dict[str, str]) -> str:
    root = tree.root
    declared = (root.attributes.get("lang") or "") if root is not None else ""
    for text in (declared, _first(said, _LANGUAGES)):
        if match := _LANGUAGE.match(text.strip()):
            return match.group().lower().replace("_", "-")
    return ""


def _linked_data(tree: LexborHTMLParser) -> tuple[str, str]:
    """Author and day of the page's JSON-LD; what does not parse says nothing."""
    author = published = ""
    for script in tree.css('script[type="application/ld+json"]'):
        text = script.text()
        if len(text) > _MAX_LD_CHARS:
            continue
        try:
            given = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        for node in _nodes(given):
            day = node.get("datePublished")
            published = published or iso_day(day if isinstance(day, str) else "")
            if "headline" in node or "articleBody" in node or "datePublished" in node:
                author = author or _names(node.get("author"))
    return author, published


def _nodes(given: Any) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-LD document: itself, the members of a list or of `@graph`."""
    waiting = [given]
    for _ in range(_MAX_LD_NODES):
        if not waiting:
            return
        node = waiting.pop(0)
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            yield node
            if "@graph" in node:
                waiting.append(node["@graph"])


def _names(author: Any) -> str:
    """Names of a JSON-LD author: a string, an object, or a list of either."""
    given = author if isinstance(author, list) else [author]
    names = [a.get("name") if isinstance(a, dict) else a for a in given]
    return ", ".join(" ".join(n.split()) for n in names if isinstance(n, str) and _is_name(n))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME and not text.startswith(("http://", "https://"))


def _first(said: dict[str, str], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if said.get(name)), "")
