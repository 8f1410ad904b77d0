"""The global order of rows: one sequence, whatever the number of ranks and workers.

    step 0                     step 1
    text text pairs pairs ...  text text pairs pairs ...

Every step holds the same number of rows of each stream (a format, or all sources together), as
KOSMOS-1's batches do. Within a stream a mixture chooses the source, and each source gives its rows
in an order of its own, shuffled anew every epoch. The state of a loader is one integer per source:
the rows taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.schemas.errors import UsageError
from curate.schemas.identity import content_key, mix
from curate.training.arguments import MOST_BATCH_ROWS, MOST_EPOCHS, MOST_ROWS, shown, whole_number
from curate.training.loading.mixture import Mixture

HELD_OUT_SHARE = 10
"""At most one row in so many is held out for evaluation."""

Numbers = npt.NDArray[np.int64]


def shuffled(count: int, *key: str) -> Numbers:
    """The numbers below `count` in an order that depends on the key alone."""
    seed = np.uint64(int.from_bytes(content_key(*key)[:8], "little"))
    return np.argsort(mix(mix(np.arange(count, dtype=np.uint64)) ^ seed), kind="stable")


def no_rows(source: str) -> UsageError:
    """The error of a source that holds nothing to train on, to be raised."""
    return UsageError(
        f"source {source!r} has no rows. Take it out of the recipe and build again: "
        "the shards of the others are kept."
    )


class SourceOrder:
    """The rows of one source, in an order of their own in every epoch.

    Shards come in keyed order, and rows are shuffled within `window` neighbouring shards, so that a
    reader needs so many shards at a time and no more.

    Args:
        rows: number of rows of each shard.
        held_out: rows that are kept for evaluation.

    Raises:
        UsageError: the source has no rows.
    """

    def __init__(
        self, name: str, rows: Sequence[int], seed: int, window: int = 8, held_out: int = 0
    ) -> None:
        self.name = name
        self._seed = str(seed)
        self._window = window
        self._free = [np.arange(count) for count in rows]
        self.held_out = self._hold_out(min(held_out, sum(rows) // HELD_OUT_SHARE))
        """Shard and row of each row that no epoch holds."""
        self.total = sum(free.size for free in self._free)
        if self.total == 0:
            raise no_rows(name)
        self._shards_of = lru_cache(maxsize=2)(self._make_shard_order)
        self._rows_of = lru_cache(maxsize=3)(self._make_window)

    def _hold_out(self, count: int) -> list[tuple[int, int]]:
        held: list[tuple[int, int]] = []
        for shard in shuffled(len(self._free), self._seed, "held out shards", self.name).tolist():
            rows = self._free[shard]
            taken = shuffled(rows.size, self._seed, "held out rows", self.name)[: count - len(held)]
            held += [(shard, row) for row in sorted(rows[taken].tolist())]
            self._free[shard] = np.delete(rows, taken)
            if len(held) >= count:
                break
        return held

    def locate(self, counter: int) -> tuple[int, int]:
        """Shard and row of the row that comes after `counter` others."""
        epoch, place = divmod(counter, self.total)
        _, ends = self._shards_of(epoch)
        window = int(np.searchsorted(ends, place, side="right"))
        shards, rows = self._rows_of(epoch, window)
        inside = place - (int(ends[window - 1]) if window else 0)
        return int(shards[inside]), int(rows[inside])

    def shards_near(self, counter: int) -> list[int]:
        """The shards that the next rows lie in: those of this window and of the next."""
        epoch, place = divmod(counter, self.total)
        order, ends = self._shards_of(epoch)
        window = int(np.searchsorted(ends, place, side="right"))
        near: list[int] = order[window * self._window : (window + 2) * self._window].tolist()
        if window + 1 >= ends.size:
            near += self._shards_of(epoch + 1)[0][: self._window].tolist()
        return near

    def _make_shard_order(self, epoch: int) -> tuple[Numbers, Numbers]:
        """Shard numbers in this epoch's order, and where each window of them ends."""
        order = shuffled(len(self._free), self._seed, "shards", self.name, str(epoch))
        sizes = [self._free[shard].size for shard in order]
        windows = [sum(sizes[i : i + self._window]) for i in range(0, len(sizes), self._window)]
        return order, np.cumsum(windows)

    def _make_window(self, epoch: int, window: int) -> tuple[Numbers, Numbers]:
        order, _ = self._shards_of(epoch)
        chosen = order[window * self._window : (window + 1) * self._window].tolist()
        shards = np.concatenate([np.full(self._free[s].size, s) for s in chosen])
        rows = np.concatenate([self._free[s] for s in chosen])
        mixed = shuffled(shards.size, self._seed, "rows", self.name, str(epoch), str(window))
        return shards[mixed], rows[mixed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Sources that are mixed row by row."""

    name: str
    sources: tuple[str, ...]
    shares: tuple[float, ...]
    """Of rows, relative."""
    step_rows: int
    """Rows in every step."""

    def __post_init__(self) -> None:
        whole_number(f"stream {self.name!r}: step_rows", self.step_rows, 1, MOST_BATCH_ROWS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one row of the global order lies."""

    number: int
    stream: str
    source: str
    counter: int
    """Rows of the source before it, over all epochs."""
    shard: int
    """Number among the source's shards."""
    row: int


class GlobalOrder:
    """Row `n` of training, for every `n`."""

    def __init__(self, streams: Sequence[Stream], sources: Mapping[str, SourceOrder]) -> None:
        self.streams = tuple(streams)
        self.step_rows = sum(s.step_rows for s in self.streams)
        self._sources = sources
        self._mixtures = [Mixture(s.shares) for s in self.streams]
        self._ends = list(accumulate(s.step_rows for s in self.streams))

    def place(self, number: int) -> Place:
        """The row of a number."""
        step, offset = divmod(number, self.step_rows)
        index = next(i for i, end in enumerate(self._ends) if offset < end)
        stream = self.streams[index]
        before = self._ends[index] - stream.step_rows
        which, counter = self._mixtures[index].locate(step * stream.step_rows + offset - before)
        source = stream.sources[which]
        shard, row = self._sources[source].locate(counter)
        return Place(number, stream.name, source, counter, shard, row)

    def state(self, number: int) -> dict[str, int]:
        """Rows taken from each source by the first `number` rows."""
        state: dict[str, int] = {}
        for stream, mixture, rows in zip(
            self.streams, self._mixtures, self._rows_of_streams(number), strict=True
        ):
            counts = mixture.counts(rows)
            state.update(zip(stream.sources, counts.tolist(), strict=True))
        return state

    def number(self, state: Mapping[str, int]) -> int:
        """The inverse of `state`.

        Raises:
            UsageError: it is no state, or none of this order: sources, weights or rows per step
                differ.
        """
        counts = self._checked(state)
        number = whole_number("rows of the loader's state", sum(counts.values()), 0, MOST_ROWS)
        found = ""
        if self._is_near(number, counts):
            expected = self.state(number)
            if expected == counts:
                return number
            found = f", which after {number:,} rows has {expected}"
        raise UsageError(
            f"the loader's state {counts} is none of this mixture{found}. "
            "Resume with the sources, weights and rows per step of then."
        )

    def _is_near(self, number: int, counts: Mapping[str, int]) -> bool:
        """Whether the counts can be those of a state: told without going through all rows."""
        for stream, mixture, rows in zip(
            self.streams, self._mixtures, self._rows_of_streams(number), strict=True
        ):
            own = [counts[name] for name in stream.sources]
            if sum(own) != rows or not mixture.is_near(own):
                return False
        return True

    def _rows_of_streams(self, number: int) -> list[int]:
        """Rows of each stream among the first `number`."""
        step, offset = divmod(number, self.step_rows)
        return [
            step * stream.step_rows
            + min(max(offset - (end - stream.step_rows), 0), stream.step_rows)
            for stream, end in zip(self.streams, self._ends, strict=True)
        ]

    def _checked(self, state: Any) -> dict[str, int]:
        """A state, which came from outside.

        Raises:
            UsageError: it is no whole number of rows for every source, or too many.
        """
        names = [name for stream in self.streams for name in stream.sources]
        if not isinstance(state, Mapping) or set(state) != set(names):
            raise UsageError(
                f"the loader's state is none of this mixture: it must hold the rows taken from "
                f"each of {', '.join(names)} (got {shown(state)}). Resume with the sources of then."
            )
        return {
            name: whole_number(
                f"the loader's state: {name}",
                state[name],
                0,
                min(MOST_ROWS, MOST_EPOCHS * self._sources[name].total),
                f", for the source has {self._sources[name].total:,} rows",
            )
            for name in names
        }
