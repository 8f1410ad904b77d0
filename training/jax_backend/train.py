"""The training loop in JAX: the steps of `training.torch_backend.train`, on all local devices.

Rows are spread over the devices, parameters are copied to each; XLA sums the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import path_aware_map
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from curate.schemas.settings.mixture import Phase
from curate.tokenization.vocabulary import PAD
from curate.training.config import Config, TrainingConfig
from curate.training.jax_backend.checkpoint import BACKEND, load_checkpoint, save_checkpoint
from curate.training.jax_backend.model import KosmosModel, Shape, frozen_layers, loss_of
from curate.training.loading.batches import PADDING_SEGMENT, Batch
from curate.training.loading.shard_set import ShardSet
from curate.training.loop import run_steps
from curate.training.meter import StepMeter
from curate.training.phases import Tell, TrainingJob
from curate.training.schedule import learning_rate

Tree = Any
"""Nested dicts of arrays."""


def train(job: TrainingJob, tell: Tell) -> None:
    """Train to the phase's last step.

    Raises:
        UsageError: the shards lack what the mixture asks for, or the folder holds another training.
        WeightsError: the image encoder's weights can't be had.
    """
    _Training(job).run(tell)


def make_flax_model(config: Config, shards: ShardSet) -> KosmosModel:
    """The model for these shards."""
    manifest = shards.manifest
    return KosmosModel(
        config.model,
        Shape(manifest.vocabulary, manifest.block, manifest.image_slots),
        jnp.bfloat16 if config.training.precision == "bfloat16" else jnp.float32,
        config.training.activation_checkpointing,
    )


def optimizer_of(settings: TrainingConfig, phase: Phase, config: Config) -> Any:
    """AdamW with clipping and the phase's schedule, on what is trained."""
    rates = jnp.array([learning_rate(phase, step) for step in range(1, phase.steps + 1)])
    adamw = optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(
            lambda count: rates[count],
            b1=settings.beta_1,
            b2=settings.beta_2,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
        ),
    )
    frozen = frozen_layers(config.model.vision)

    def label(path: tuple[str, ...], _: Any) -> str:
        if path[0] != "encoder" or config.model.vision.model is None:
            return "trained"
        if path[1].startswith("resblocks_") and int(path[1].split("_")[1]) >= frozen:
            return "trained"
        last = path[1] == "ln_post" and config.model.vision.trained_layers > 0
        return "trained" if last else "frozen"

    return optax.multi_transform(
        {"trained": adamw, "frozen": optax.set_to_zero()},
        lambda params: path_aware_map(label, params),
    )


class _Training:
    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.settings = job.config.training
        self.loader = job.loader(rank=0, world=1)
        self.model = make_flax_model(job.config, job.shards)
        self.optimizer = optimizer_of(self.settings, job.phase, job.config)
        devices = Mesh(np.array(jax.local_devices()), ("rows",))
        self.split = NamedSharding(devices, PartitionSpec("rows"))
        self.copied = NamedSharding(devices, PartitionSpec())
        self.devices = devices.size
        self.params = self._first_params()
        self.state = jax.device_put(self.optimizer.init(self.params), self.copied)
        self.gradients = jax.jit(partial(_gradients, self.model), donate_argnums=1)
        self.update = jax.jit(partial(_update, self.optimizer), donate_argnums=(0, 1))
        self.loss = jax.jit(lambda params, batch: loss_of(self.model.apply(params, batch), batch))

    def _first_params(self) -> Tree:
        size = self.job.config.model.vision.image_size
        slots = self.job.shards.manifest.image_slots
        blank = {
            "input_ids": jnp.zeros((1, 64), jnp.int32),
            "segments": jnp.zeros((1, 64), jnp.int32),
            "positions": jnp.zeros((1, 64), jnp.int32),
            "images": jnp.zeros((1, 3, size, size)),
            "image_positions": jnp.full((1, slots), 64, jnp.int32),
        }
        params = jax.jit(self.model.init)(jax.random.key(self.settings.seed), blank)["params"]
        if self.job.config.model.vision.weights is not None:
            params["encoder"] = _pretrained_encoder(self.job.config)
        return jax.device_put(params, self.copied)

    def run(self, tell: Tell) -> None:
        self.job.directory.begin(self.job.config)
        run_steps(self, self.job, self.loader, tell, writes=True)

    def save(self) -> None:
        folder = self.job.directory.new_checkpoint(self.loader.step)
        save_checkpoint(folder, {"params": self.params, "optimizer": self.state})
        self.job.directory.finish_checkpoint(folder, self.job.facts(self.loader, BACKEND))

    def resume(self) -> None:
        """Go on from the last checkpoint, or take the weights to begin with."""
        done = self.job.directory.checkpoints()
        like = {"params": self.params, "optimizer": self.state}
        if done:
            held, facts = load_checkpoint(done[-1], like)
            self.job.check(facts, resumed=True)
            self.params, self.state = held["params"], held["optimizer"]
            self.loader.resume(facts.loader)
        elif self.job.start_from is not None:
            held, facts = load_checkpoint(self.job.start_from, like)
            self.job.check(facts, resumed=False)
            self.params = held["params"]

    def step(self, batches: Iterator[Batch]) -> dict[str, Any]:
        step = self.loader.step
        meter = StepMeter(self.job)
        # Dropout is a function of step and micro-batch alone, so that a resume repeats it.
        key = jax.random.fold_in(jax.random.key(self.settings.seed), step)
        sums = jax.tree.map(jnp.zeros_like, (self.params, jnp.zeros(()), jnp.zeros((), jnp.int32)))
        for number, batch in enumerate(meter.timed(batches)):
            sums = self.gradients(
                self.params, sums, self._on_devices(batch), jax.random.fold_in(key, number)
            )
        gradients, total, targets = sums
        self.params, self.state, norm = self.update(self.params, self.state, gradients, targets)
        numbers = {
            "loss": float(total) / max(int(targets), 1),
            "targets": int(targets),
            "rate": learning_rate(self.job.phase, step + 1),
            "gradient_norm": float(norm),
        }
        return {**numbers, **meter.speed(1, jax.local_devices()[0].device_kind)}

    def _on_devices(self, batch: Batch) -> dict[str, jax.Array]:
        """The arrays, filled up to few shapes that the devices share evenly."""
        rows = -(-len(batch.input_ids) // self.devices) * self.devices
        images = 1
        while images < len(batch.images):
            images *= 2
        images = -(-images // self.devices) * self.devices
        outside = rows * batch.input_ids.shape[1]
        arrays = {
            "input_ids": _filled(batch.input_ids, rows, PAD),
            "loss_mask": _filled(batch.loss_mask, rows, False),
            "segments": _filled(batch.segments, rows, PADDING_SEGMENT),
            "positions": _filled(batch.positions, rows, 0),
            "images": _filled(batch.images, images, 0),
            "image_positions": _filled(batch.image_positions, images, outside),
        }
        return {name: jax.device_put(array, self.split) for name, array in arrays.items()}

    def evaluate(self) -> dict[str, float]:
        """Mean loss of the held-out rows of every source."""
        found: dict[str, float] = {}
        for source in self.loader.reader.sources:
            total, targets = 0.0, 0
            for batch in self.loader.reader.held_out(source, 8):
                loss, count = self.loss({"params": self.params}, self._on_devices(batch))
                total, targets = total + float(loss), targets + int(count)
            if targets:
                found[f"held_out/{source}"] = total / targets
        return found


def _filled(array: np.ndarray[Any, Any], rows: int, value: float) -> np.ndarray[Any, Any]:
    if len(array) == rows:
        return array
    filled = np.full((rows, *array.shape[1:]), value, array.dtype)
    filled[: len(array)] = array
    return filled


def _gradients(
    model: KosmosModel, params: Tree, sums: tuple[Tree, Any, Any], batch: Any, key: Any
) -> tuple[Tree, Any, Any]:
    """Gradients, loss and targets of a micro-batch, added to those before it."""

    def summed(params: Tree) -> tuple[Any, Any]:
        logits = model.apply({"params": params}, batch, True, rngs={"dropout": key})
        return loss_of(logits, batch)

    (total, targets), gradients = jax.value_and_grad(summed, has_aux=True)(params)
    before, total_before, targets_before = sums
    return (
        jax.tree.map(jnp.add, before, gradients),
        total_before + total,
        targets_before + targets.astype(jnp.int32),
    )


def _update(
    optimizer: Any, params: Tree, state: Any, gradients: Tree, targets: Any
) -> tuple[Tree, Any, Any]:
    mean = jax.tree.map(lambda g: g / jnp.maximum(targets, 1), gradients)
    updates, state = optimizer.update(mean, state, params)
    return optax.apply_updates(params, updates), state, optax.tree.norm(mean)


def _pretrained_encoder(config: Config) -> Tree:
    from curate.training.jax_backend.weights import to_flax
    from curate.training.torch_backend.vision import ImageEncoder

    encoder = ImageEncoder(config.model.vision)
    encoder.load_pretrained()
    state = {f"encoder.{k}": v.numpy() for k, v in encoder.state_dict().items()}
    return jax.tree.map(jnp.asarray, to_flax(state)["encoder"])
