"""Which blocks are the main content.

Every block has a weight: its length when it reads like prose, a penalty when it reads like
navigation. The container whose blocks weigh most in sum is the main content; a container that
merely adds a menu to it weighs less. Inside the container, runs of links go.
"""

from __future__ import annotations

import re

from extraction.blocks import Block, Walk
from extraction.markup import HEADINGS

_SENTENCE_END = re.compile(r"[.!?:;…。！？：；\"'”’)]\s*$|[.!?。！？]\s")
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]")

PROSE_CHARS = 80
"""A block this long is prose even without an end mark (a CJK character counts three)."""
MAX_LINK_DENSITY = 0.5
SHORT_PENALTY = 12.0
LINK_PENALTY = 25.0
LIKELY_BONUS = 1.15


def choose_content(walk: Walk) -> list[Block]:
    """The blocks of the main content, in reading order; all of them when nothing stands out."""
    if not walk.containers:
        return walk.blocks
    best = _heaviest_container(walk)
    inside = _descendants(walk, best)
    blocks = [b for b in walk.blocks if b.container in inside]
    return _trim(_without_link_runs(blocks))


def _heaviest_container(walk: Walk) -> int:
    totals = [0.0] * len(walk.containers)
    for block in walk.blocks:
        if block.container >= 0:
            totals[block.container] += _weight(block)
    # A container always follows its parent in the list, so one backward pass sums the subtrees.
    for index in range(len(totals) - 1, 0, -1):
        parent = walk.containers[index].parent
        if parent >= 0:
            totals[parent] += totals[index]
    return max(
        range(len(totals)),
        key=lambda i: (totals[i] * (LIKELY_BONUS if walk.containers[i].likely else 1.0), i),
    )


def _descendants(walk: Walk, best: int) -> set[int]:
    inside = {best}
    for index in range(best + 1, len(walk.containers)):
        if walk.containers[index].parent in inside:
            inside.add(index)
    return inside


def _weight(block: Block) -> float:
    if block.kind == "img" or block.kind in HEADINGS:
        return 0.0
    length = visible_length(block.text)
    density = block.linked / max(len(block.text), 1)
    if density > MAX_LINK_DENSITY:
        return -LINK_PENALTY - 0.2 * length
    if block.kind == "pre":
        return min(length, 400)
    clean = length * (1 - density)
    if length >= PROSE_CHARS:
        return clean
    if _SENTENCE_END.search(block.text) and length >= 20:
        return clean * 0.6
    return -SHORT_PENALTY if block.kind != "tr" else -SHORT_PENALTY / 4


def visible_length(text: str) -> int:
    """Characters of a text, an ideograph or kana counting three."""
    return len(text) + 2 * len(_WIDE.findall(text))


def _is_linked(block: Block) -> bool:
    return block.kind != "img" and block.linked > MAX_LINK_DENSITY * max(len(block.text), 1)


def _without_link_runs(blocks: list[Block]) -> list[Block]:
    """Drop blocks that are links and have a neighbour that is too, or that are short."""
    linked = [_is_linked(b) for b in blocks]
    kept = []
    for index, block in enumerate(blocks):
        if linked[index] and block.kind not in HEADINGS:
            neighbours = linked[max(index - 1, 0) : index] + linked[index + 1 : index + 2]
            if any(neighbours) or visible_length(block.text) < PROSE_CHARS:
                continue
        kept.append(block)
    return kept


def _trim(blocks: list[Block]) -> list[Block]:
    """Drop headings that head nothing: at the end, or before one of the same rank or higher."""
    kept: list[Block] = []
    following: str | None = "h0"
    for block in reversed(blocks):
        if block.kind in HEADINGS and following is not None and following <= block.kind:
            continue
        following = block.kind if block.kind in HEADINGS else None
        kept.append(block)
    kept.reverse()
    return kept
