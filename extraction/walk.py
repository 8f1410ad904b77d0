"""One pass over the DOM: a flat list of text blocks and images, in reading order.

    DOM ──walk (iterative)──▶ Block, Block, ... ──content──▶ the blocks of the main content

A block is what a reader sees as a line or paragraph. Each block knows its container (the nearest
element that begins and ends a line), and containers know their parents and the range of blocks
inside them, so that the choice of the main content needs no second look at the DOM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from curate.extraction.images import IMAGE_FILE, ImageElement, background_address
from curate.extraction.markup import (
    BREAK,
    HEADINGS,
    HIDDEN,
    LANDMARK_BITS,
    LEAF,
    LOOK,
    PREFORMATTED,
    SKIP,
    SPECIAL,
    TOPIC_BITS,
    TRAITS,
    VISIBILITY,
    hides,
    topics_of,
)
from curate.extraction.mathematics import latex_of_image, latex_of_math, latex_of_script
from curate.schemas.settings.recipe import Extraction

_BR = "\ufdd0"
"""Mark of a line break: a noncharacter, which no text holds."""
_SLIDES = TOPIC_BITS["media"]
"""Slides that a carousel does not show yet are hidden from screen readers only."""
_ROOTS = ("html", "body")
"""Elements that scripts show in the end, whatever their style says before."""
# The marker of an empty list item, or punctuation that a removed image left behind.
_SAYS_NOTHING = re.compile(r"\d+\.|[^\w\u2190-\u2bff\U0001f000-\U0001faff]*")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\ufdd0]+")
_INVISIBLES = ("\u00ad", "\u200b", "\u2060", "\ufeff", "\ufdd0")
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60"
_BREAK_BEFORE_WIDE = re.compile(rf"\n\s*(?=[{_WIDE}])")
"""Begins with a character, so that text without one is passed over at the speed of memchr."""
_WIDE_BREAK = re.compile(rf"(?<=[{_WIDE}])[ \t\r]*\n\s*(?=[{_WIDE}])")
_MAX_CELL_IN_ROW = 300
"""Characters above which a table cell is a paragraph of a layout, and no cell of data."""


@dataclass(slots=True)
class Block:
    """A line or paragraph of text, or an image."""

    container: int
    text: str = ""
    tag: str = "p"
    """Tag of the container, or `pre` for all that stands inside preformatted text."""
    linked: int = 0
    """Characters of the text inside links."""
    topics: int = 0
    """Topics that classes of inline elements in the block name."""
    continues: bool = False
    """Whether an image interrupted the line that the text before it began."""
    image: ImageElement | None = None


@dataclass(slots=True)
class Walk:
    """The result: blocks in reading order, their containers, and the paths of the containers.

    Containers and paths are held as columns. A container's parent comes before it; blocks
    `first[i]` up to `last[i]` lie inside it. Containers that look alike have the same path: tags
    and classes from the root down.
    """

    blocks: list[Block] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    path: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    path_parent: list[int] = field(default_factory=list)
    path_tag: list[str] = field(default_factory=list)
    path_topics: list[int] = field(default_factory=list)
    path_topics_around: list[int] = field(default_factory=list)
    """Topics of the path and of all paths around it."""
    path_tags_around: list[int] = field(default_factory=list)
    """Tags of `LANDMARK_BITS`, likewise."""
    path_depth: list[int] = field(default_factory=list)
    wider: list[int] = field(default_factory=list)
    """The nearest ancestor of each container that holds more blocks than it; -1 for none."""
    depth: int = 0

    def tag(self, container: int) -> str:
        return self.path_tag[self.path[container]]


@dataclass(slots=True)
class _Row:
    """A table row that is open: its container, and the first block of each cell so far."""

    container: int
    cells: list[int]


@dataclass(slots=True)
class _Figure:
    """A figure that is open: its first block, and its captions so far."""

    first: int
    item: str
    """Its `itemid`."""
    captions: list[str] = field(default_factory=list)


class _Walker:
    def __init__(self, options: Extraction) -> None:
        self.options = options
        self.walk = Walk()
        self.blocks = self.walk.blocks
        self.paths: dict[tuple[int, str, str, str], int] = {}
        self.open_elements: list[tuple[LexborNode, str, int]] = []
        self.buffer: list[str] = []
        self.buffer_topics = 0
        self.interrupted = False
        self.linked = 0
        self.container = -1
        self.links = 0
        self.verbatim = 0
        self.noscript = 0
        self.marker = ""
        self.lists: list[int | None] = []
        self.rows: list[_Row] = []
        self.figures: list[_Figure] = []
        self.captions = 0
        self.picture_sources: list[Mapping[str, str | None]] = []

    def run(self, root: LexborNode) -> Walk:
        """Iterative pre- and post-order: nesting is bounded by a rule, not by the stack."""
        buffer, open_elements = self.buffer, self.open_elements
        traits_of = TRAITS.get
        node: LexborNode | None = root
        while node is not None:
            following = None
            text = node.text_content
            if text is not None:
                if not text.isspace() or self.verbatim:
                    self.add_text(text)
                elif buffer and buffer[-1] != _BR:
                    buffer.append(" ")
            else:
                # A comment is like an element that has no traits and no children.
                tag = node.tag or ""
                traits = traits_of(tag, 0)
                if not traits:
                    following = node.first_child
                    if following is not None:
                        open_elements.append((node, "", 0))
                elif not traits & SKIP:
                    following = self.enter(node, tag, traits)
            if following is None:
                if len(open_elements) > self.walk.depth:
                    self.walk.depth = len(open_elements)
                following = node.next
                while following is None and open_elements:
                    element, tag, container = open_elements.pop()
                    if tag:
                        self.leave(tag, container)
                    following = element.next if open_elements else None
            node = following
        self.flush()
        self.find_wider()
        return self.walk

    def find_wider(self) -> None:
        walk = self.walk
        first, last, wider = walk.first, walk.last, walk.wider
        # A parent comes before its children, so its own answer is known when theirs is asked.
        for container, parent in enumerate(walk.parent):
            alike = (
                parent >= 0
                and first[parent] == first[container]
                and last[parent] == last[container]
            )
            wider.append(wider[parent] if alike else parent)

    def enter(self, node: LexborNode, tag: str, traits: int) -> LexborNode | None:
        """Take in one element; its first child if it is to be descended into."""
        if traits & LEAF:
            self.take_leaf(node, tag)
            return None
        label = identifier = style = item = ""
        is_unread = False
        if traits & LOOK:
            for name, value in node.attributes.items():
                if name == "class":
                    label = value or ""
                elif name == "id" or name == "itemprop":
                    identifier = f"{identifier} {value}"
                elif name == "itemid":
                    item = value or ""
                elif name == "aria-hidden":
                    is_unread = value == "true"
                elif name in VISIBILITY:
                    if hides(name, value or "") and tag not in _ROOTS:
                        return None
                    style = value or "" if name == "style" else style
            if is_unread and not topics_of(label) & _SLIDES:
                return None
        open_elements = self.open_elements
        child = node.first_child
        if traits & BREAK:
            if self.buffer:
                self.flush()
            self.interrupted = False
            if child is None:
                if self.rows and (tag == "td" or tag == "th"):
                    self.rows[-1].cells.append(len(self.blocks))
                return None
            open_elements.append((node, tag, self.container))
            if not self.open_container(tag, label, identifier):
                open_elements.pop()
                return None
        else:
            if child is None:
                return None
            if label:
                topics = topics_of(label)
                if topics & HIDDEN:
                    return None
                self.buffer_topics |= topics
            open_elements.append((node, tag, 0))
        if style and self.options.css_backgrounds:
            self.add_background(style)
        if traits & SPECIAL:
            self.open_special(tag, item)
        return child

    def open_container(self, tag: str, label: str, identifier: str) -> bool:
        """Open a container; False where its class hides it."""
        walk, container = self.walk, self.container
        parent = walk.path[container] if container >= 0 else -1
        key = (parent, tag, label, identifier)
        path = self.paths.get(key)
        if path is None:
            topics = topics_of(label + identifier)
            path = -1 if topics & HIDDEN else len(walk.path_tag)
            self.paths[key] = path
            if path >= 0:
                walk.path_parent.append(parent)
                walk.path_tag.append(tag)
                walk.path_topics.append(topics)
                tags = LANDMARK_BITS.get(tag, 0)
                depth = 0
                if parent >= 0:
                    topics |= walk.path_topics_around[parent]
                    tags |= walk.path_tags_around[parent]
                    depth = walk.path_depth[parent] + 1
                walk.path_topics_around.append(topics)
                walk.path_tags_around.append(tags)
                walk.path_depth.append(depth)
        if path < 0:
            return False
        self.container = len(walk.parent)
        walk.parent.append(container)
        walk.path.append(path)
        walk.first.append(len(self.blocks))
        walk.last.append(0)
        return True

    def take_leaf(self, node: LexborNode, tag: str) -> None:
        """Take in an element that is not descended into."""
        if tag == "br":
            if self.buffer and self.buffer[-1] == _BR and not self.verbatim:
                self.end_line()
            else:
                self.buffer.append("\n" if self.verbatim else _BR)
        elif tag == "source":
            self.picture_sources.append(node.attributes)
        elif tag == "math":
            self.add_text(latex_of_math(node))
        elif tag == "script":
            self.add_text(latex_of_script(node))
        else:
            attributes = node.attributes
            if formula := latex_of_image(attributes):
                self.add_text(formula)
            else:
                self.add_image(attributes)

    def open_special(self, tag: str, item: str) -> None:
        if tag == "a":
            self.links += 1
        elif tag == "td" or tag == "th":
            if self.rows:
                self.rows[-1].cells.append(len(self.blocks))
        elif tag == "tr":
            self.rows.append(_Row(self.container, []))
        elif tag == "ul":
            self.lists.append(None)
        elif tag == "ol":
            self.lists.append(0)
        elif tag == "li":
            self.marker = self.list_marker()
        elif tag in PREFORMATTED:
            self.verbatim += 1
        elif tag == "noscript":
            self.noscript += 1
        elif tag == "picture":
            self.picture_sources = []
        elif tag == "figure":
            self.figures.append(_Figure(len(self.blocks), item))
        elif tag == "figcaption":
            self.captions += 1

    def leave(self, tag: str, container: int) -> None:
        traits = TRAITS[tag]
        if traits & BREAK:
            if self.buffer:
                self.flush()
            self.interrupted = False
            if tag == "tr":
                self.leave_row(self.rows.pop())
            self.walk.last[self.container] = len(self.blocks)
            self.container = container
        if not traits & SPECIAL:
            return
        if tag == "a":
            self.links -= 1
        elif tag == "ul" or tag == "ol":
            self.lists.pop()
        elif tag == "li":
            self.marker = ""
        elif tag in PREFORMATTED:
            self.verbatim -= 1
        elif tag == "noscript":
            self.noscript -= 1
        elif tag == "figcaption":
            self.captions -= 1
        elif tag == "picture":
            self.picture_sources = []
        elif tag == "figure":
            self.leave_figure()

    def list_marker(self) -> str:
        indent = "  " * max(len(self.lists) - 1, 0)
        if not self.lists or (number := self.lists[-1]) is None:
            return f"{indent}- "
        self.lists[-1] = number + 1
        return f"{indent}{number + 1}. "

    def leave_row(self, row: _Row) -> None:
        """Make the cells of a table row one line, unless they are parts of a layout."""
        blocks = self.blocks
        if len(row.cells) < 2 or len(blocks) - row.cells[0] < 2:
            return
        ends = [*row.cells[1:], len(blocks)]
        cells = []
        for start, end in zip(row.cells, ends, strict=True):
            if end - start > 1 or (end > start and not _is_cell(blocks[start])):
                return
            cells.append(blocks[start] if end > start else None)
        while cells[-1] is None:
            cells.pop()
        first = row.cells[0]
        texts = ["" if cell is None else cell.text.replace("\n", " ") for cell in cells]
        made = [cell for cell in cells if cell is not None]
        topics = 0
        for cell in made:
            topics |= cell.topics
        linked = sum(cell.linked for cell in made)
        blocks[first:] = [Block(row.container, " | ".join(texts), "tr", linked, topics)]
        for container in range(row.container + 1, len(self.walk.parent)):
            self.walk.first[container], self.walk.last[container] = first, first + 1

    def add_text(self, text: str) -> None:
        if text and not self.noscript:
            self.buffer.append(text)
            if self.links:
                self.linked += len(text)

    def add_image(self, attributes: Mapping[str, str | None]) -> None:
        link = None
        if self.links:
            for element, tag, _ in self.open_elements:
                if tag == "a":
                    link = element.attributes.get("href") or ""
        self.interrupted = self.flush() or self.interrupted
        image = ImageElement(
            attributes=attributes,
            sources=tuple(self.picture_sources),
            link=link,
            in_figure=bool(self.figures),
            in_noscript=bool(self.noscript),
        )
        self.blocks.append(Block(self.container, tag="img", image=image))

    def add_background(self, style: str) -> None:
        if address := background_address(style):
            self.add_image({"src": address})

    def end_line(self) -> None:
        """Close the current block at the edge of an element that stands on lines of its own."""
        if self.buffer:
            self.flush()
        self.interrupted = False

    def flush(self) -> bool:
        """Close the current block; whether there was any text in it."""
        buffer = self.buffer
        if not buffer:
            return False
        raw = buffer[0] if len(buffer) == 1 else "".join(buffer)
        buffer.clear()
        linked, self.linked = self.linked, 0
        topics, self.buffer_topics = self.buffer_topics, 0
        text = _verbatim(raw) if self.verbatim else _lines(raw)
        if not text or (len(text) < 20 and _SAYS_NOTHING.fullmatch(text)):
            return False
        if self.captions and self.figures:
            self.figures[-1].captions.append(text)
            return False
        if self.marker:
            text = self.marker + text
            self.marker = ""
        tag = "pre" if self.verbatim else self.walk.tag(self.container)
        self.blocks.append(Block(self.container, text, tag, linked, topics, self.interrupted))
        self.interrupted = False
        return True

    def leave_figure(self) -> None:
        """Give a figure's caption to its last image; without an image it stays text."""
        figure = self.figures[-1]
        images = [b.image for b in self.blocks[figure.first :] if b.image is not None]
        if not images and IMAGE_FILE.search(figure.item.split("?", 1)[0]):
            # A figure that a script fills, but that names its image as its `itemid`.
            self.add_image({"src": figure.item})
            images = [b.image for b in self.blocks[-1:] if b.image is not None]
        self.figures.pop()
        if not figure.captions:
            return
        caption = "\n".join(figure.captions)
        if images:
            images[-1].caption = caption
        else:
            self.blocks.append(Block(self.container, caption, "figcaption"))


def walk_blocks(root: LexborNode, options: Extraction) -> Walk:
    """Blocks of a parsed page.

    Args:
        root: the `html` element.
        options: whether background images are taken.
    """
    return _Walker(options).run(root)


def _is_cell(block: Block) -> bool:
    return block.image is None and block.tag not in HEADINGS and len(block.text) <= _MAX_CELL_IN_ROW


def _lines(raw: str) -> str:
    """Text as a browser lays it out: white space runs are a space, `<br>` ends a line."""
    if not raw.isascii():
        if _BR in raw:
            return "\n".join(line for part in raw.split(_BR) if (line := _lines(part)))
        if _BREAK_BEFORE_WIDE.search(raw):
            raw = _WIDE_BREAK.sub("", raw)
        raw = _visible(raw)
    return " ".join(raw.split())


def _visible(raw: str) -> str:
    for character in _INVISIBLES:
        if character in raw:
            return _INVISIBLE.sub("", raw)
    return raw


def _verbatim(raw: str) -> str:
    lines = _visible(raw).expandtabs(4).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")
