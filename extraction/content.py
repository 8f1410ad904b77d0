"""Which blocks are the main content, and which images stand in it.

blocks ──features──▶ model ──probabilities──▶ text: the choice with the best expected F1
                                              images: those that stand among chosen text
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from curate.extraction.features import block_features
from curate.extraction.images import ImageElement, Picture, picture_of
from curate.extraction.markup import HEADINGS, TOPIC_BITS
from curate.extraction.model import BlockModel
from curate.extraction.walk import Block, Walk
from curate.schemas.document import LeftOutImage
from curate.schemas.settings.recipe import Extraction
from curate.schemas.verdict import Drop

LEAST_CERTAIN = 250
MOST_CERTAIN = 500
"""Bounds on the probability, in thousandths, from which a block counts as content."""
LEAST_CERTAIN_TITLE = 150
"""Likewise for an `h1` right before content."""
MAX_CAPTION_WORDS = 80
MAX_STRANGE_WORDS = 40
"""Words that are not content around an image above which the image is not looked for further up."""
MAX_WORDS_TO_END = 120
"""Likewise, from the last chosen text to a figure or media element after it."""

_CAPTION = TOPIC_BITS["caption"]
_BYLINE = TOPIC_BITS["byline"]
_COMMENT = TOPIC_BITS["comment"]
_AROUND_CONTENT = 0
for _topic in "advert related share avatar navigation comment footer paging".split():
    _AROUND_CONTENT |= TOPIC_BITS[_topic]
"""Topics of elements inside the content whose images are none of it."""
_SHOWS = TOPIC_BITS["media"]


@dataclass(slots=True)
class Content:
    """The main content of a page."""

    blocks: list[Block] = field(default_factory=list)
    """Chosen text blocks and images, in reading order."""
    pictures: dict[int, tuple[Picture, str]] = field(default_factory=dict)
    """By the image block's `id()`: what it shows, and the rule that kept it."""
    left_out: list[LeftOutImage] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    """Blocks of readers' comments that are not content."""
    confidence: float = 0.0
    """Expected F1 of the choice, by the model's own probabilities."""


def choose_content(
    walk: Walk,
    base: str,
    options: Extraction,
    model: BlockModel,
    fallback: Callable[[list[Block]], set[int]] | None = None,
) -> Content:
    """The main content of a page.

    Args:
        walk: of the page.
        base: absolute address that image addresses are resolved against.
        options: what is taken.
        model: judges the text blocks.
        fallback: gives the `id()` of the blocks that it would choose; asked where the model's
            choice has a confidence below `options.fallback_confidence`.
    """
    content = Content()
    blocks = walk.blocks
    texts = [block for block in blocks if block.image is None]
    if texts:
        features = block_features(walk, texts)
        certain = model.probabilities(features)
        words = np.rint(2 * features.words).astype(np.int64)
        threshold, content.confidence = _best_threshold(certain, words)
        chosen = _choose(texts, certain.tolist(), threshold)
        if fallback is not None and content.confidence < options.fallback_confidence:
            chosen = fallback(texts) or chosen
    else:
        words = np.zeros(0, dtype=np.int64)
        chosen = set()
    surroundings = _Surroundings(walk, texts, words, chosen)
    for index, block in enumerate(blocks):
        if block.image is None:
            if id(block) in chosen:
                content.blocks.append(block)
            elif options.comments and surroundings.in_comments(block):
                content.comments.append(block.text)
            continue
        if (rule := surroundings.keeps(index, block)) and chosen:
            _take_image(content, block, block.image, rule, base, options)
    captioned = _attach_captions(walk, content.pictures)
    content.blocks = _without_empty_headings(
        [block for block in content.blocks if id(block) not in captioned]
    )
    return content


def _choose(texts: list[Block], certain: list[int], threshold: int) -> set[int]:
    """`id()` of the blocks from the threshold up, and of a likely title right before one."""
    chosen = {id(b) for b, p in zip(texts, certain, strict=True) if p >= threshold}
    for title, after, p in zip(texts, texts[1:], certain, strict=False):
        if title.tag == "h1" and id(after) in chosen and p >= LEAST_CERTAIN_TITLE:
            chosen.add(id(title))
    return chosen


def _best_threshold(
    certain: npt.NDArray[np.int64], words: npt.NDArray[np.int64]
) -> tuple[int, float]:
    """The probability from which blocks are taken so that the expected F1 is highest, and that F1.

    Taking the n likeliest blocks finds on average the sum of p x words of them; expected F1 is
    twice that over the words taken and the words that there are on average.
    """
    order = np.argsort(-certain, kind="stable")
    found = np.cumsum((certain * words)[order])
    taken = np.cumsum(words[order]) * 1000
    expected = 2 * found / (taken + found[-1])
    best = int(np.argmax(expected))
    threshold = min(max(int(certain[order[best]]), LEAST_CERTAIN), MOST_CERTAIN)
    return threshold, float(expected[best])


def _without_empty_headings(blocks: list[Block]) -> list[Block]:
    """Leave out headings that head nothing: the last, or before one of the same rank or higher."""
    kept: list[Block] = []
    following = "h0"
    for block in reversed(blocks):
        is_heading = block.tag in HEADINGS
        if is_heading and following <= block.tag:
            continue
        following = block.tag if is_heading else "none"
        kept.append(block)
    kept.reverse()
    return kept


def _attach_captions(walk: Walk, pictures: dict[int, tuple[Picture, str]]) -> set[int]:
    """Give text whose class says `caption` to the kept image beside it; the blocks that went so."""
    gone: set[int] = set()
    blocks = walk.blocks
    for index, block in enumerate(blocks):
        if block.image is not None or not _is_caption(walk, block):
            continue
        for neighbour in (index - 1, index + 1):
            if not 0 <= neighbour < len(blocks):
                continue
            image = blocks[neighbour].image
            if image is None or id(blocks[neighbour]) not in pictures:
                continue
            if not image.caption and _near(walk, block, blocks[neighbour]):
                image.caption = block.text
                gone.add(id(block))
                break
    return gone


def _is_caption(walk: Walk, block: Block) -> bool:
    if len(block.text) > 8 * MAX_CAPTION_WORDS or block.tag in HEADINGS:
        return False
    topics = block.topics | walk.path_topics[walk.path[block.container]]
    return topics & _CAPTION != 0


def _near(walk: Walk, caption: Block, image: Block) -> bool:
    """Whether the image stands beside the caption: within the caption's parent's parent."""
    around = walk.parent[caption.container]
    if around >= 0 and walk.last[around] - walk.first[around] < 2:
        around = walk.parent[around]
    inner = image.container
    while inner > around:
        inner = walk.parent[inner]
    return inner == around


def _take_image(
    content: Content,
    block: Block,
    element: ImageElement,
    rule: str,
    base: str,
    options: Extraction,
) -> None:
    picture = picture_of(element, base, options)
    if picture is None:
        return
    before = content.blocks[-1] if content.blocks else None
    if before is not None and before.image is not None:
        # The fallback of a lazily loaded image repeats it, and is the real one of a preview.
        shown = content.pictures[id(before)][0]
        if element.in_noscript and _same_file(picture.url, shown.url):
            content.pictures[id(before)] = picture, rule
            return
    if picture.junk:
        content.left_out.append(
            LeftOutImage(url=picture.url, drop=Drop(picture.junk, picture.evidence))
        )
        return
    content.blocks.append(block)
    content.pictures[id(block)] = (picture, rule)


def _same_file(one: str, other: str) -> bool:
    return one == other or (
        one.split("?", 1)[0].rsplit("/", 1)[-1] == other.split("?", 1)[0].rsplit("/", 1)[-1] != ""
        and not one.startswith("data:")
    )


class _Surroundings:
    """What stands around an image: words of chosen and of other text, by container."""

    def __init__(
        self,
        walk: Walk,
        texts: list[Block],
        words: npt.NDArray[np.int64],
        chosen: set[int],
    ) -> None:
        self.walk = walk
        count = {id(block): n for block, n in zip(texts, words.tolist(), strict=True)}
        self.words = [0]
        self.kept = [0]
        for block in walk.blocks:
            size = count.get(id(block), 0)
            if block.tag == "pre" and id(block) not in chosen:
                # Code that was not chosen is still no menu and no teaser.
                size = 0
            self.words.append(self.words[-1] + size)
            self.kept.append(self.kept[-1] + (size if id(block) in chosen else 0))
        self.is_image = [block.image is not None for block in walk.blocks]
        self.is_chosen = [id(block) in chosen for block in walk.blocks]
        places = [place for place, is_chosen in enumerate(self.is_chosen) if is_chosen]
        self.first_chosen = places[0] if places else len(walk.blocks)
        self.last_chosen = places[-1] if places else -1

    def keeps(self, index: int, block: Block) -> str:
        """Name of the rule by which an image belongs to the content; empty if it does not.

        Inside the content the image goes with the smallest container around it that holds text:
        with chosen text for the greater part it is kept, with much other text it is not; where
        there is little of any text, the next container decides. Before the first and after the
        last chosen text it is kept where hardly any text parts it from them.
        """
        walk, container = self.walk, block.container
        element = block.image
        in_figure = element is not None and element.in_figure
        topics = 0
        while container >= 0 and not self._is_main(container):
            first, last = walk.first[container], walk.last[container]
            words = self.words[last] - self.words[first]
            kept = self.kept[last] - self.kept[first]
            own = walk.path_topics[walk.path[container]]
            topics |= own
            is_byline = own & _BYLINE and words <= 2 * MAX_STRANGE_WORDS
            if walk.tag(container) == "aside" or (is_byline and not in_figure):
                topics |= _AROUND_CONTENT
            if 2 * kept > words:
                return "container" if not topics & _AROUND_CONTENT else ""
            if words - kept > 2 * MAX_STRANGE_WORDS:
                return self._shown(index, block) if not topics & _AROUND_CONTENT else ""
            container = walk.parent[container]
        if container < 0 or topics & _AROUND_CONTENT:
            return ""
        if self.first_chosen < index < self.last_chosen:
            return "figure" if in_figure else "between"
        strange = self.words[-1] - self.kept[-1]
        is_page = walk.tag(container) in ("body", "html")
        if is_page and not in_figure and strange > 2 * MAX_STRANGE_WORDS:
            return ""
        if element is None or element.links_away or (element.is_gif and not in_figure):
            return ""
        if index < self.first_chosen:
            apart = self.words[self.first_chosen] - self.words[index]
            return "lead" if apart <= 2 * MAX_STRANGE_WORDS else ""
        apart = self.words[index] - self.words[self.last_chosen + 1]
        far = MAX_WORDS_TO_END if in_figure or topics & _SHOWS else MAX_STRANGE_WORDS
        return "end" if apart <= 2 * far else ""

    def _shown(self, index: int, block: Block) -> str:
        """Whether an image among other text is content all the same, and by which rule.

        Inside the content a figure is that has a caption and leads nowhere else, and so is an image
        of a media element right after or before chosen text.
        """
        element = block.image
        if element is None or element.links_away:
            return ""
        apart = self.words[index] - self.words[self.last_chosen + 1]
        if index < self.first_chosen or apart > 2 * MAX_WORDS_TO_END:
            return ""
        if element.in_figure and element.caption:
            return "figure"
        if self.walk.path_topics[self.walk.path[block.container]] & _SHOWS:
            return "media"
        if not element.in_figure:
            return ""
        for step in (-1, 1):
            place = index + step
            while 0 <= place < len(self.is_image) and self.is_image[place]:
                place += step
            if 0 <= place < len(self.is_image) and self.is_chosen[place]:
                return "beside"
        return ""

    def _is_main(self, container: int) -> bool:
        """Whether a container holds nearly all chosen text."""
        kept = self.kept[self.walk.last[container]] - self.kept[self.walk.first[container]]
        return 10 * kept >= 9 * self.kept[-1]

    def in_comments(self, block: Block) -> bool:
        around = self.walk.path_topics_around[self.walk.path[block.container]]
        return around & _COMMENT != 0
