"""One pass over the DOM: a flat list of text blocks and images, in reading order.

    DOM ──walk (iterative)──▶ Block, Block, ... ──content.choose──▶ the blocks of the main content

A block is what a reader sees as a line or paragraph. Each block knows its container (the nearest
block-level ancestor) and containers know their parents, so that the choice of the main content
needs no second look at the DOM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from extraction.images import image_address, rendered_size, resolve
from extraction.markup import (
    BREAKING,
    CONTAINERS,
    HEADINGS,
    HIDDEN_STYLE,
    LANDMARKS,
    PREFORMATTED,
    SKIPPED,
    is_likely,
    is_unlikely,
)
from schemas.recipe import ExtractionLimits

# The marker of an empty list item, or punctuation that a removed image left behind.
_SAYS_NOTHING = re.compile(r"\d+\.|[^\w\u2190-\u2bff\U0001f000-\U0001faff]*")
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0\u200b\ufeff]+")


@dataclass(slots=True)
class Container:
    """A block-level element that may turn out to hold the main content."""

    parent: int
    tag: str
    likely: bool = False


@dataclass(slots=True)
class Block:
    """A line or paragraph of text, or an image."""

    container: int
    kind: str
    """Tag that made the block: `p`, `li`, `tr`, `h2`, `pre`, ..., or `img`."""
    text: str = ""
    linked: int = 0
    """Characters of the text inside links."""
    continues: bool = False
    """Whether an image interrupted the line that the text before it began."""
    url: str = ""
    alt: str = ""
    caption: str = ""
    width: int | None = None
    height: int | None = None


@dataclass(slots=True)
class Walk:
    """The result: blocks in reading order, and the tree of their containers."""

    blocks: list[Block] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    depth: int = 0


@dataclass(slots=True)
class _Frame:
    """What leaving an element has to restore."""

    node: LexborNode
    tag: str
    breaking: bool
    container: int
    block_kind: str


class _Walker:
    def __init__(self, base: str, limits: ExtractionLimits, prune_unlikely: bool) -> None:
        self.base = base
        self.limits = limits
        self.prune_unlikely = prune_unlikely
        self.walk = Walk()
        self.buffer: list[str] = []
        self.interrupted = False
        self.linked = 0
        self.container = -1
        self.kind = "p"
        self.links = 0
        self.verbatim = 0
        self.noscript = 0
        self.row_cells = 0
        self.list_counters: list[int | None] = []
        self.figures: list[tuple[int, list[str]]] = []
        self.captions = 0
        self.picture_sources: list[Mapping[str, str | None]] = []

    def run(self, root: LexborNode) -> Walk:
        """Iterative pre- and post-order: nesting is bounded by a rule, not by the stack."""
        frames: list[_Frame] = []
        node: LexborNode | None = root
        while node is not None:
            child = self.enter(node, frames)
            if child is not None:
                node = child
                continue
            following = node.next
            while following is None and frames:
                frame = frames.pop()
                self.leave(frame)
                following = frame.node.next if frames else None
            node = following
        self.flush()
        return self.walk

    def enter(self, node: LexborNode, frames: list[_Frame]) -> LexborNode | None:
        """Take in one node; its first child if it is to be descended into."""
        if node.is_text_node:
            if not self.noscript:
                self.add_text(node.text_content or "")
            return None
        if not node.is_element_node:
            return None
        tag = node.tag or ""
        if tag in SKIPPED:
            return None
        if tag == "br":
            self.buffer.append("\n")
            return None
        if tag in ("img", "amp-img", "image"):
            self.add_image(node.attributes)
            return None
        if tag == "source":
            self.picture_sources.append(node.attributes)
            return None
        if tag == "math":
            self.add_text(node.attributes.get("alttext") or node.text(deep=True, separator=" "))
            return None
        breaking = tag in BREAKING
        attributes = node.attributes if breaking or tag in ("span", "td", "th", "a", "ins") else {}
        if attributes and tag not in ("html", "body") and self.is_pruned(tag, attributes):
            return None
        child = node.first_child
        if child is None:
            if breaking:
                self.end_line()
            return None
        frames.append(_Frame(node, tag, breaking, self.container, self.kind))
        self.walk.depth = max(self.walk.depth, len(frames))
        self.open(tag, breaking, attributes)
        return child

    def is_pruned(self, tag: str, attributes: dict[str, str | None]) -> bool:
        if "hidden" in attributes or attributes.get("aria-hidden") == "true":
            return True
        if attributes.get("role") in LANDMARKS:
            return True
        style = attributes.get("style")
        if style and HIDDEN_STYLE.search(style):
            return True
        if not self.prune_unlikely or tag in ("article", "main", "h1"):
            return False
        if tag == "aside":
            return True
        label = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
        return label != " " and is_unlikely(label)

    def open(self, tag: str, breaking: bool, attributes: dict[str, str | None]) -> None:
        if breaking:
            self.end_line()
            if tag in CONTAINERS:
                label = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
                likely = tag in ("article", "main") or (
                    attributes.get("itemprop") == "articleBody" or is_likely(label)
                )
                self.walk.containers.append(Container(self.container, tag, likely))
                self.container = len(self.walk.containers) - 1
            if tag in ("li", "tr", "dt", "dd", "caption", "blockquote") or tag in HEADINGS:
                self.kind = tag
            elif tag in ("p", "div", "section", "article", "td") and self.kind != "li":
                self.kind = "p"
        if tag == "a":
            self.links += 1
        elif tag in ("td", "th"):
            self.row_cells += 1
            if self.row_cells > 1 and any(part.strip() for part in self.buffer):
                self.buffer.append(" | ")
        elif tag == "tr":
            self.row_cells = 0
        elif tag in ("ul", "ol"):
            self.list_counters.append(0 if tag == "ol" else None)
        elif tag == "li":
            self.buffer.append(self.list_marker())
        elif tag in PREFORMATTED:
            self.verbatim += 1
            self.kind = "pre"
        elif tag == "noscript":
            self.noscript += 1
        elif tag == "picture":
            self.picture_sources = []
        elif tag == "figure":
            self.figures.append((len(self.walk.blocks), []))
        elif tag == "figcaption" and self.figures:
            self.captions += 1

    def leave(self, frame: _Frame) -> None:
        tag = frame.tag
        if frame.breaking:
            self.end_line()
        if tag == "a":
            self.links -= 1
        elif tag in ("ul", "ol"):
            self.list_counters.pop()
        elif tag in PREFORMATTED:
            self.verbatim -= 1
        elif tag == "noscript":
            self.noscript -= 1
        elif tag == "figcaption" and self.figures:
            self.captions -= 1
        elif tag == "picture":
            self.picture_sources = []
        elif tag == "figure":
            self.attach_caption(*self.figures.pop())
        self.container = frame.container
        self.kind = frame.block_kind

    def list_marker(self) -> str:
        if not self.list_counters or self.list_counters[-1] is None:
            return "- "
        self.list_counters[-1] += 1
        return f"{self.list_counters[-1]}. "

    def add_text(self, text: str) -> None:
        if not self.verbatim:
            text = _SPACE.sub(" ", text)
        self.buffer.append(text)
        if self.links:
            self.linked += len(text.strip())

    def add_image(self, attributes: dict[str, str | None]) -> None:
        address = image_address(attributes, self.picture_sources, self.limits.max_srcset_width)
        url = resolve(self.base, address) if address else None
        if url is None or len(url) > self.limits.max_data_uri_bytes:
            return
        before = self.walk.blocks[-1] if self.walk.blocks else None
        if self.noscript and before is not None and before.kind == "img" and before.url == url:
            return
        width, height = rendered_size(attributes)
        self.interrupted = self.flush() or self.interrupted
        self.walk.blocks.append(
            Block(
                container=self.container,
                kind="img",
                url=url,
                alt=_SPACE.sub(" ", attributes.get("alt") or "").strip(),
                width=width,
                height=height,
            )
        )

    def end_line(self) -> None:
        """Close the current block at the edge of an element that stands on lines of its own."""
        self.flush()
        self.interrupted = False

    def flush(self) -> bool:
        """Close the current block; whether there was any text in it."""
        if not self.buffer:
            return False
        raw = "".join(self.buffer)
        self.buffer.clear()
        linked, self.linked = self.linked, 0
        text = raw.strip("\n") if self.verbatim else _lines(raw)
        if _SAYS_NOTHING.fullmatch(text):
            return False
        if self.captions and self.figures:
            self.figures[-1][1].append(text)
            return False
        kind = "pre" if self.verbatim else self.kind
        self.walk.blocks.append(
            Block(
                container=self.container,
                kind=kind,
                text=text,
                linked=linked,
                continues=self.interrupted,
            )
        )
        self.interrupted = False
        return True

    def attach_caption(self, first: int, captions: list[str]) -> None:
        """Give a figure's caption to its last image; without an image it stays text."""
        if not captions:
            return
        caption = "\n".join(captions)
        for block in reversed(self.walk.blocks[first:]):
            if block.kind == "img":
                block.caption = caption
                return
        self.walk.blocks.append(Block(container=self.container, kind="p", text=caption))


def walk_blocks(
    root: LexborNode, base: str, limits: ExtractionLimits, prune_unlikely: bool
) -> Walk:
    """Blocks of a parsed page.

    Args:
        root: the `html` element.
        base: absolute address that relative ones are resolved against.
        limits: bounds on images' `srcset` width and `data:` length.
        prune_unlikely: leave out elements whose class or id names boilerplate.
    """
    return _Walker(base, limits, prune_unlikely).run(root)


def _lines(raw: str) -> str:
    lines = (_SPACE.sub(" ", line).strip() for line in raw.split("\n"))
    return "\n".join(line for line in lines if line)
