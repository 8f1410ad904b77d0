"""Tokens per second, MFU, memory, and the time that training waits for data.

    python -m benchmarks.training                        kosmos1, 20 steps: for a GPU
    python -m benchmarks.training --config small --steps 4 --share 128
    torchrun --nproc-per-node 8 -m benchmarks.training --parallel fsdp

Rows have the shapes of KOSMOS-1's: text in blocks of 2,048, pairs of about 83 tokens, documents of
3 images. A step holds 1 / SHARE of the paper's 256, 6,144 and 128 rows. Images are JPEG;
the image encoder has random weights, frozen as the configuration says.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.loader.formats import write_training_shards
from curate.console import say
from curate.schemas.settings.mixture import Phase
from curate.training.config import Config, load_config
from curate.training.loading.shard_set import ShardSet
from curate.training.phases import TrainingJob
from curate.training.torch_backend.train import train
from curate.training.training_directory import TrainingDirectory

KOSMOS1_ROWS = {"text": 256, "pairs": 6_144, "interleaved": 128}
WARMUP = 3
"""Steps that are left out of the means: compilers and caches are still at work."""


@click.command()
@click.option("--config", "name", default="kosmos1", show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--share", default=8, show_default=True, help="A step is 1 / SHARE of KOSMOS-1's.")
@click.option("--workers", default=4, show_default=True, help="Loader processes per rank.")
@click.option("--parallel", default="ddp", show_default=True, type=click.Choice(["ddp", "fsdp"]))
def main(name: str, steps: int, share: int, workers: int, parallel: Any) -> None:
    """Measure training on made-up rows of real shapes."""
    rows = {row_format: max(1, count // share) for row_format, count in KOSMOS1_ROWS.items()}
    shared = os.environ.get("TORCHELASTIC_RUN_ID")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(tempfile.gettempdir(), f"curate-{shared}") if shared else Path(scratch)
        if os.environ.get("LOCAL_RANK", "0") == "0":
            write_training_shards(folder)
        told: list[dict[str, Any]] = []
        job = TrainingJob(
            shards=ShardSet(str(folder)),
            directory=TrainingDirectory(folder / "training"),
            config=_config(name, steps, rows),
            workers=workers,
            strategy=parallel,
        )
        train(job, lambda numbers: _tell(numbers, told))
    measured = [numbers for numbers in told if "loss" in numbers][min(WARMUP, steps - 1) :]
    if measured:
        say(f"\n{name}, {rows}, mean of {len(measured)} steps")
        for key in ("seconds", "tokens_per_second", "waiting", "mfu", "memory_gib"):
            if key in measured[0]:
                say(f"  {key:<20}{statistics.mean(m[key] for m in measured):>12,.4g}")


def _tell(numbers: dict[str, Any], told: list[dict[str, Any]]) -> None:
    told.append(numbers)
    say(" ".join(f"{key} {value}" for key, value in numbers.items()))


def _config(name: str, steps: int, rows: dict[str, int]) -> Config:
    held = load_config(name)
    vision = held.model.vision.model_copy(update={"weights": None})
    phase = Phase(steps=steps, step_rows=rows)  # type: ignore[arg-type]
    settings = {"pretraining": phase, "held_out_rows": 0, "checkpoint_every": 10**9}
    return held.model_copy(
        update={
            "model": held.model.model_copy(update={"vision": vision}),
            "training": held.training.model_copy(update=settings),
        }
    )


main()
