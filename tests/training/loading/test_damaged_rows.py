"""A row that can't be used is named by its shard and number, wherever it was read."""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from curate import open_shards
from curate.schemas.settings.mixture import Mixture, Phase
from curate.training.jax_backend.train import train as train_jax
from curate.training.loading.batches import Batch, PictureError, RowError, decoded
from curate.training.loading.reader import ShardReader
from curate.training.loading.shard_set import CorruptShardError, ShardSet
from curate.training.loading.workers import WorkerError
from curate.training.phases import TrainingJob
from curate.training.torch_backend.train import train as train_torch
from tests.training.configs import config, job
from tests.training.shard_sets import CAPTIONS, drawn_by_url, pair, write_shards

DAMAGED = CAPTIONS[7]
"""In the second of two shards, the fourth row: documents are dealt out in turn."""
NAMED = r"shards/captions/shard-00001-of-00002\.arrow is damaged: row 3 has image 0, which can't be"
PHASE = Phase(steps=4, step_rows={"pairs": 16}, warmup_steps=1)


def broken(url: str) -> bytes:
    """The picture of a caption, of which the second half is zeros where it is the damaged one."""
    data = drawn_by_url(url)
    if not url.endswith(DAMAGED.replace(" ", "-")):
        return data
    return b"\0" * 40 + data[40:]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Sixteen captions; the picture of one has lost its first bytes."""
    documents = [pair(caption) for caption in CAPTIONS[:16]]
    folder = tmp_path_factory.mktemp("damaged")
    made = Mixture(pretraining=PHASE)
    return write_shards(folder, {"captions": ("pairs", documents)}, read_image=broken, mixture=made)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_names_shard_and_row_and_what_to_do(shards: ShardSet, workers: int) -> None:
    with pytest.raises(CorruptShardError, match=NAMED) as told:
        list(itertools.islice(open_shards(shards.root, batch_rows=4).batches(workers), 4))
    assert f"`curate verify {shards.root}`" in str(told.value)
    again = pickle.loads(pickle.dumps(told.value))
    assert type(again) is CorruptShardError
    assert str(again) == str(told.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_pytorch_dataset_names_them_too(shards: ShardSet, workers: int) -> None:
    loader = DataLoader(
        open_shards(shards.root, batch_rows=4).dataset(),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    with pytest.raises(CorruptShardError, match=NAMED):
        list(itertools.islice(loader, 4))


@pytest.mark.parametrize(("train", "workers"), [(train_torch, 0), (train_torch, 1), (train_jax, 1)])
def test_a_training_ends_with_them(
    shards: ShardSet, tmp_path: Path, train: Any, workers: int
) -> None:
    made = config(pretraining=PHASE, micro_rows={"pairs": 16}, held_out_rows=0)
    asked: TrainingJob = job(shards, tmp_path / "run", made, workers=workers)
    with pytest.raises(CorruptShardError, match=NAMED):
        train(asked, lambda _: None)


def test_held_out_rows_are_named_as_well(shards: ShardSet) -> None:
    opened = open_shards(shards.root)
    reader = ShardReader(shards, opened.reader.options)
    reader.sources["captions"].held_out[:] = [(0, 1), (1, 3)]
    with pytest.raises(CorruptShardError, match=NAMED):
        list(reader.held_out("captions", 2))


def test_rows_themselves_do_not_need_their_images(shards: ShardSet) -> None:
    """Whoever reads rows decodes images, or doesn't."""
    assert len(list(itertools.islice(open_shards(shards.root).rows(), 16))) == 16


@pytest.mark.parametrize("workers", [0, 1])
def test_a_missing_and_a_cut_shard_are_named(tmp_path: Path, workers: int) -> None:
    documents = [pair(caption) for caption in CAPTIONS[:8]]
    made = write_shards(tmp_path, {"captions": ("pairs", documents)}, shards=1)
    path = tmp_path / "shards" / made.manifest.shards[0].path
    data = path.read_bytes()
    for content, problem in ((b"", "can't be read"), (data[:300], "can't be read")):
        path.write_bytes(content)
        with pytest.raises(CorruptShardError, match=f"shard-00000-of-00001.arrow {problem}"):
            next(open_shards(made.root).batches(workers))
    path.unlink()
    with pytest.raises(CorruptShardError, match=r"shard-00000-of-00001\.arrow is missing"):
        next(open_shards(made.root).batches(workers))


@pytest.mark.parametrize(
    "data",
    [b"", b"no", drawn_by_url("A-red-circle-on-blue")[:200], b"GIF89a", b"\x89PNG\r\n\x1a\n" * 4],
)
def test_bytes_that_are_no_picture_are_told(data: bytes) -> None:
    with pytest.raises(PictureError, match="can't be decoded"):
        decoded(data, 32)


def test_the_error_of_a_row_survives_a_process() -> None:
    again = pickle.loads(pickle.dumps(RowError(3, "is odd")))
    assert (again.index, again.problem) == (3, "is odd")


def test_a_fault_of_ours_in_a_worker_has_its_trace(shards: ShardSet) -> None:
    opened = open_shards(shards.root)
    # Past the check of the options, as nothing but a fault of ours would be.
    object.__setattr__(opened._options, "image_size", "wide")
    with pytest.raises(WorkerError, match=r"Traceback[\s\S]*make_batch[\s\S]*TypeError"):
        next(opened.batches(workers=1))


def test_what_a_worker_met_ahead_is_told_in_its_turn(shards: ShardSet) -> None:
    """It has ended long before the batches that it had made are used up."""
    opened = open_shards(shards.root, batch_rows=1)
    good: list[Batch] = []
    with pytest.raises(CorruptShardError, match=NAMED):
        _use_slowly(opened.batches(workers=1), good)
    before = itertools.takewhile(
        lambda found: (found[0].shard, found[0].row) != (1, 3), opened.rows()
    )
    assert len(good) == len(list(before)) > 1


def _use_slowly(batches: Iterator[Batch], used: list[Batch]) -> None:
    for batch in batches:
        used.append(batch)
        time.sleep(0.2)
