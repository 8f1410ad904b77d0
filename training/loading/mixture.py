"""Which source each row of a stream comes from: exact over every window of 10,000 rows.

The sequence is a chain of cycles of 10,000 rows. Each cycle holds every source `floor(10,000 x
share)` times, at the same places in every cycle and as evenly spread as can be. The few places that
are left go to those sources that have the most owed to them, cycle by cycle, so that the shares are
exact in the long run; a source that has one in two cycles running keeps its place, and so no window
of 10,000 rows holds more than one row too many or too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

CYCLE = 10_000
_NEAR = 100
"""Rows by which a source may seem to be ahead or behind; in truth these are fewer than ten."""


class Mixture:
    """A deterministic sequence of source numbers.

    Args:
        shares: of rows, relative; each above 0.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = np.asarray(shares, np.float64) / np.sum(shares)
        exact = self._shares * CYCLE
        self._always = np.floor(exact + 1e-9).astype(np.int64)
        self._owed_each = np.maximum(exact - self._always, 0.0)
        self._open = CYCLE - int(self._always.sum())
        self._template = self._spread()
        self._owed = np.zeros(len(exact))
        self._fillings: list[npt.NDArray[np.int64]] = []
        """Sources of the open places, by cycle."""
        self._counts = [np.zeros(len(exact), np.int64)]
        """Rows of each source before each cycle."""
        self._cycle = lru_cache(maxsize=4)(self._make_cycle)

    def locate(self, number: int) -> tuple[int, int]:
        """The source of a row, and how many rows of that source come before it."""
        cycle, place = divmod(number, CYCLE)
        sources, counters = self._cycle(cycle)
        return int(sources[place]), int(counters[place])

    def counts(self, number: int) -> npt.NDArray[np.int64]:
        """Rows of each source among the first `number`."""
        cycle, place = divmod(number, CYCLE)
        sources, _ = self._cycle(cycle)
        within = np.bincount(sources[:place], minlength=len(self._always))
        return self._before(cycle) + within

    def is_near(self, counts: Sequence[int]) -> bool:
        """Whether rows of each source are about as many as their shares: told without counting."""
        return bool(np.abs(np.asarray(counts) - self._shares * sum(counts)).max() <= _NEAR)

    def _spread(self) -> npt.NDArray[np.int64]:
        """Source numbers of a cycle, each in even steps; -1 at the open places."""
        owners = np.concatenate(
            [np.full(n, s) for s, n in enumerate(self._always)] + [np.full(self._open, -1)]
        )
        ideal = np.concatenate(
            [(np.arange(n) + 0.5) * CYCLE / max(n, 1) for n in (*self._always, self._open)]
        )
        return np.asarray(owners[np.lexsort((owners, ideal))], np.int64)

    def _before(self, cycle: int) -> npt.NDArray[np.int64]:
        """Rows of each source before a cycle."""
        if self._open == 0:
            all_alike: npt.NDArray[np.int64] = self._always * cycle
            return all_alike
        while len(self._fillings) <= cycle:
            self._fill()
        return self._counts[cycle]

    def _make_cycle(self, cycle: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        before = self._before(cycle)
        sources = self._template.copy()
        if self._open:
            sources[sources == -1] = self._fillings[cycle]
        order = np.argsort(sources, kind="stable")
        lengths = np.bincount(sources, minlength=len(self._always))
        counters = np.empty(CYCLE, np.int64)
        starts = np.cumsum(lengths) - lengths
        counters[order] = np.arange(CYCLE) - np.repeat(starts, lengths)
        return sources, counters + before[sources]

    def _fill(self) -> None:
        """Give the open places of the next cycle to the sources that are owed most."""
        self._owed += self._owed_each
        chosen = set(np.argsort(-self._owed, kind="stable")[: self._open].tolist())
        filling = np.full(self._open, -1, np.int64)
        if self._fillings:
            stays = np.isin(self._fillings[-1], list(chosen))
            filling[stays] = self._fillings[-1][stays]
        new = sorted(chosen - set(filling.tolist()))
        filling[filling == -1] = new
        self._owed[filling] -= 1
        self._fillings.append(filling)
        given = np.bincount(filling, minlength=len(self._always))
        self._counts.append(self._counts[-1] + self._always + given)
