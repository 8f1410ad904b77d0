"""The index of benchmark items: hashes alone, no text.

It can be shipped in the place of a benchmark. Of each item it holds the hashes of its n-grams, the
hash of its letters and, to verify what was found by a few words, 16 bits of each word's hash:
thousands of words share each value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from curate.decontamination.benchmarks import Item
from curate.dedup.words import (
    LETTER_VALUES,
    Hashes,
    length_in_words,
    ngram_hashes,
    normalized_text,
    word_hashes,
)
from curate.schemas.identity import mix

SEED_WORDS = 4
"""An item of 20 words of which 4 are replaced has 4 neighbouring words left: 16 in 5 runs."""
ANCHOR_LETTERS = 16
WHOLE_BELOW_WORDS = 13
"""A shorter item is found whole or not at all: half of it is common speech."""
_MAX_ITEMS_PER_SEED = 64
SHARED_BY_ITEMS = 10
"""A text or n-gram of so many items of a benchmark is its template (a stem as "which of the
following is true"), and identifies none of them: as MT-NLG takes what the corpus holds so often for
common speech."""
_PLAIN_WORD = re.compile(r"\w+")
_LETTER_BASE = np.uint64(0x9E3779B97F4A7C15)


class HashTable:
    """Sorted 64-bit hashes, each with a value; built to answer mostly no."""

    def __init__(self, hashes: Hashes, values: npt.NDArray[np.int64]) -> None:
        order = np.lexsort((values, hashes))
        self.hashes = hashes[order]
        self.values = values[order]

    @cached_property
    def _bits(self) -> int:
        return min(24, max(10, int(self.hashes.size).bit_length() + 3))

    @cached_property
    def _present(self) -> npt.NDArray[np.bool_]:
        present = np.zeros(1 << self._bits, np.bool_)
        present[self._slot(self.hashes)] = True
        return present

    def _slot(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        return (hashes >> np.uint64(64 - self._bits)).astype(np.int64)

    def find(self, hashes: Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(position among `hashes`, position in the table) of everything that is in both."""
        if not self.hashes.size or not hashes.size:
            nothing = np.empty(0, np.int64)
            return nothing, nothing
        likely = np.flatnonzero(self._present[self._slot(hashes)])
        wanted = hashes[likely]
        first = np.searchsorted(self.hashes, wanted, side="left")
        counts = np.searchsorted(self.hashes, wanted, side="right") - first
        found = np.repeat(likely, counts)
        offsets = np.arange(found.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return found, np.repeat(first, counts) + offsets


@dataclass(frozen=True)
class BenchmarkIndex:
    """Everything that documents are compared with.

    `item` means the position in `ids`. N-grams and seeds are `(hash, value)` pairs: the value of an
    n-gram is the item that has it first, that of a seed or anchor counts `seed_items`.
    """

    benchmarks: list[str]
    ids: list[str]
    benchmark_of: npt.NDArray[np.int64]
    """Position in `benchmarks` of each item."""
    word_counts: npt.NDArray[np.int64]
    """Of each item; in scripts without spaces each character counts."""
    lengths: npt.NDArray[np.float64]
    """Of each item in words, where such characters are parts of one."""
    letter_counts: npt.NDArray[np.int64]
    letter_hashes: Hashes
    words: npt.NDArray[np.uint16]
    """16 bits of each word's hash, item after item."""
    max_words: int
    min_words: int
    ngrams: dict[int, HashTable]
    """By length in words."""
    seeds: HashTable
    seed_items: npt.NDArray[np.int64]
    seed_offsets: npt.NDArray[np.int64]
    anchors: dict[int, HashTable]
    """By length in letters: the first letters of each item."""
    too_short: dict[str, int]
    """Items of each benchmark that have too few words to be looked for."""

    @cached_property
    def word_starts(self) -> npt.NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.word_counts)])

    @cached_property
    def item_words(self) -> list[str]:
        """Each item with a character per word, for alignment."""
        return [
            as_characters(self.words[a:b])
            for a, b in zip(self.word_starts[:-1], self.word_starts[1:], strict=True)
        ]

    def name(self, item: int) -> str:
        return f"{self.benchmarks[self.benchmark_of[item]]}:{self.ids[item]}"


def as_characters(words: npt.NDArray[np.uint16]) -> str:
    """16-bit words as a string of as many characters: what the aligner is fastest on."""
    return words.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def word_bits(hashes: Hashes) -> npt.NDArray[np.uint16]:
    return (hashes >> np.uint64(48)).astype(np.uint16)


def letter_values(letters: bytes) -> Hashes:
    """A 64-bit number per byte."""
    return LETTER_VALUES.take(np.frombuffer(letters, np.uint8))


def run_hashes(values: Hashes, length: int) -> Hashes:
    """Polynomial hashes of all runs of `length` values: doubling, so in log2(length) passes."""
    if values.size < length:
        return np.empty(0, np.uint64)
    count = values.size - length + 1
    total = np.zeros(count, np.uint64)
    power, width, done = values, 1, 0
    while True:
        if length & width:
            total = total * base_power(width) + power[done : done + count]
            done += width
        if done == length:
            return mix(total)
        power = power[: power.size - width] * base_power(width) + power[width:]
        width *= 2


def base_power(exponent: int) -> np.uint64:
    return np.uint64(pow(int(_LETTER_BASE), exponent, 1 << 64))


def build_index(items: Iterable[Item], min_words: int = 8, max_words: int = 13) -> BenchmarkIndex:
    """Hash every item of at least `min_words` words; the others are left out.

    So are texts that many items of a benchmark have in common.
    """
    kept: list[Item] = []
    hashes: list[Hashes] = []
    lengths: list[float] = []
    letters: list[bytes] = []
    too_short: Counter[str] = Counter()
    for item, text in _distinctive(items):
        found = word_hashes(item.text)
        length = _length(item.text)
        if length >= min_words and found.size:
            kept.append(item)
            hashes.append(found)
            lengths.append(length)
            letters.append(text)
        else:
            too_short[item.benchmark] += 1
    benchmarks = sorted({i.benchmark for i in kept})
    ngrams: dict[int, list[tuple[Hashes, int]]] = {}
    anchors: dict[int, list[tuple[Hashes, int]]] = {}
    seeds: list[tuple[Hashes, int]] = []
    for number, (found, text) in enumerate(zip(hashes, letters, strict=True)):
        length = min(found.size, max_words * _characters_per_word(found.size / lengths[number]))
        ngrams.setdefault(length, []).append((ngram_hashes(found, length), number))
        anchor = min(len(text), ANCHOR_LETTERS)
        first = run_hashes(letter_values(text[:anchor]), anchor)
        anchors.setdefault(anchor, []).append((first, number))
        if lengths[number] >= WHOLE_BELOW_WORDS:
            seeds.append((ngram_hashes(found, SEED_WORDS), number))
    seed_hashes, seed_items, seed_offsets = _seed_columns(seeds)
    return BenchmarkIndex(
        benchmarks=benchmarks,
        ids=[i.id for i in kept],
        benchmark_of=np.array([benchmarks.index(i.benchmark) for i in kept], np.int64),
        word_counts=np.array([h.size for h in hashes], np.int64),
        lengths=np.array(lengths, np.float64),
        letter_counts=np.array([len(t) for t in letters], np.int64),
        letter_hashes=np.array(
            [run_hashes(letter_values(t), len(t))[0] for t in letters], np.uint64
        ),
        words=np.concatenate([word_bits(h) for h in hashes] or [np.empty(0, np.uint16)]),
        max_words=max_words,
        min_words=min_words,
        ngrams={n: _first_item_table(found) for n, found in sorted(ngrams.items())},
        seeds=HashTable(seed_hashes, np.arange(seed_hashes.size)),
        seed_items=seed_items,
        seed_offsets=seed_offsets,
        anchors={
            n: HashTable(
                np.concatenate([h for h, _ in found]), np.array([i for _, i in found], np.int64)
            )
            for n, found in sorted(anchors.items())
        },
        too_short=dict(sorted(too_short.items())),
    )


def _distinctive(items: Iterable[Item]) -> Iterator[tuple[Item, bytes]]:
    """Items with their letters, without texts that many items of a benchmark share."""
    read = [(item, normalized_text(item.text).replace(b" ", b"")) for item in items]
    holders: dict[tuple[str, bytes], set[str]] = {}
    for item, text in read:
        holders.setdefault((item.benchmark, text), set()).add(item.id)
    for item, text in read:
        if len(holders[item.benchmark, text]) < SHARED_BY_ITEMS:
            yield item, text


def _length(text: str) -> float:
    """Of an item in words."""
    length = length_in_words(text)
    # A contraction is one word here and two to Megatron-LM: either reading will do.
    return max(length, len(_PLAIN_WORD.findall(text))) if text.isascii() else length


def _characters_per_word(mean: float) -> int:
    """How many of `words` a word is, mostly: 1 where words are spaced."""
    return next((n for n in (4, 2) if mean > n * 0.75), 1)


def _first_item_table(found: list[tuple[Hashes, int]]) -> HashTable:
    """N-grams with the first item that has them, without those that many items have."""
    hashes = np.concatenate([np.unique(h) for h, _ in found])
    items = np.repeat([i for _, i in found], [np.unique(h).size for h, _ in found])
    distinct, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    rare = counts < SHARED_BY_ITEMS
    return HashTable(distinct[rare], items[first[rare]].astype(np.int64))


def _seed_columns(
    found: list[tuple[Hashes, int]],
) -> tuple[Hashes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Hash, item and position of every seed, without those of too many items: template text."""
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64)
    hashes = np.concatenate([h for h, _ in found])
    items = np.repeat([i for _, i in found], [h.size for h, _ in found]).astype(np.int64)
    offsets = np.concatenate([np.arange(h.size) for h, _ in found])
    order = np.lexsort((offsets, items, hashes))
    hashes, items, offsets = hashes[order], items[order], offsets[order]
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    rare = counts[inverse] <= _MAX_ITEMS_PER_SEED
    # An item without a rare seed keeps those that it has.
    without = ~np.isin(items, items[rare])
    chosen = rare | without
    return hashes[chosen], items[chosen], offsets[chosen]
