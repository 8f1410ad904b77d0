"""The end of the demo: a tiny model learns from the shards, and captions the pictures."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curate.runs.run_directory import RunDirectory
from curate.training.config import load_config
from curate.training.loading.shard_set import ShardSet
from curate.training.phases import TrainingJob
from curate.training.training_directory import TrainingDirectory

FOLDER = "training/tiny-torch-pretraining"


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture with its captions in the shards, and what the model writes of it."""

    captions: tuple[str, ...]
    """Pages show the same picture under several."""
    written: str

    @property
    def right(self) -> bool:
        return self.written in self.captions


def can_train() -> bool:
    """Whether the packages of the extra `train` are there."""
    names = ("torch", "open_clip", "tensorboard")
    return all(importlib.util.find_spec(name) is not None for name in names)


def train_on(run: RunDirectory, tell: Callable[[dict[str, Any]], None]) -> list[Captioned]:
    """Train the configuration `tiny`, then write a caption for every picture of the pairs."""
    from curate.training.torch_backend.generate import Sampling, load_generator
    from curate.training.torch_backend.train import train

    shards = ShardSet(run.root)
    directory = TrainingDirectory(run.path(FOLDER))
    train(TrainingJob(shards=shards, directory=directory, config=load_config("tiny")), tell)
    generator = load_generator(directory.checkpoints()[-1], shards.vocabulary)
    return [
        Captioned(tuple(captions), generator.generate(picture, "", Sampling()))
        for picture, captions in _captions(shards).items()
    ]


def _captions(shards: ShardSet) -> dict[bytes, list[str]]:
    """The captions of every picture of the pairs in the shards."""
    from curate.tokenization.shards import Shard

    vocabulary, slots = shards.vocabulary, shards.manifest.image_slots
    found: dict[bytes, list[str]] = {}
    for file in shards.shards_of("captions"):
        shard = Shard(shards.local_path(file))
        for number in range(shard.rows):
            row = shard.row(number)
            for slot, document in zip(row["image_slots"], row["documents"], strict=True):
                ids = row["input_ids"][slot["offset"] + slots + 1 : document["end"]]
                picture = row["images"][slot["image"]]["bytes"]
                found.setdefault(picture, []).append(vocabulary.decode(ids))
    return found
