"""Where a document holds benchmark items.

Two methods, either or both. *N-grams*: the document shares a run of 13 words with an item, or holds
a whole item of 8 to 12 words (MT-NLG). *Items*: the document holds an item whole: letter by
letter, however it is wrapped, cased and punctuated; or, for items of 13 words and more, with some
words replaced. Those are found by four words in a row, or more, that the item has too, and
verified by aligning the item's words with the document's around that place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import LCSseq

from curate.decontamination.index import (
    SEED_WORDS,
    BenchmarkIndex,
    as_characters,
    letter_values,
    run_hashes,
    word_bits,
)
from curate.dedup.words import Hashes, ngram_hashes, normalized_text, word_hashes
from curate.schemas.settings.purging import Decontamination, ItemRules

NGRAM, ITEM = "decontamination.ngram", "decontamination.item"
_LONG_ITEM_WORDS = 20


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """Words `start` to `end` of a document that an item has too."""

    start: int
    end: int
    item: int
    rule: str
    similarity: float
    """Share of the item's words that were found, in their order; of an n-gram always 1."""
    ngram: int = -1
    """Hash of the n-gram, to count how often it occurs; -1 for the other method."""


def find_matches(text: str, index: BenchmarkIndex, rules: Decontamination) -> list[Match]:
    """All matches of both methods, sorted; each item once for a place."""
    hashes = word_hashes(text)
    found: set[Match] = set()
    if rules.ngrams is not None:
        found.update(_ngram_matches(hashes, index))
    if rules.items is not None:
        found.update(_whole_items(text, index))
        found.update(_edited_items(hashes, index, rules.items))
    return sorted(found)


def _ngram_matches(hashes: Hashes, index: BenchmarkIndex) -> Iterator[Match]:
    for length, table in index.ngrams.items():
        places, entries = table.find(ngram_hashes(hashes, length))
        for place, entry in zip(places.tolist(), entries.tolist(), strict=True):
            value = int(table.hashes[entry])
            yield Match(place, place + length, int(table.values[entry]), NGRAM, 1.0, value)


def _whole_items(text: str, index: BenchmarkIndex) -> Iterator[Match]:
    normalized = normalized_text(text)
    values = letter_values(normalized.replace(b" ", b""))
    ends: npt.NDArray[np.int64] | None = None
    for length, table in index.anchors.items():
        places, entries = table.find(run_hashes(values, length))
        if not places.size:
            continue
        if ends is None:
            ends = np.cumsum([len(w) for w in normalized.split()])
        items = table.values[entries]
        fits = places + index.letter_counts[items] <= values.size
        for place, item in zip(places[fits].tolist(), items[fits].tolist(), strict=True):
            count = int(index.letter_counts[item])
            if run_hashes(values[place : place + count], count)[0] == index.letter_hashes[item]:
                start = int(np.searchsorted(ends, place, side="right"))
                end = int(np.searchsorted(ends, place + count, side="left")) + 1
                yield Match(start, end, item, ITEM, 1.0)


def _edited_items(hashes: Hashes, index: BenchmarkIndex, rules: ItemRules) -> Iterator[Match]:
    places, entries = index.seeds.find(ngram_hashes(hashes, SEED_WORDS))
    if not places.size:
        return
    seeds = index.seeds.values[entries]
    items, begins = index.seed_items[seeds], places - index.seed_offsets[seeds]
    counts = index.word_counts[items]
    slack = 2 + counts // 10
    # Seeds of an item that point to about the same place are one candidate.
    candidates = np.unique(np.stack([items, begins // slack, slack]), axis=1)
    document = as_characters(word_bits(hashes))
    for item, place, room in candidates.T.tolist():
        words = index.item_words[item]
        begin = max(0, (place - 1) * room)
        window = document[begin : (place + 2) * room + len(words)]
        wanted = rules.min_similarity
        if index.lengths[item] < _LONG_ITEM_WORDS:
            wanted = rules.min_short_similarity
        cutoff = int(np.ceil(wanted * len(words)))
        common = LCSseq.similarity(words, window, score_cutoff=cutoff)
        if common < cutoff:
            continue
        blocks = [o for o in LCSseq.opcodes(words, window) if o.tag == "equal"]
        start, end = begin + blocks[0].dest_start, begin + blocks[-1].dest_end
        yield Match(start, end, item, ITEM, round(common / len(words), 4))
