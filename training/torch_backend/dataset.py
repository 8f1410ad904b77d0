"""Batches of shards as a PyTorch dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from curate.training.loading.batches import Batch
from curate.training.loading.reader import LoaderOptions, ShardReader
from curate.training.loading.shard_set import ShardSet


class ShardDataset(IterableDataset[dict[str, Any]]):
    """Batches of one rank, for ever; with DataLoader workers each makes every n-th."""

    def __init__(self, shards: ShardSet, options: LoaderOptions, step: int) -> None:
        super().__init__()
        self._shards = shards
        self._options = options
        self._step = step

    def __iter__(self) -> Iterator[dict[str, Any]]:
        reader = ShardReader(self._shards, self._options)
        worker = get_worker_info()
        number = self._step * reader.step_units + (worker.id if worker else 0)
        while True:
            yield tensors_of(reader.unit(number))
            number += worker.num_workers if worker else 1


def tensors_of(batch: Batch) -> dict[str, Any]:
    """A batch with its arrays as tensors, under the same names."""
    values = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return {
        name: torch.from_numpy(value) if hasattr(value, "dtype") else value
        for name, value in values.items()
    }
