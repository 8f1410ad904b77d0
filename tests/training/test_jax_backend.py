"""The JAX twin: the same logits, the same training, resumes, several devices."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax.traverse_util import flatten_dict

from curate import open_shards
from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.training.config import Config
from curate.training.jax_backend import train as module
from curate.training.jax_backend.model import KosmosModel, Shape, loss_of
from curate.training.jax_backend.train import optimizer_of, train
from curate.training.jax_backend.weights import to_flax, to_torch
from curate.training.loading.shard_set import ShardSet
from curate.training.torch_backend.dataset import tensors_of
from curate.training.torch_backend.generate import Sampling, load_generator
from curate.training.torch_backend.model import make_model
from curate.training.torch_backend.train import train as train_torch
from curate.training.training_directory import TrainingDirectory
from tests.training.configs import config, held_out, job, losses, write
from tests.training.shard_sets import CAPTIONS, drawing


def quiet(_: object) -> None:
    pass


def arrays_of(tensors: dict[str, Any]) -> dict[str, jax.Array]:
    return {k: jnp.asarray(v.numpy()) for k, v in tensors.items() if isinstance(v, torch.Tensor)}


def few_shapes(**changes: Any) -> Config:
    """A configuration with which XLA has little to compile."""
    phase = Phase(steps=6, step_rows={"pairs": 4}, peak_rate=2e-3, warmup_steps=2)
    settings = {"pretraining": phase, "micro_rows": {"pairs": 4}, "held_out_rows": 0}
    return config(**{**settings, **changes})


@pytest.fixture(autouse=True, scope="module")
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What one test compiled serves the next."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("xla")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    yield
    jax.config.update("jax_compilation_cache_dir", None)


def on_both(
    shard_set: ShardSet, **changes: object
) -> tuple[torch.nn.Module, KosmosModel, dict[str, Any]]:
    """The PyTorch model, the Flax model, and the Flax parameters of the same weights."""
    torch.manual_seed(0)
    manifest = shard_set.manifest
    settings = config().model.model_copy(update=changes)
    theirs = make_model(settings, manifest.vocabulary, manifest.block, manifest.image_slots, "cpu")
    for parameter in theirs.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    shape = Shape(manifest.vocabulary, manifest.block, manifest.image_slots)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    return theirs.eval(), KosmosModel(settings, shape), jax.tree.map(jnp.asarray, to_flax(state))


@pytest.mark.parametrize("connector", ["attention", "perceiver"])
@pytest.mark.parametrize("positions", ["xpos", "sinusoidal"])
@pytest.mark.parametrize("quick_gelu", [True, False])
def test_the_same_weights_give_the_same_logits(
    shard_set: ShardSet, connector: str, positions: str, quick_gelu: bool
) -> None:
    vision = config().model.vision.model_copy(update={"quick_gelu": quick_gelu})
    theirs, ours, params = on_both(
        shard_set, connector=connector, positions=positions, vision=vision
    )
    for batch in itertools.islice(open_shards(shard_set.root).batches(), 3):
        tensors = tensors_of(batch)
        arrays = arrays_of(tensors)
        with torch.no_grad():
            expected = theirs.logits(theirs.hidden(tensors)).numpy()
            loss = theirs(tensors)
        found = ours.apply({"params": params}, arrays)
        written = tensors["segments"].numpy() >= 0
        assert np.abs(np.asarray(found) - expected)[written].max() < 1e-4
        total, targets = loss_of(found, arrays)
        assert float(total) == pytest.approx(loss.total.item(), rel=1e-5)
        assert int(targets) == loss.targets


def test_weights_go_across_and_back(shard_set: ShardSet) -> None:
    theirs, ours, params = on_both(shard_set, connector="perceiver")
    state = theirs.state_dict()
    back = to_torch(params, state)
    for name, value in state.items():
        np.testing.assert_array_equal(back[name], value.numpy())
    batch = next(open_shards(shard_set.root).batches())
    arrays = arrays_of(tensors_of(batch))
    made = ours.init(jax.random.key(0), arrays)["params"]
    shapes = {path: value.shape for path, value in flatten_dict(made).items()}
    assert shapes == {path: value.shape for path, value in flatten_dict(params).items()}
    for path, value in flatten_dict(made).items():
        if path[-1] in ("kernel", "embedding", "latents"):
            own = flatten_dict(on_both(shard_set, connector="perceiver")[2])[path]
            assert float(value.std()) == pytest.approx(float(own.std()), rel=0.25), path


def test_a_step_of_training_is_that_of_pytorch(shard_set: ShardSet, tmp_path: Path) -> None:
    """From the same weights: equal losses step by step."""
    made = config(held_out_rows=0)
    train_torch(job(shard_set, tmp_path / "torch", made), quiet)
    torch.manual_seed(made.training.seed)
    manifest = shard_set.manifest
    model = make_model(made.model, manifest.vocabulary, manifest.block, manifest.image_slots, "cpu")
    state = {name: value.numpy() for name, value in model.state_dict().items()}

    class FromTorch(module._Training):
        def _first_params(self) -> object:
            return jax.device_put(jax.tree.map(jnp.asarray, to_flax(state)), self.copied)

    FromTorch(job(shard_set, tmp_path / "jax", made)).run(quiet)
    assert losses(tmp_path / "jax") == pytest.approx(losses(tmp_path / "torch"), abs=2e-4)


def test_a_resume_gives_the_same_curve(shard_set: ShardSet, tmp_path: Path) -> None:
    made = few_shapes(dropout=0.1, held_out_rows=2)
    train(job(shard_set, tmp_path / "whole", made), quiet)
    for until in (3, None):
        train(job(shard_set, tmp_path / "parts", made, until=until), quiet)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert held_out(tmp_path / "parts")[-1] == held_out(tmp_path / "whole")[-1]


def test_two_devices_give_the_curve_of_one(shard_set: ShardSet, tmp_path: Path) -> None:
    made = few_shapes()
    train(job(shard_set, tmp_path / "one", made), quiet)
    settings = write(tmp_path / "config.yaml", made)
    command = [sys.executable, "-m", "curate.cli", "train", shard_set.root, "--backend", "jax"]
    command += ["--config", str(settings), "--to", str(tmp_path / "two"), "--json"]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["step"] for t in told if "loss" in t] == list(range(1, 7))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)


def test_frozen_layers_stay(shard_set: ShardSet) -> None:
    vision = config().model.vision.model_copy(update={"model": "given", "layers": 2})
    made = config()
    made = made.model_copy(update={"model": made.model.model_copy(update={"vision": vision})})
    _, _, params = on_both(shard_set, vision=vision)
    phase = Phase(steps=4, step_rows={"pairs": 1}, warmup_steps=1)
    optimizer = optimizer_of(made.training, phase, made)
    ones = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(ones, optimizer.init(params), params)
    moved = {path for path, value in flatten_dict(updates).items() if float(jnp.abs(value).sum())}
    encoder = {path[1] for path in moved if path[0] == "encoder"}
    assert encoder == {"resblocks_1", "ln_post"}
    assert {path[0] for path in moved} == {
        "embedding", "layers_0", "layers_1", "norm", "encoder", "connector",
    }  # fmt: skip


def test_half_precision_with_remade_activations(shard_set: ShardSet, tmp_path: Path) -> None:
    train(job(shard_set, tmp_path / "float32", few_shapes()), quiet)
    made = few_shapes(precision="bfloat16", activation_checkpointing=True)
    train(job(shard_set, tmp_path / "half", made), quiet)
    assert losses(tmp_path / "half") == pytest.approx(losses(tmp_path / "float32"), abs=0.05)


def test_generation_reads_checkpoints_of_jax(shard_set: ShardSet, tmp_path: Path) -> None:
    made = few_shapes()
    training = module._Training(job(shard_set, tmp_path / "run", made, until=2))
    training.run(quiet)
    checkpoint = TrainingDirectory(tmp_path / "run").checkpoints()[-1]
    generator = load_generator(checkpoint, shard_set.vocabulary)
    tensors = tensors_of(next(open_shards(shard_set.root, source="captions").batches()))
    with torch.no_grad():
        read = generator.model.logits(generator.model.hidden(tensors)).numpy()
    own = training.model.apply({"params": training.params}, arrays_of(tensors))
    written = tensors["segments"].numpy() >= 0
    assert np.abs(np.asarray(own) - read)[written].max() < 1e-4
    assert generator.generate(drawing(CAPTIONS[0]), "", Sampling(max_tokens=3)) is not None


def test_a_checkpoint_of_the_other_backend_is_named(shard_set: ShardSet, tmp_path: Path) -> None:
    train_torch(job(shard_set, tmp_path / "run", config(), until=1), quiet)
    with pytest.raises(UsageError, match="was written by --backend torch, not by jax"):
        train(job(shard_set, tmp_path / "run", config()), quiet)
