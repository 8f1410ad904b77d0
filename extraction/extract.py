"""`extract`: the one way from HTML bytes to a document."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from extraction.blocks import Block, Walk, walk_blocks
from extraction.charset import decode_html
from extraction.content import choose_content, visible_length
from extraction.images import resolve
from schemas.document import Document, ImageSegment, Segment, TextSegment, join_adjacent_text
from schemas.identity import document_id
from schemas.page import Origin
from schemas.recipe import ExtractionLimits
from schemas.verdict import Drop

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^>]*>")
_NOT_NESTING = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "p",
        "li",
        "td",
        "th",
        "tr",
        "dt",
        "dd",
        "option",
        "tbody",
        "thead",
        "tfoot",
    ]
)
_TAGS_TO_MEASURE = 20_000
"""Pages with fewer tags than this can't nest deep enough to hurt, so their depth isn't measured."""
_MIN_SHARE_AFTER_PRUNING = 0.25
_NOWHERE = Origin(warc_file="", offset=0)


def extract(
    html: bytes,
    url: str,
    *,
    source: str = "",
    charset: str | None = None,
    origin: Origin = _NOWHERE,
    date: str = "",
    limits: ExtractionLimits | None = None,
) -> Document | Drop:
    """The main content of a page: text and images in reading order.

    Args:
        html: the page's bytes after content decoding.
        url: absolute address of the page; relative addresses are resolved against it or `<base>`.
        source: name of the source, for the document.
        charset: charset of the HTTP Content-Type header, if it named one.
        origin: the record that the page came from.
        date: capture time.
        limits: bounds; the defaults of a recipe when left out.

    Returns:
        A document, which may hold no text or no image; or a `Drop` where a limit was hit
        (`page.html_bytes`, `page.dom_nodes`, `page.dom_depth`).
    """
    limits = limits or ExtractionLimits()
    if len(html) > limits.max_html_bytes:
        return Drop("page.html_bytes", len(html), limits.max_html_bytes)
    text = decode_html(html, charset)
    tags = text.count("<")
    if tags > limits.max_dom_nodes:
        return Drop("page.dom_nodes", tags, limits.max_dom_nodes)
    if tags > _TAGS_TO_MEASURE and (depth := nesting(text)) > limits.max_dom_depth:
        return Drop("page.dom_depth", depth, limits.max_dom_depth)
    tree = LexborHTMLParser(text)
    root = tree.root
    if root is None:
        walk = Walk()
    else:
        base = _base(tree, url)
        walk = walk_blocks(root, base, limits, prune_unlikely=True)
        if _prose(walk.blocks) < _MIN_SHARE_AFTER_PRUNING * max(len(text) // 40, 200):
            unpruned = walk_blocks(root, base, limits, prune_unlikely=False)
            if _prose(walk.blocks) < _MIN_SHARE_AFTER_PRUNING * _prose(unpruned.blocks):
                walk = unpruned
    if walk.depth > limits.max_dom_depth:
        return Drop("page.dom_depth", walk.depth, limits.max_dom_depth)
    return Document(
        id=document_id(origin.warc_file, origin.offset, url),
        source=source,
        url=url,
        segments=_segments(choose_content(walk)),
        origin=origin,
        date=date,
        title=_title(tree),
    )


def nesting(html: str) -> int:
    """Deepest nesting that the tags of a page can produce, without parsing it."""
    depth = deepest = 0
    for closing, tag in _TAG.findall(html):
        if tag.lower() in _NOT_NESTING:
            continue
        depth = max(depth - 1, 0) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _segments(blocks: list[Block]) -> tuple[Segment, ...]:
    return join_adjacent_text(
        [
            ImageSegment(url=b.url, alt=b.alt, caption=b.caption, width=b.width, height=b.height)
            if b.kind == "img"
            else TextSegment(text=b.text, continues=b.continues)
            for b in blocks
        ]
    )


def _prose(blocks: list[Block]) -> int:
    return sum(visible_length(b.text) - b.linked for b in blocks if b.kind != "img")


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    return (resolve(url, node.attributes.get("href") or "") if node else None) or url


def _title(tree: LexborHTMLParser) -> str:
    node = tree.css_first("title")
    return " ".join(node.text().split()) if node else ""
