"""The loader: batches of a run's shards, in one global order, for any ranks and workers.

    global order ▶ rows of this rank ▶ units (a micro-batch each) ▶ worker u mod workers ▶ batches

A unit depends on its number alone, so workers share nothing, and a resume is exact anywhere.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from curate.schemas.errors import UsageError
from curate.training.arguments import (
    MOST_PREFETCH,
    MOST_ROWS,
    MOST_WORKERS,
    whole_number,
)
from curate.training.loading.batches import Batch
from curate.training.loading.reader import LoaderOptions, ShardReader
from curate.training.loading.shard_set import ShardSet
from curate.training.loading.workers import WorkerPool

_FETCHERS = 4


class CopyKeeper:
    """Context manager: fetches shards from elsewhere before they are read, removes them after."""

    def __init__(self, reader: ShardReader) -> None:
        self._reader = reader
        self._near: set[tuple[str, int]] = set()
        self._fetchers = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="shard-fetcher")

    def __enter__(self) -> CopyKeeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._fetchers.shutdown(cancel_futures=True)

    def keep(self, step: int) -> None:
        """See that the shards of this step's windows and the next ones are here or on their way."""
        shards = self._reader.shards
        if shards.is_local:
            return
        now = self._reader.copies_needed(step)
        for source, shard in sorted(now - self._near):
            self._fetchers.submit(shards.local_path, self._reader.file(source, shard))
        for source, shard in sorted(self._near - now):
            shards.forget(self._reader.file(source, shard))
        self._near = now


class ShardLoader:
    """What a training loop iterates over.

    Args:
        start: number of the first step, from 0.
        workers: processes that read and decode; 0 does so in this one.
        prefetch: batches that each worker makes ahead, from 1.

    Raises:
        UsageError: a value is out of its range.
    """

    def __init__(
        self,
        shards: ShardSet,
        options: LoaderOptions,
        *,
        start: int = 0,
        workers: int = 0,
        prefetch: int = 2,
    ) -> None:
        self.reader = ShardReader(shards, options)
        self._workers = whole_number("workers", workers, 0, MOST_WORKERS)
        self._prefetch = whole_number("prefetch", prefetch, 1, MOST_PREFETCH)
        self.step = whole_number("start", start, 0, MOST_ROWS // self.reader.order.step_rows)

    def state(self) -> dict[str, int]:
        """Rows taken from each source by all ranks together: all that a resume needs."""
        return self.reader.order.state(self.step * self.reader.order.step_rows)

    def resume(self, state: Mapping[str, int]) -> None:
        """Go on after the rows of a state.

        Raises:
            UsageError: it is no state, or none of this order, or lies within a step.
        """
        number = self.reader.order.number(state)
        step, rest = divmod(number, self.reader.order.step_rows)
        if rest:
            raise UsageError(
                f"the loader's state lies {rest} rows inside step {step}: "
                "a step now holds another number of rows."
            )
        self.step = step

    def steps(self) -> Generator[Iterator[Batch], None, None]:
        """For ever the micro-batches of one step of this rank; each is to be used up in turn."""
        units = self._units(self.step * self.reader.step_units)
        with CopyKeeper(self.reader) as copies:
            while True:
                step = self.step
                copies.keep(step)
                yield self._micro_batches(units)
                if self.step != step + 1:
                    raise RuntimeError(f"step {step} was left before its last micro-batch")

    def _micro_batches(self, units: Iterator[Batch]) -> Iterator[Batch]:
        for _ in range(self.reader.step_units):
            yield next(units)
        self.step += 1

    def _units(self, first: int) -> Iterator[Batch]:
        if self._workers == 0:
            number = first
            while True:
                yield self.reader.unit(number)
                number += 1

        with WorkerPool(
            self.reader.shards, self.reader.options, self._workers, self._prefetch, first
        ) as pool:
            yield from pool.batches()
