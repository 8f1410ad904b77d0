"""Documents as 128-bit numbers that sort by preference: of two duplicates the smaller is kept.

Two 64-bit halves, from the highest bit:

    high  1  of this run (a document of an earlier run always comes first)
         15  quality score, inverted
         24  characters of text, inverted
         24  keyed hash of the document's id
    low  20  more of the hash
         20  number of the part  ┐ the locator: where the document lies,
         24  row in the part     ┘ and alone enough to tell documents apart
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from curate.dedup.words import Hashes

MAX_PARTS = 1 << 20
MAX_ROWS = 1 << 24
_LOCATOR = np.uint64((1 << 44) - 1)
_MERGED_ROWS = 1 << 18
_OF_THIS_RUN = np.uint64(1 << 63)

Columns = dict[str, npt.NDArray[np.uint64]]
"""Columns of equal length by name."""


def preference(quality: float, characters: int, keyed_hash: int) -> tuple[int, int]:
    """Both halves of a document's number, without its place.

    Args:
        quality: from 0 to 1; a document without a score has 0.
        characters: of text.
        keyed_hash: at least 44 bits, of the document's id.
    """
    worse = (1 << 15) - 1 - round(min(max(quality, 0.0), 1.0) * ((1 << 15) - 1))
    shorter = (1 << 24) - 1 - min(characters, (1 << 24) - 1)
    high = worse << 48 | shorter << 24 | keyed_hash & 0xFFFFFF
    return high, (keyed_hash >> 24 & 0xFFFFF) << 44


def place(
    high: Hashes, low: Hashes, part: int, of_this_run: bool, first_row: int = 0
) -> tuple[Hashes, Hashes]:
    """The numbers of a part's documents, in the order of its rows from `first_row`."""
    rows = np.arange(first_row, first_row + low.size, dtype=np.uint64)
    return place_rows(high, low, part, of_this_run, rows)


def place_rows(
    high: Hashes, low: Hashes, part: int, of_this_run: bool, rows: npt.NDArray[np.uint64]
) -> tuple[Hashes, Hashes]:
    """The numbers of those documents of a part that lie in the given rows."""
    if of_this_run:
        high = high | _OF_THIS_RUN
    return high, low | np.uint64(part << 24) | rows


def capture_number(date: str) -> int:
    """`2024-01-31T23:59:59Z` as 20240131235959; 0 where there is no date."""
    digits = "".join(c for c in date[:19] if c in "0123456789")
    return int(digits.ljust(14, "0")) if digits else 0


def locator(low: Hashes) -> Hashes:
    """Part and row of a document: equal for equal documents only."""
    return low & _LOCATOR


def part_of(low: Hashes) -> npt.NDArray[np.int64]:
    return (locator(low) >> np.uint64(24)).astype(np.int64)


def row_of(low: Hashes) -> npt.NDArray[np.int64]:
    return (low & np.uint64(MAX_ROWS - 1)).astype(np.int64)


def is_of_this_run(high: Hashes) -> npt.NDArray[np.bool_]:
    return np.asarray((high & _OF_THIS_RUN) != 0)


def comes_first(
    high: Hashes, low: Hashes, than_high: Hashes, than_low: Hashes
) -> npt.NDArray[np.bool_]:
    """Whether the one document is preferred to the other, row by row."""
    return np.asarray((high < than_high) | ((high == than_high) & (low < than_low)))


class Least:
    """The least row of every key, over rows that come chunk by chunk.

    Args:
        key: column to group by.
        order: columns to compare by, the most significant first.

    Memory goes with the number of different keys: the rows of one key are never held together.
    """

    def __init__(self, key: str, order: tuple[str, ...]) -> None:
        self._key = key
        self._order = order
        self._waiting: list[Columns] = []
        self._waiting_rows = 0
        self.rows: Columns = {name: np.empty(0, np.uint64) for name in (key, *order)}
        """The least row of every key, sorted by key."""
        self.counts: npt.NDArray[np.int64] = np.empty(0, np.int64)
        """Rows of every key."""

    def add(self, chunk: Columns) -> None:
        self._waiting.append({name: chunk[name] for name in self.rows})
        self._waiting_rows += chunk[self._key].size
        # Merging costs as much as what is held: done each time that has doubled, it stays cheap.
        if self._waiting_rows >= max(self.counts.size, _MERGED_ROWS):
            self.merge()

    def merge(self) -> None:
        """Take in what was added; `rows` and `counts` are right after it."""
        joined = {
            name: np.concatenate([column, *(w[name] for w in self._waiting)])
            for name, column in self.rows.items()
        }
        counts = np.concatenate([self.counts, np.ones(self._waiting_rows, np.int64)])
        self.rows = {}
        self._waiting.clear()
        self._waiting_rows = 0
        keys = joined[self._key]
        order = np.argsort(keys)
        first = starts(keys[order])
        sizes = np.diff(np.append(first, order.size))
        # Only rows that share a key have to be compared by the other columns.
        shared = np.repeat(sizes > 1, sizes)
        rows = order[shared]
        within = [joined[name][rows] for name in (*reversed(self._order), self._key)]
        order[shared] = rows[np.lexsort(within)]
        self.counts = np.add.reduceat(counts[order], first) if first.size else counts
        self.rows = {name: column[order[first]] for name, column in joined.items()}

    def index(self, keys: Hashes) -> npt.NDArray[np.int64]:
        """Position in `rows` of each key; every key must have been added."""
        return np.searchsorted(self.rows[self._key], keys)


def least(key: str, order: tuple[str, ...], chunks: Iterable[Columns]) -> Least:
    """`Least` over all chunks."""
    found = Least(key, order)
    for chunk in chunks:
        found.add(chunk)
    found.merge()
    return found


def starts(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Positions in sorted values where another value begins."""
    if not values.size:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))


def distinct_pairs(pairs: Columns) -> Columns:
    """Pairs of documents without repeats; columns `high`, `low`, `other_high`, `other_low`."""
    one, other = locator(pairs["low"]), locator(pairs["other_low"])
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    first = np.concatenate([[True], (one[1:] != one[:-1]) | (other[1:] != other[:-1])])
    chosen = order[first[: order.size]]
    return {name: column[chosen] for name, column in pairs.items()}
