"""MinHash signatures and their bands, equal to datasketch's for the same 32-bit shingle hashes.

The permutations are those of datasketch's scheme `affine32`, its default since 2.0: odd affine maps
of the 32-bit numbers after a fixed mix, which need no arithmetic wider than 32 bits.

An estimate of the Jaccard similarity of two shingle sets is the share of equal positions in their
signatures. Cut into `bands` of `rows` positions, two signatures share a band with probability
1 - (1 - J^rows)^bands (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from curate.dedup.words import Hashes, ngram_hashes, word_hashes
from curate.schemas.identity import mix

Signatures = npt.NDArray[np.uint32]

_TILE = 256
"""Shingles at a time: the intermediate values stay in the processor's cache."""


@dataclass(frozen=True)
class MinHasher:
    """Signatures of `bands` x `rows` positions over runs of `shingle_words` words."""

    bands: int
    rows: int
    shingle_words: int
    seed: int = 1
    """datasketch's default."""

    @property
    def size(self) -> int:
        return self.bands * self.rows

    @cached_property
    def _permutations(self) -> tuple[Signatures, Signatures]:
        """Odd multipliers and increments, drawn as datasketch's scheme `affine32` draws them."""
        generator = np.random.RandomState(self.seed)
        halves = generator.randint(0, 1 << 31, self.size, dtype=np.uint32)
        increments = generator.randint(0, 1 << 32, self.size, dtype=np.uint32)
        return halves * np.uint32(2) + np.uint32(1), increments

    def shingles(self, text: str) -> npt.NDArray[np.uint32]:
        """32-bit hashes of the text's shingles, in order, with repeats.

        A text of fewer words than a shingle is one shingle; a text without words has none.
        """
        hashes = word_hashes(text)
        return (ngram_hashes(hashes, min(self.shingle_words, hashes.size)) >> np.uint64(32)).astype(
            np.uint32
        )

    def signature(self, shingles: npt.NDArray[np.uint32]) -> Signatures:
        """Least value of each permutation over the shingles, shape (bands * rows,)."""
        multipliers, increments = self._permutations
        mixed = _mix32(shingles)[:, None]
        least = np.full(self.size, 0xFFFFFFFF, np.uint32)
        for start in range(0, shingles.size, _TILE):
            values = mixed[start : start + _TILE] * multipliers
            values += increments
            np.minimum(least, np.minimum.reduce(values), out=least)
        return least

    def band_keys(self, signatures: Signatures) -> Hashes:
        """64-bit keys of every band, shape (documents, bands): equal where all rows are."""
        bands = signatures.reshape(len(signatures), self.bands, self.rows)
        keys = np.arange(1, self.bands + 1, dtype=np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        keys = np.broadcast_to(keys, (len(signatures), self.bands)).copy()
        for row in range(self.rows):
            keys ^= bands[:, :, row]
            keys = mix(keys)
            keys += np.uint64(0x9E3779B97F4A7C15)
        return keys


def _mix32(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The 32-bit finalizer of MurmurHash3: spreads the values before the affine permutations."""
    mixed = values ^ (values >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed


def similarity(one: Signatures, other: Signatures) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of signatures row by row, shape (pairs,)."""
    share: npt.NDArray[np.float64] = (one == other).mean(axis=1)
    return share
