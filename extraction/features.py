"""What is known of every text block before it is judged: numbers, one column a feature.

All of it is vectorised over the blocks of a page, and exact: counts, and ratios of counts. The same
page gives the same numbers on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from curate.extraction.markup import HEADINGS, LANDMARK_BITS, TOPIC_BITS
from curate.extraction.walk import Block, Walk

Column: TypeAlias = npt.NDArray[Any]

_UPPER, _DIGIT, _SPACE, _END, _COMMA, _WIDE, _SIGN = range(1, 8)
_CLASSES = 8
_LEVELS = 4
"""Containers around a block that are looked at."""
_TOPICS_NEAR = ("comment", "related", "media", "caption")
_TOPICS_AROUND = ("comment", "sidebar", "share", "title")
_FAR = 99
"""Blocks beyond which a distance is not told apart."""
PROSE_CHARS = 80
"""A block this long is prose even without an end mark (a CJK character counts three)."""
_MENU_WEIGHT = 25
_SCRAP_WEIGHT = 12


def _class_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(0x10000, dtype=np.uint8)
    for first, last in ((0x41, 0x5A), (0xC0, 0xDE), (0x391, 0x3A9), (0x410, 0x42F)):
        table[first : last + 1] = _UPPER
    table[0x30:0x3A] = _DIGIT
    for first, last in ((0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F)):
        table[first : last + 1] = _WIDE
    for characters, code in (
        (" \n\u00a0\u3000", _SPACE),
        (".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964", _END),
        (",;:\u3001\uff0c\uff1b\uff1a\u060c\u061b", _COMMA),
        ("|\u2022\u00a9\u00bb\u00ab\u00b7\u2192\u203a\u25ba/@#>*+=", _SIGN),
    ):
        table[[ord(character) for character in characters]] = code
    return table


_CLASS_OF = _class_table()
"""Character class by code point; those beyond the basic plane count as the last in it."""
_CLOSES = np.zeros(0x10000, dtype=bool)
_CLOSES[[ord(character) for character in "\"')]\u201d\u2019\u00bb\u300d\uff09"]] = True


@dataclass(frozen=True, slots=True)
class BlockFeatures:
    """Features of a page's text blocks."""

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    """Features by blocks."""
    words: npt.NDArray[np.float64]
    """Words of each block, an ideograph or kana counting as half a word."""


def block_features(walk: Walk, texts: list[Block]) -> BlockFeatures:
    """Features of every text block.

    Args:
        walk: of the page.
        texts: its text blocks, at least one.
    """
    page = _Page(walk, texts)
    page.own()
    page.neighbours()
    page.containers()
    page.topics()
    page.alike()
    page.whole()
    values = np.empty((len(page.columns), len(texts)), dtype=np.float32)
    for row, column in enumerate(page.columns.values()):
        values[row] = column
    words = page.counts[:, _SPACE] + 1 + page.counts[:, _WIDE] / 2
    return BlockFeatures(tuple(page.columns), values, words)


class _Page:
    def __init__(self, walk: Walk, texts: list[Block]) -> None:
        self.walk = walk
        self.texts = texts
        self.columns: dict[str, Column | float] = {}
        self.count = len(texts)
        self.index = np.arange(self.count)
        self.container = np.array([b.container for b in texts])
        is_text = np.array([b.image is None for b in walk.blocks])
        self.text_at = np.flatnonzero(is_text)
        texts_before = np.concatenate(([0], np.cumsum(is_text)))
        self.first = texts_before[walk.first]
        self.last = texts_before[walk.last]
        self.parent = np.array(walk.parent)
        self.path = np.array(walk.path)
        self.heading = np.array([b.tag in HEADINGS for b in texts])
        self.chars = np.array([len(b.text) for b in texts])
        self.count_characters()
        self.linked = np.minimum(np.array([b.linked for b in texts]), self.chars)
        self.density = self.linked / self.chars
        self.length = self.chars + 2 * self.counts[:, _WIDE]
        reads_on = (self.length >= PROSE_CHARS) | (self.sentences > 0)
        self.prose = np.where(
            (self.density < 0.5) & reads_on, self.length * (1 - self.density), 0
        ).astype(np.int64)
        self.prose_until = _running(self.prose)
        self.total_prose = max(int(self.prose_until[-1]), 1)
        self.linked_until = _running(self.linked)
        self.chars_until = _running(self.chars)

    def count_characters(self) -> None:
        ends = np.cumsum(self.chars)
        starts = ends - self.chars
        joined = "".join([b.text for b in self.texts])
        codes = _code_points(joined)
        classes = _CLASS_OF.take(codes)
        owner = np.repeat(self.index * _CLASSES, self.chars)
        self.counts = np.bincount(owner + classes, minlength=self.count * _CLASSES).reshape(
            self.count, _CLASSES
        )
        final = ends - 1
        self.ends_sentence = classes[np.maximum(final - _CLOSES[codes[final]], starts)] == _END
        # A sentence ends at an end mark before a space, a closing mark or the block's end; an
        # ideographic full stop needs none of them.
        stops = np.flatnonzero(classes == _END)
        following = np.minimum(stops + 1, len(codes) - 1)
        real = (classes[following] == _SPACE) | _CLOSES[codes[following]] | (codes[stops] >= 0x3000)
        inside = owner[stops] // _CLASSES
        real |= stops == final[inside]
        self.sentences = np.bincount(inside[real], minlength=self.count)

    def own(self) -> None:
        put, chars, counts = self.columns, self.chars, self.counts
        put["length"] = self.length
        put["words"] = counts[:, _SPACE] + 1
        put["link_density"] = self.density
        put["ends_sentence"] = self.ends_sentence
        put["commas"] = counts[:, _COMMA]
        put["upper_ratio"] = counts[:, _UPPER] / chars
        put["digit_ratio"] = counts[:, _DIGIT] / chars
        put["sign_ratio"] = counts[:, _SIGN] / chars
        put["lines"] = np.array([b.text.count("\n") for b in self.texts])
        tags = [b.tag for b in self.texts]
        put["is_li"] = np.array([tag == "li" for tag in tags])
        put["is_heading"] = self.heading
        put["is_div"] = np.array([tag == "div" for tag in tags])
        self.paragraphs = tags.count("p")

    def neighbours(self) -> None:
        put, index = self.columns, self.index
        put["length_+1"] = _shift(self.length, 1)
        put["link_density_-1"] = _shift(self.density, -1)
        for reach in (3, 8):
            low = np.maximum(index - reach, 0)
            high = np.minimum(index + reach + 1, self.count)
            put[f"prose_around_{reach}"] = self.prose_until[high] - self.prose_until[low]
            put[f"linked_around_{reach}"] = _ratio(
                self.linked_until[high] - self.linked_until[low],
                self.chars_until[high] - self.chars_until[low],
            )
        reads = (self.prose >= PROSE_CHARS) & (self.sentences > 0)
        last = np.maximum.accumulate(np.where(reads, index, -_FAR))
        put["blocks_since_prose"] = np.minimum(index - _shift(last, -1, -_FAR), _FAR)
        beyond = self.count + _FAR
        upcoming = np.minimum.accumulate(np.where(reads, index, beyond)[::-1])[::-1]
        put["blocks_until_prose"] = np.minimum(_shift(upcoming, 1, beyond) - index, _FAR)
        put["images_before"] = np.diff(self.text_at, prepend=-1) - 1

    def containers(self) -> None:
        """Features of the containers around a block that hold more than those inside them."""
        put, first, last = self.columns, self.first, self.last
        blocks = last - first
        prose = self.prose_until[last] - self.prose_until[first]
        length, sentences = _running(self.length), _running(self.sentences)
        of_container = np.stack(
            [
                prose / self.total_prose,
                _ratio(
                    self.linked_until[last] - self.linked_until[first],
                    self.chars_until[last] - self.chars_until[first],
                ),
                _ratio(sentences[last] - sentences[first], blocks),
                _ratio(length[last] - length[first], blocks),
                blocks,
            ]
        )
        names = ("prose_share", "linked", "sentences", "mean_length", "blocks")
        wider = np.array(self.walk.wider)
        level = self.container
        for depth in range(1, _LEVELS + 1):
            level = np.where(level >= 0, wider[level], -1)
            for name, column in zip(names, of_container[:, level], strict=True):
                put[f"{name}_in_{depth}"] = column
        self._heaviest(prose)

    def _heaviest(self, prose: Column) -> None:
        """Where the block lies to the container that reads most like an article."""
        scraps = (self.prose == 0) & ~self.heading
        menus = scraps & (self.density > 0.5)
        burden = _running(
            np.where(menus, _MENU_WEIGHT + self.length // 5, np.where(scraps, _SCRAP_WEIGHT, 0))
        )
        weights = prose - (burden[self.last] - burden[self.first])
        best = len(weights) - 1 - int(np.argmax(weights[::-1]))
        put, index = self.columns, self.index
        first, last = self.first[best], self.last[best]
        put["in_heaviest"] = (index >= first) & (index < last)
        put["place_in_heaviest"] = (index - first) / max(last - first, 1)
        put["heaviest_share"] = prose[best] / self.total_prose
        put["weight_of_container"] = weights[self.container]

    def topics(self) -> None:
        """What the classes and tags around a block say; near is within three containers."""
        put, walk, container = self.columns, self.walk, self.container
        own = np.array(walk.path_topics)[self.path]
        up = self.parent[container]
        near = np.array([b.topics for b in self.texts]) | own[container] | own[up]
        near |= own[self.parent[up]]
        path = self.path[container]
        for names, prefix, bits in (
            (_TOPICS_NEAR, "near", near),
            (_TOPICS_AROUND, "around", np.array(walk.path_topics_around)[path]),
        ):
            for topic in names:
                put[f"{prefix}_{topic}"] = bits & TOPIC_BITS[topic] != 0
        inside = np.array(walk.path_tags_around)[path]
        for tag, bit in LANDMARK_BITS.items():
            put[f"in_{tag}"] = inside & bit != 0
        put["nesting"] = np.array(walk.path_depth)[path]

    def alike(self) -> None:
        """Features of the blocks that look alike: same path of tags and classes."""
        put = self.columns
        group = self.path[self.container]
        size = np.maximum(np.bincount(group), 1)
        put["alike"] = size[group]
        for name, column in (
            ("length", self.length),
            ("sentences", self.sentences),
            ("ends_sentence", self.ends_sentence),
        ):
            put[f"alike_{name}"] = (np.bincount(group, column) / size)[group]
        put["alike_prose_share"] = (np.bincount(group, self.prose) / self.total_prose)[group]

    def whole(self) -> None:
        put, index = self.columns, self.index
        length = _running(self.length)
        put["length_before"] = length[:-1] / length[-1]
        put["prose_before"] = self.prose_until[:-1] / self.total_prose
        put["index"] = index
        first_h1 = next((i for i, b in enumerate(self.texts) if b.tag == "h1"), None)
        put["after_h1"] = -_FAR if first_h1 is None else np.clip(index - first_h1, -50, 50)
        put["page_blocks"] = self.count
        put["page_length"] = length[-1]
        put["page_prose"] = self.total_prose
        put["page_linked"] = self.linked_until[-1] / self.chars_until[-1]
        put["page_sentences"] = self.sentences.sum()
        put["page_paragraphs"] = self.paragraphs


def _code_points(text: str) -> npt.NDArray[np.uint16]:
    """Code points, those beyond the basic plane as its last."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    if len(encoded) == 2 * len(text):
        return np.frombuffer(encoded, dtype=np.uint16)
    wide = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.minimum(wide, 0xFFFF).astype(np.uint16)


def _shift(column: Column, step: int, fill: int = 0) -> Column:
    """The column read `step` places further on; `fill` beyond its ends."""
    moved = np.full(len(column), fill, dtype=column.dtype)
    if step > 0:
        moved[:-step] = column[step:]
    else:
        moved[-step:] = column[:step]
    return moved


def _running(column: Column) -> Column:
    """Sums of the column up to each place: one more than it has rows, the first 0."""
    sums = np.zeros(len(column) + 1, dtype=np.int64)
    np.cumsum(column, out=sums[1:])
    return sums


def _ratio(part: Column, whole: Column) -> Column:
    return np.asarray(part / np.maximum(whole, 1))
