"""The loader: batches of a run's shards, in one global order, for any ranks and workers.

    global order ▶ rows of this rank ▶ units (a micro-batch each) ▶ worker u mod workers ▶ batches

A unit depends on its number alone, so workers share nothing, and a resume is exact anywhere.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count as numbers_from

from curate.schemas.errors import UsageError
from curate.schemas.manifest import ShardFile
from curate.schemas.settings.mixture import Phase
from curate.schemas.settings.source import Format
from curate.tokenization.shard_batches import CorruptShardError
from curate.training.arguments import (
    MOST_BATCH_ROWS,
    MOST_IMAGE_SIZE,
    MOST_PREFETCH,
    MOST_ROWS,
    MOST_WORKERS,
    rank_of_world,
    seed_number,
    whole_number,
)
from curate.training.loading.batches import Batch, RowError, make_batch
from curate.training.loading.order import GlobalOrder, Place, SourceOrder, Stream, no_rows
from curate.training.loading.rows import Row, ShardRows
from curate.training.loading.shard_set import ShardSet

_OPEN_SHARDS = 64
_FETCHERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderOptions:
    """How rows are grouped; the global order depends on streams and seed alone.

    Raises:
        UsageError: a value is out of its range, or a stream has no `micro_rows`.
    """

    streams: tuple[Stream, ...]
    micro_rows: Mapping[str, int]
    """Rows of a micro-batch of each stream."""
    image_size: int
    """Pixels of a side that images are given to the model in."""
    seed: int = 0
    held_out: int = 0
    """Rows of each source that are kept from training."""
    rank: int = 0
    world: int = 1
    window: int = 8
    """Shards among which the rows of a source are shuffled."""

    def __post_init__(self) -> None:
        for stream in self.streams:
            rows = self.micro_rows.get(stream.name)
            whole_number(f"micro_rows of {stream.name}", rows, 1, MOST_BATCH_ROWS)
        whole_number("image_size", self.image_size, 1, MOST_IMAGE_SIZE)
        seed_number(self.seed)
        whole_number("held_out", self.held_out, 0, MOST_ROWS)
        rank_of_world(self.rank, self.world)
        whole_number("window", self.window, 1, MOST_ROWS)


class ShardReader:
    """Rows and batches by number; a loader without processes of its own."""

    def __init__(self, shards: ShardSet, options: LoaderOptions) -> None:
        self.shards = shards
        self.options = options
        names = [source for stream in options.streams for source in stream.sources]
        self._files = {name: shards.shards_of(name) for name in names}
        self._formats = {name: shards.manifest.sources[name].format for name in names}
        self.sources = {
            name: SourceOrder(
                name,
                [file.rows for file in self._files[name]],
                options.seed,
                options.window,
                options.held_out,
            )
            for name in names
        }
        self.order = GlobalOrder(options.streams, self.sources)
        self._open = lru_cache(maxsize=_OPEN_SHARDS)(self._open_shard)

    def file(self, source: str, shard: int) -> ShardFile:
        """A shard by source and number."""
        return self._files[source][shard]

    def _open_shard(self, source: str, shard: int) -> ShardRows:
        file = self.file(source, shard)
        try:
            return ShardRows(self.shards.local_path(file), file.seal)
        except FileNotFoundError as error:
            raise self.shards.damage(file, "is missing") from error

    def row(self, place: Place) -> Row:
        """The row of a place.

        Raises:
            CorruptShardError: its shard is missing or damaged.
        """
        return self._row(place.source, place.shard, place.row)

    def _row(self, source: str, shard: int, row: int) -> Row:
        return self._open(source, shard).row(row)

    def _damage(self, source: str, shard: int, row: int, problem: str) -> CorruptShardError:
        return self.shards.damage(self.file(source, shard), f"is damaged: row {row} {problem}")

    def rows(self, start: int = 0) -> Iterator[tuple[Place, Row]]:
        """This rank's rows of the global order from number `start` on, one by one, for ever.

        Raises:
            UsageError: `start` is no number of a row.
        """
        first = whole_number("start", start, 0, MOST_ROWS) + self.options.rank
        places = map(self.order.place, numbers_from(first, self.options.world))
        return ((place, self.row(place)) for place in places)

    def held_out(self, source: str, count: int) -> Iterator[Batch]:
        """The rows of a source that training never sees, `count` in a batch."""
        held = self.sources[source].held_out
        for start in range(0, len(held), count):
            places = [(source, shard, row) for shard, row in held[start : start + count]]
            yield self._batch(source, places, count)

    @cached_property
    def step_units(self) -> int:
        """Micro-batches of a step on every rank."""
        return sum(self._micro_batches(stream) for stream in self.options.streams)

    def _micro_batches(self, stream: Stream) -> int:
        rows = -(-stream.step_rows // self.options.world)
        return -(-rows // self.options.micro_rows[stream.name])

    def unit(self, number: int) -> Batch:
        """A micro-batch of this rank; `number` counts through all steps.

        Raises:
            CorruptShardError: a shard is missing or damaged, or an image can't be decoded.
        """
        step, index = divmod(number, self.step_units)
        first = step * self.order.step_rows
        for stream in self.options.streams:
            count = self._micro_batches(stream)
            if index < count:
                break
            index -= count
            first += stream.step_rows
        else:
            raise AssertionError("a unit lies in one of the streams")
        rank, world = self.options.rank, self.options.world
        size = self.options.micro_rows[stream.name]
        inside = range(rank, stream.step_rows, world)[index * size : (index + 1) * size]
        found = [self.order.place(first + offset) for offset in inside]
        places = [(place.source, place.shard, place.row) for place in found]
        return self._batch(stream.name, places, size)

    def _batch(self, stream: str, places: list[tuple[str, int, int]], size: int) -> Batch:
        """A batch of rows by source, shard and row.

        Raises:
            CorruptShardError: a shard is missing or damaged, or an image can't be decoded.
        """
        try:
            return make_batch(
                stream,
                [self._row(*place) for place in places],
                [self._formats[source] for source, _, _ in places],
                batch_rows=size,
                image_slots=self.shards.manifest.image_slots,
                image_size=self.options.image_size,
            )
        except RowError as error:
            raise self._damage(*places[error.index], error.problem) from error

    def copies_needed(self, step: int) -> set[tuple[str, int]]:
        """Shards that this step and the next ones read, by source and number."""
        state = self.order.state(step * self.order.step_rows)
        return {
            (name, shard)
            for name, counter in state.items()
            for shard in self.sources[name].shards_near(counter)
        }


def streams_of(shards: ShardSet, phase: Phase) -> tuple[Stream, ...]:
    """The streams of a phase, one for each format.

    A source's share of rows is its weight over its mean tokens a row, so that weights are shares of
    tokens.

    Raises:
        UsageError: the run has no shards of a format that the phase names.
    """
    streams = []
    for row_format in phase.formats:
        stream = _stream_of(shards, phase, row_format)
        if stream is None:
            raise UsageError(
                f"{shards.root} has no {row_format} shards, which every step should hold. Fill a "
                f"source of that format, or take {row_format} out of the mixture."
            )
        streams.append(stream)
    return tuple(streams)


def one_stream(shards: ShardSet, rows: int) -> Stream:
    """All sources row by row: as pretraining mixes them or, without a mixture, by their weights."""
    manifest = shards.manifest
    if manifest.mixture is None:
        names = tuple(sorted(manifest.sources))
        shares = tuple(manifest.sources[n].weight / _row_tokens(shards, n) for n in names)
        return Stream(name="all", sources=names, shares=shares, step_rows=rows)
    phase = manifest.mixture.pretraining
    found = [_stream_of(shards, phase, row_format) for row_format in phase.formats]
    mixed = {
        name: stream.step_rows * share / sum(stream.shares)
        for stream in found
        if stream is not None
        for name, share in zip(stream.sources, stream.shares, strict=True)
    }
    if not mixed:
        raise UsageError(
            f"{shards.root} has no shards of a format that its mixture names "
            f"({', '.join(phase.formats)}). Give `source`."
        )
    return Stream(name="all", sources=tuple(mixed), shares=tuple(mixed.values()), step_rows=rows)


def _stream_of(shards: ShardSet, phase: Phase, row_format: Format) -> Stream | None:
    sources = shards.manifest.sources
    names = tuple(name for name in sorted(sources) if sources[name].format == row_format)
    if not names:
        return None
    lengths = [_row_tokens(shards, name) for name in names]
    shares = [sources[n].weight / length for n, length in zip(names, lengths, strict=True)]
    rows = phase.step_rows.get(row_format)
    if rows is None:
        mean = sum(s * length for s, length in zip(shares, lengths, strict=True)) / sum(shares)
        rows = max(1, round(phase.step_tokens[row_format] / mean))
    return Stream(name=row_format, sources=names, shares=tuple(shares), step_rows=rows)


def _row_tokens(shards: ShardSet, source: str) -> float:
    """Mean tokens of a row.

    Raises:
        UsageError: the source has no rows.
    """
    files = shards.shards_of(source)
    rows = sum(file.rows for file in files)
    if rows == 0:
        raise no_rows(source)
    return sum(file.tokens for file in files) / rows


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
        from curate.training.loading.workers import WorkerPool

        with WorkerPool(
            self.reader.shards, self.reader.options, self._workers, self._prefetch, first
        ) as pool:
            yield from pool.batches()
