"""Training in PyTorch: resumes, ranks, memorising, instruction tuning."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from curate import open_shards
from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.training.config import Config, load_config
from curate.training.loading.shard_set import ShardSet
from curate.training.torch_backend.dataset import tensors_of
from curate.training.torch_backend.generate import Sampling, load_generator
from curate.training.torch_backend.train import train
from curate.training.training_directory import METRICS, TrainingDirectory, read_facts, read_metrics
from tests.training.configs import config, held_out, job, losses, write
from tests.training.shard_sets import CAPTIONS, drawing, pair, text, write_shards


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def quiet(_: object) -> None:
    pass


@pytest.mark.parametrize("stop", [3, 4, 7])
def test_a_resume_gives_the_same_curve_bit_for_bit(
    shard_set: ShardSet, tmp_path: Path, stop: int
) -> None:
    made = config(dropout=0.1)
    train(job(shard_set, tmp_path / "whole", made), quiet)
    for until in (stop, None):
        train(job(shard_set, tmp_path / "parts", made, until=until), quiet)
    assert len(losses(tmp_path / "whole")) == 8
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert held_out(tmp_path / "parts")[-1] == held_out(tmp_path / "whole")[-1]


def test_a_resume_after_a_kill_goes_on_from_the_last_whole_checkpoint(
    shard_set: ShardSet, tmp_path: Path
) -> None:
    made = config()
    train(job(shard_set, tmp_path / "whole", made), quiet)
    train(job(shard_set, tmp_path / "killed", made, until=6), quiet)
    (tmp_path / "killed" / "step-00000006" / "checkpoint.json").unlink()
    with (tmp_path / "killed" / METRICS).open("a") as log:
        log.write('{"step": 7, "lo')
    train(job(shard_set, tmp_path / "killed", made), quiet)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    steps = [path.name for path in TrainingDirectory(tmp_path / "killed").checkpoints()]
    assert steps == ["step-00000004", "step-00000008"]


def run_ranks(shards: ShardSet, folder: Path, made: Config, ranks: int, *options: str) -> None:
    settings = write(folder.with_suffix(".yaml"), made)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += [f"--nproc-per-node={ranks}", "-m", "curate.cli"]
    asked = ["train", shards.root, "--config", str(settings), "--to", str(folder), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *asked], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_with_ddp_give_the_curve_of_one(shard_set: ShardSet, tmp_path: Path) -> None:
    made = config()
    train(job(shard_set, tmp_path / "one", made), quiet)
    run_ranks(shard_set, tmp_path / "two", made, 2)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    for mine, other in zip(held_out(tmp_path / "two"), held_out(tmp_path / "one"), strict=True):
        assert mine == pytest.approx(other, abs=1e-5)


def test_two_processes_with_fsdp_do_too_and_one_goes_on_with_their_checkpoint(
    shard_set: ShardSet, tmp_path: Path
) -> None:
    made = config()
    train(job(shard_set, tmp_path / "one", made), quiet)
    run_ranks(shard_set, tmp_path / "two", made, 2, "--parallel", "fsdp", "--until", "6")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one")[:6], abs=1e-5)
    train(job(shard_set, tmp_path / "two", made), quiet)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    assert held_out(tmp_path / "two")[-1] == pytest.approx(held_out(tmp_path / "one")[-1], abs=1e-5)


def test_micro_batches_change_nothing_but_memory(shard_set: ShardSet, tmp_path: Path) -> None:
    for name, rows in (("small", 1), ("large", 6)):
        made = config(micro_rows={"text": rows, "pairs": rows, "interleaved": rows})
        train(job(shard_set, tmp_path / name, made), quiet)
    assert losses(tmp_path / "small") == pytest.approx(losses(tmp_path / "large"), abs=1e-5)


def test_half_precision_trains_too(shard_set: ShardSet, tmp_path: Path) -> None:
    train(job(shard_set, tmp_path / "float32", config()), quiet)
    train(job(shard_set, tmp_path / "half", config(precision="bfloat16")), quiet)
    assert losses(tmp_path / "half") == pytest.approx(losses(tmp_path / "float32"), abs=0.05)


def test_compiled_layers_give_the_same_curve(shard_set: ShardSet, tmp_path: Path) -> None:
    phase = Phase(steps=2, step_rows={"pairs": 3}, peak_rate=2e-3, warmup_steps=1)
    for compiled in (False, True):
        made = config(compile=compiled, pretraining=phase, held_out_rows=0)
        train(job(shard_set, tmp_path / str(compiled), made), quiet)
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-4)


def test_what_is_logged(shard_set: ShardSet, tmp_path: Path) -> None:
    train(job(shard_set, tmp_path / "run", config(), workers=1), quiet)
    lines = read_metrics(tmp_path / "run" / METRICS)
    assert [m["step"] for m in lines if "loss" in m] == list(range(1, 9))
    first = lines[1]
    assert first["rate"] == pytest.approx(1e-3)
    assert first["tokens_per_second"] > 0
    assert 0 <= first["waiting"] <= 1
    assert set(held_out(tmp_path / "run")[0]) == {
        f"held_out/{s}" for s in ("books", "web", "captions", "documents")
    }
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert "loss" in events.Tags()["tensors"] or "loss" in events.Tags()["scalars"]
    facts = read_facts(tmp_path / "run" / "step-00000008")
    assert facts.recipe_fingerprint == shard_set.manifest.recipe_fingerprint
    assert sum(facts.loader.values()) == 8 * 12


def test_other_configurations_and_shards_are_refused(shard_set: ShardSet, tmp_path: Path) -> None:
    train(job(shard_set, tmp_path / "run", config(), until=1), quiet)
    with pytest.raises(UsageError, match="another configuration"):
        train(job(shard_set, tmp_path / "run", config(dropout=0.1)), quiet)
    other = write_shards(
        tmp_path / "other",
        {
            "captions": ("pairs", [pair(c) for c in CAPTIONS[:20]]),
            "books": ("text", [text("b")] * 20),
            "documents": ("interleaved", [pair(c) for c in CAPTIONS[:9]]),
        },
    )
    with pytest.raises(UsageError, match="none of this mixture"):
        train(job(other, tmp_path / "run", config()), quiet)


def test_a_tiny_model_memorises_100_pairs_by_their_images(tmp_path: Path) -> None:
    """Captions come back word by word; with the images shuffled the loss is far worse."""
    torch.set_num_threads(2)
    documents = [pair(caption) for caption in CAPTIONS]
    shards = write_shards(tmp_path / "shards", {"captions": ("pairs", documents)})
    made = config(
        pretraining=Phase(steps=200, step_rows={"pairs": 50}, peak_rate=4e-3, warmup_steps=20),
        micro_rows={"pairs": 50},
        held_out_rows=0,
        evaluate_every=1_000,
        checkpoint_every=1_000,
    ).model_copy(update={"model": load_config("tiny").model})
    train(job(shards, tmp_path / "run", made), quiet)
    generator = load_generator(tmp_path / "run" / "step-00000200", shards.vocabulary)
    batch = tensors_of(next(open_shards(shards.root, batch_rows=100, image_size=32).batches()))
    found = {}
    for name, images in (("own", batch["images"]), ("shuffled", batch["images"].roll(37, 0))):
        with torch.no_grad():
            loss = generator.model({**batch, "images": images})
        found[name] = loss.total.item() / loss.targets
    assert found["own"] < 0.1
    assert found["shuffled"] > 10 * found["own"]
    written = [generator.generate(drawing(caption), "", Sampling()) for caption in CAPTIONS]
    assert sum(w == c for w, c in zip(written, CAPTIONS, strict=True)) >= 95
    started = generator.generate(drawing(CAPTIONS[7]), "A red", Sampling(max_tokens=20))
    assert CAPTIONS[7].endswith(started.strip())
    drawn = Sampling(temperature=0.7, top_p=0.9, seed=3)
    assert generator.generate(None, "A red", drawn) == generator.generate(None, "A red", drawn)


def test_instruction_tuning_begins_with_the_weights_of_pretraining(
    shard_set: ShardSet, tmp_path: Path
) -> None:
    made = config()
    train(job(shard_set, tmp_path / "first", made), quiet)
    start = TrainingDirectory(tmp_path / "first").checkpoints()[-1]
    tuned = job(
        shard_set, tmp_path / "second", made, phase_name="instruction_tuning", start_from=start
    )
    train(tuned, quiet)
    lines = read_metrics(tmp_path / "second" / METRICS)
    assert [m["step"] for m in lines if "loss" in m] == [1, 2, 3, 4, 5, 6]
    assert lines[0]["held_out/books"] == held_out(tmp_path / "first")[-1]["held_out/books"]
    assert set(lines[0]) == {"step", "held_out/asked", "held_out/books", "held_out/web"}
    assert lines[-1]["held_out/asked"] < lines[0]["held_out/asked"]
    facts = read_facts(TrainingDirectory(tmp_path / "second").checkpoints()[-1])
    assert facts.phase == "instruction_tuning"
    with pytest.raises(UsageError, match="holds a training of phase pretraining"):
        train(job(shard_set, tmp_path / "first", made, phase_name="instruction_tuning"), quiet)
