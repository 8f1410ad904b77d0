"""Small configurations for the tests' shards, and how trainings are run and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from curate.schemas.settings.mixture import Phase
from curate.training.config import Config, ModelConfig, TrainingConfig, VisionConfig
from curate.training.loading.shard_set import ShardSet
from curate.training.phases import TrainingJob
from curate.training.training_directory import METRICS, TrainingDirectory, read_metrics
from tests.training.shard_sets import IMAGE_SIZE

VISION = VisionConfig(
    image_size=IMAGE_SIZE, patch_size=8, width=32, layers=1, heads=2, quick_gelu=False
)


def config(dropout: float = 0.0, **training: Any) -> Config:
    """A model of 100,000 parameters in float32."""
    settings = {
        "precision": "float32",
        "micro_rows": {"text": 2, "pairs": 3, "interleaved": 1, "instruction": 2},
        "held_out_rows": 2,
        "evaluate_every": 4,
        "checkpoint_every": 4,
        "pretraining": Phase(
            steps=8,
            step_rows={"text": 4, "pairs": 6, "interleaved": 2},
            peak_rate=2e-3,
            warmup_steps=2,
        ),
    }
    return Config(
        model=ModelConfig(
            layers=2,
            width=32,
            ffn_width=64,
            heads=2,
            dropout=dropout,
            attention_dropout=dropout,
            vision=VISION,
        ),
        training=TrainingConfig(**{**settings, **training}),
    )


def write(path: Path, made: Config) -> Path:
    path.write_text(yaml.safe_dump(made.model_dump(mode="json")), encoding="utf-8")
    return path


def job(shards: ShardSet, folder: Path, made: Config, **changes: Any) -> TrainingJob:
    return TrainingJob(shards=shards, directory=TrainingDirectory(folder), config=made, **changes)


def losses(folder: Path) -> list[float]:
    """Training loss of every step."""
    return [m["loss"] for m in read_metrics(folder / METRICS) if "loss" in m]


def held_out(folder: Path) -> list[dict[str, float]]:
    """Losses by source of every evaluation."""
    return [
        {k: v for k, v in m.items() if k.startswith("held_out/")}
        for m in read_metrics(folder / METRICS)
        if "loss" not in m
    ]
