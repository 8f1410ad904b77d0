"""`extract`: the one way from HTML bytes to a document.

bytes ──charset, limits──▶ text ──lexbor──▶ DOM ──walk──▶ blocks ──content──▶ Document
"""

from __future__ import annotations

import re
from functools import partial

from selectolax.lexbor import LexborHTMLParser

from curate.extraction.charset import to_utf8
from curate.extraction.content import Content, choose_content
from curate.extraction.fallback import blocks_by_trafilatura
from curate.extraction.images import resolve
from curate.extraction.markup import HEADINGS
from curate.extraction.metadata import Metadata, read_metadata
from curate.extraction.model import BlockModel, load_model
from curate.extraction.walk import Block, Walk, walk_blocks
from curate.schemas.document import Document, Heading, ImageSegment, Segment, TextSegment
from curate.schemas.identity import document_id
from curate.schemas.page import Origin
from curate.schemas.settings.recipe import Extraction
from curate.schemas.verdict import Drop

_TAG = re.compile(rb"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^>]*+(?:>|\Z)")
_NOT_NESTING = frozenset(
    b"area base br col embed hr img input link meta param source track wbr p li td th tr dt dd "
    b"option tbody thead tfoot".split()
)
_TAGS_TO_MEASURE = 20_000
"""Pages with fewer tags than this can't nest deep enough to hurt, so their depth isn't measured."""
_BYTES_TO_MEASURE = 256 << 10
"""Tags of longer pages are looked at for attributes, wherever a `>` seems to end them."""
_MAX_ATTRIBUTES = 10_000
"""The parser compares each attribute of a tag with those before it."""
_SHORTEST_ATTRIBUTE = 2
"""Bytes, with the space before it."""
_WHOLE_TAG = re.compile(rb"""<[a-zA-Z](?:[^>"']++|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+""")
_QUOTED = re.compile(rb"""(?:"[^"]*+"|'[^']*+')""")
_ATTRIBUTE = re.compile(rb"[\s/]+")
_OPTIONS_TO_RENAME = 2_000
"""The parser goes through a list of options for each of them. In a `datalist`, which is no more
shown than a closed list, it does not."""
_SELECT = re.compile(rb"(</?)select(?![a-z0-9-])", re.IGNORECASE)
_NOWHERE = Origin(warc_file="", offset=0)


def extract(
    html: bytes,
    url: str,
    *,
    source: str = "",
    charset: str | None = None,
    origin: Origin = _NOWHERE,
    date: str = "",
    limits: Extraction | None = None,
    model: BlockModel | None = None,
    robots_token: str = "curate",
) -> Document | Drop:
    """The main content of a page: text and images in reading order.

    Args:
        html: the page's bytes after content decoding.
        url: absolute address of the page; relative addresses are resolved against it or `<base>`.
        source: name of the source, for the document.
        charset: charset of the HTTP Content-Type header, if it named one.
        origin: the record that the page came from.
        date: capture time.
        limits: what is taken, and bounds; the defaults of a recipe when left out.
        model: judge of text blocks; the one that ships with the package when left out.
        robots_token: name of a `<meta>` with directives to our robot alone.

    Returns:
        A document, which may hold no text or no image; or a `Drop` where a limit was hit
        (`page.html_bytes`, `page.dom_nodes`, `page.dom_depth`, `page.tag_attributes`).
    """
    options = limits or Extraction()
    if len(html) > options.max_html_bytes:
        return Drop("page.html_bytes", len(html), options.max_html_bytes)
    text = to_utf8(html, charset)
    tags = text.count(b"<")
    if tags > options.max_dom_nodes:
        return Drop("page.dom_nodes", tags, options.max_dom_nodes)
    if _may_have_long_tags(text) and (held := most_attributes(text)) > _MAX_ATTRIBUTES:
        return Drop("page.tag_attributes", held, _MAX_ATTRIBUTES)
    if text.count(b"<option") + text.count(b"<OPTION") > _OPTIONS_TO_RENAME:
        text = _SELECT.sub(rb"\1datalist", text)
    if tags > _TAGS_TO_MEASURE and (depth := nesting(text)) > options.max_dom_depth:
        return Drop("page.dom_depth", depth, options.max_dom_depth)
    tree = LexborHTMLParser(text)
    metadata = read_metadata(tree, robots_token)
    base = _base(tree, url)
    root = tree.root
    walk = Walk() if root is None else walk_blocks(root, options)
    if walk.depth > options.max_dom_depth:
        return Drop("page.dom_depth", walk.depth, options.max_dom_depth)
    fallback = partial(blocks_by_trafilatura, text) if options.fallback else None
    content = choose_content(walk, base, options, model or load_model(), fallback)
    return Document(
        id=document_id(origin, url),
        source=source,
        url=url,
        segments=_segments(content, metadata, base, options),
        origin=origin,
        date=date,
        title=metadata.title,
        author=metadata.author,
        published=metadata.published,
        language=metadata.language,
        comments=tuple(content.comments),
        scores={"extraction.confidence": round(content.confidence, 3)},
        left_out=tuple(content.left_out),
        consent={"x-robots-tag": metadata.robots, "tdm-reservation": metadata.tdm_reservation},
    )


def _may_have_long_tags(html: bytes) -> bool:
    longest = max(map(len, html.split(b">")))
    return len(html) > _BYTES_TO_MEASURE or longest > _SHORTEST_ATTRIBUTE * _MAX_ATTRIBUTES


def most_attributes(html: bytes) -> int:
    """The most attributes that a tag of a page can have, without parsing it.

    Only of tags that may have more than the limit; a stray quotation mark makes them longer.
    """
    longest = 0
    for tag in _WHOLE_TAG.findall(html):
        if len(tag) > _SHORTEST_ATTRIBUTE * _MAX_ATTRIBUTES:
            longest = max(longest, len(_ATTRIBUTE.findall(_QUOTED.sub(b"v ", tag))))
    return longest


def nesting(html: bytes) -> int:
    """Deepest nesting that the tags of a page can produce, without parsing it.

    An end tag counts where one of its name is open: the parser looks for that through all that is.
    """
    depth = deepest = 0
    opened: dict[bytes, int] = {}
    for closing, tag in _TAG.findall(html):
        name = tag.lower()
        if name in _NOT_NESTING:
            continue
        if not closing:
            opened[name] = opened.get(name, 0) + 1
            depth += 1
            deepest = max(deepest, depth)
        elif opened.get(name):
            opened[name] -= 1
            depth -= 1
    return deepest


def _segments(
    content: Content, metadata: Metadata, base: str, options: Extraction
) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    lead = metadata.image if options.og_image and not content.pictures else ""
    if lead and (url := resolve(base, lead)):
        segments.append(ImageSegment(url=url, rule="og_image"))
    lines: list[Block] = []
    for block in content.blocks:
        if block.image is None:
            lines.append(block)
            continue
        if lines:
            segments.append(_text_segment(lines))
            lines = []
        picture, rule = content.pictures[id(block)]
        segments.append(
            ImageSegment(
                url=picture.url,
                alt=picture.alt,
                caption=block.image.caption,
                width=picture.width,
                height=picture.height,
                rule=rule,
            )
        )
    if lines:
        segments.append(_text_segment(lines))
    return tuple(segments)


def _text_segment(blocks: list[Block]) -> TextSegment:
    """One segment of blocks with no image between them."""
    parts = [blocks[0].text]
    headings = []
    line = 0
    for block in blocks:
        if block is not blocks[0]:
            # A line that an image interrupted, which is not content, goes on.
            parts += [" " if block.continues else "\n", block.text]
            line += not block.continues
        if block.tag in HEADINGS:
            headings.append(Heading(line=line, level=int(block.tag[1])))
        line += block.text.count("\n")
    return TextSegment(text="".join(parts), continues=blocks[0].continues, headings=tuple(headings))


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    return (resolve(url, node.attributes.get("href") or "") if node else None) or url
