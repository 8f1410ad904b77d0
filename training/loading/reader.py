"""Rows and batches of a run's shards by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count as numbers_from

from curate.schemas.manifest import ShardFile
from curate.tokenization.shard_batches import CorruptShardError
from curate.training.arguments import (
    MOST_BATCH_ROWS,
    MOST_IMAGE_SIZE,
    MOST_ROWS,
    rank_of_world,
    seed_number,
    whole_number,
)
from curate.training.loading.batches import Batch, RowError, make_batch
from curate.training.loading.order import GlobalOrder, Place, SourceOrder, Stream
from curate.training.loading.rows import Row, ShardRows
from curate.training.loading.shard_set import ShardSet

_OPEN_SHARDS = 64


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
