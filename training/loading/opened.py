"""A run's shards without a trainer: `curate.open_shards(path)`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from curate.schemas.errors import UsageError
from curate.training.arguments import (
    MOST_BATCH_ROWS,
    MOST_ROWS,
    path_text,
    rank_of_world,
    whole_number,
)
from curate.training.loading.batches import Batch
from curate.training.loading.loader import ShardLoader
from curate.training.loading.order import Place, Stream
from curate.training.loading.reader import LoaderOptions, ShardReader
from curate.training.loading.rows import Row
from curate.training.loading.shard_set import ShardSet
from curate.training.loading.streams import one_stream

if TYPE_CHECKING:
    from torch.utils.data import IterableDataset


class OpenShards:
    """A run's shards, ready to iterate over: `curate.open_shards(path)`."""

    def __init__(
        self, shards: ShardSet, options: LoaderOptions, state: Mapping[str, int] | None
    ) -> None:
        self._shards = shards
        self._options = options
        self.reader = ShardReader(shards, options)
        self._start = 0 if state is None else self.reader.order.number(state)

    def rows(self) -> Iterator[tuple[Place, Row]]:
        """This rank's rows, for ever; `Place.number` + 1 rows are then behind.

        Raises:
            CorruptShardError: a shard is missing or damaged; the message names it, and the row.
        """
        return self.reader.rows(self._start)

    def state_after(self, number: int) -> dict[str, int]:
        """The state to resume with once the rows below `number` have been used.

        Raises:
            UsageError: `number` is no number of rows.
        """
        return self.reader.order.state(whole_number("number", number, 0, MOST_ROWS))

    def batches(self, workers: int = 0) -> Generator[Batch, None, None]:
        """NumPy batches of this rank, for ever.

        Args:
            workers: processes that read and decode; 0 does so in this one.

        Raises:
            UsageError: the state lies inside a batch, or `batch_rows` is below `world`.
            CorruptShardError: a shard is missing or damaged, or holds an image that can't be
                decoded; the message names it, and the row.
            WorkerError: a worker was killed.
        """
        first = self._first_batch()
        loader = ShardLoader(self._shards, self._options, start=first, workers=workers)
        return (batch for batches in loader.steps() for batch in batches)

    def dataset(self) -> IterableDataset[dict[str, Any]]:
        """The batches as a PyTorch IterableDataset of tensors, for ever.

        Use it as `DataLoader(dataset, batch_size=None, num_workers=N)`: batches come in the same
        order for every N.

        Raises:
            UsageError: the state lies inside a batch, or `batch_rows` is below `world`.
        """
        from curate.training.torch_backend.dataset import ShardDataset

        return ShardDataset(self._shards, self._options, self._first_batch())

    def _first_batch(self) -> int:
        rows, world = self.reader.order.step_rows, self._options.world
        if rows < world:
            raise UsageError(
                f"batch_rows must be at least world={world}, or some ranks have no rows "
                f"(got {rows}). rows() takes any world."
            )
        batch, rest = divmod(self._start, rows)
        if rest:
            raise UsageError(f"the state lies {rest} rows inside batch {batch}: use rows()")
        return batch


def open_shards(
    path: str | PathLike[str],
    *,
    batch_rows: int = 8,
    source: str | None = None,
    image_size: int | None = None,
    seed: int | None = None,
    rank: int = 0,
    world: int = 1,
    state: Mapping[str, int] | None = None,
    cache: str | PathLike[str] | None = None,
) -> OpenShards:
    """Open the shards of a finished run for reading, without a trainer.

    Args:
        path: run directory: local, or any fsspec address.
        batch_rows: rows of a batch, over all ranks, from 1.
        source: take one source alone; else all are mixed as pretraining mixes them or, where the
            recipe has no mixture, by their weights.
        image_size: pixels of a side, from 1; else that of the stored images.
        seed: of the order; else the recipe's.
        rank: of this reader among `world`, from 0.
        state: rows taken from each source, to go on after them. It goes with these shards and this
            seed; `world` may be another, and `batch_rows` where it lies between two batches.
        cache: folder for copies of shards that are not local.

    Raises:
        UsageError: no finished run, no such source, a state of another mixture, or a value out of
            its range.
    """
    rank, world = rank_of_world(rank, world)
    batch_rows = whole_number("batch_rows", batch_rows, 1, MOST_BATCH_ROWS)
    shards = ShardSet(path_text("path", path), None if cache is None else path_text("cache", cache))
    manifest = shards.manifest
    if source is None:
        streams = (one_stream(shards, batch_rows),)
    else:
        shards.shards_of(source)
        streams = (Stream(name=source, sources=(source,), shares=(1.0,), step_rows=batch_rows),)
    options = LoaderOptions(
        streams=streams,
        micro_rows={stream.name: -(-stream.step_rows // world) for stream in streams},
        image_size=manifest.image_size if image_size is None else image_size,
        seed=manifest.seed if seed is None else seed,
        rank=rank,
        world=world,
    )
    return OpenShards(shards, options, state)
