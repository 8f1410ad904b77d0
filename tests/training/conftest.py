"""Shards that several tests of the trainer read."""

from __future__ import annotations

import pytest

from curate.schemas.settings.mixture import Mixture, Phase
from curate.training.loading.shard_set import ShardSet
from tests.training.shard_sets import CAPTIONS, instruction, interleaved, pair, text, write_shards


@pytest.fixture(scope="session")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Two corpora, captions, documents with images and instructions; 3 shards of each."""
    documents = [interleaved(f"doc {i}", CAPTIONS[i : i + 2]) for i in range(0, 60, 2)]
    asked = [
        instruction(f"Name the colour of this:\nA {c.split()[1]} thing.", c.split()[1])
        for c in CAPTIONS[::5]
    ]
    return write_shards(
        tmp_path_factory.mktemp("mixed"),
        {
            "books": ("text", [text(f"book {i}", 9) for i in range(50)]),
            "web": ("text", [text(f"web {i}", 4) for i in range(40)]),
            "captions": ("pairs", [pair(caption) for caption in CAPTIONS]),
            "documents": ("interleaved", documents),
            "asked": ("instruction", asked),
        },
        shards=3,
        weights={"books": 0.7, "web": 0.3},
        mixture=Mixture(
            pretraining=Phase(steps=20, step_rows={"text": 4, "pairs": 6, "interleaved": 2}),
            instruction_tuning=Phase(
                steps=6, step_rows={"instruction": 4, "text": 1}, peak_rate=1e-3, warmup_steps=2
            ),
        ),
    )
