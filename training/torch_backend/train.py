"""The training loop in PyTorch.

every step: micro-batches ▶ summed loss ▶ gradients ▶ / targets of all ranks ▶ clip ▶ AdamW
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from curate.schemas.identity import content_key
from curate.training.loading.batches import Batch
from curate.training.loop import run_steps
from curate.training.meter import StepMeter
from curate.training.phases import Tell, TrainingJob
from curate.training.schedule import learning_rate
from curate.training.torch_backend.checkpoint import BACKEND, load_checkpoint, save_checkpoint
from curate.training.torch_backend.dataset import tensors_of
from curate.training.torch_backend.model import Loss, make_model
from curate.training.torch_backend.parallel import (
    Ranks,
    gradients_kept,
    parallelized,
    process_group,
)


def train(job: TrainingJob, tell: Tell) -> None:
    """Train to the phase's last step; `tell` is called on rank 0.

    Raises:
        UsageError: the shards lack what the mixture asks for, or the folder holds another training.
        WeightsError: the image encoder's weights can't be had.
    """
    with process_group() as ranks:
        _Training(job, ranks).run(tell)


class _Training:
    def __init__(self, job: TrainingJob, ranks: Ranks) -> None:
        self.job, self.ranks = job, ranks
        self.phase = job.phase
        self.settings = job.config.training
        self.loader = job.loader(ranks.rank, ranks.world)
        manifest = job.shards.manifest
        torch.manual_seed(self.settings.seed)
        self.model = make_model(
            job.config.model,
            manifest.vocabulary,
            manifest.block,
            manifest.image_slots,
            ranks.device,
        )
        self.model.encoder.load_pretrained()
        self.model.checkpoint_layers = self.settings.activation_checkpointing
        if self.settings.compile:
            for layer in self.model.layers:
                layer.compile()
        half = self.settings.precision == "bfloat16"
        self.module = parallelized(self.model, ranks, job.strategy, half)
        self.autocast = torch.autocast(ranks.device.type, torch.bfloat16, enabled=half)
        self.optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=self.phase.peak_rate,
            betas=(self.settings.beta_1, self.settings.beta_2),
            eps=self.settings.epsilon,
            weight_decay=self.settings.weight_decay,
        )

    def run(self, tell: Tell) -> None:
        if self.ranks.rank == 0:
            self.job.directory.begin(self.job.config)
        self.ranks.barrier()
        run_steps(self, self.job, self.loader, tell, writes=self.ranks.rank == 0)

    def resume(self) -> None:
        """Go on from the last checkpoint, or take the weights to begin with."""
        done = self.job.directory.checkpoints()
        alone = self.ranks.world == 1
        if done:
            facts = load_checkpoint(done[-1], self.model, self.optimizer, alone)
            self.job.check(facts, resumed=True)
            self.loader.resume(facts.loader)
        elif self.job.start_from is not None:
            facts = load_checkpoint(self.job.start_from, self.model, None, alone)
            self.job.check(facts, resumed=False)

    def save(self) -> None:
        folder = self.job.directory.new_checkpoint(self.loader.step)
        save_checkpoint(folder, self.model, self.optimizer, self.ranks.world == 1)
        self.ranks.barrier()
        if self.ranks.rank == 0:
            self.job.directory.finish_checkpoint(folder, self.job.facts(self.loader, BACKEND))

    def step(self, batches: Iterator[Batch]) -> dict[str, Any]:
        rate = learning_rate(self.phase, self.loader.step + 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Dropout is a function of step and rank alone, so that a resume repeats it.
        key = content_key(
            str(self.settings.seed), "dropout", str(self.loader.step), str(self.ranks.rank)
        )
        torch.manual_seed(int.from_bytes(key[:7], "little"))
        self.model.train()
        self.optimizer.zero_grad()
        sums = torch.zeros(2, dtype=torch.float64, device=self.ranks.device)
        meter = StepMeter(self.job)
        units = self.loader.reader.step_units
        for number, batch in enumerate(meter.timed(batches)):
            with gradients_kept(self.module, last=number + 1 == units):
                loss = self._loss(batch)
                loss.total.backward()
            sums += torch.stack((loss.total.detach().double(), sums.new_tensor(loss.targets)))
        total, targets = self.ranks.sum(sums).tolist()
        # Gradients were averaged over ranks; the loss is a mean over the targets of all of them.
        scale = self.ranks.world / max(targets, 1)
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return {
            "loss": total / max(targets, 1),
            "targets": int(targets),
            "rate": rate,
            "gradient_norm": _whole(norm),
            **meter.speed(self.ranks.world, _device_name(self.ranks.device)),
            **_memory(self.ranks.device),
        }

    def _loss(self, batch: Batch) -> Loss:
        moved = {
            name: value.to(self.ranks.device, non_blocking=True)
            if isinstance(value, Tensor)
            else value
            for name, value in tensors_of(batch).items()
        }
        with self.autocast:
            loss: Loss = self.module(moved)
        return loss

    def evaluate(self) -> dict[str, float]:
        """Mean loss of the held-out rows of every source."""
        self.model.eval()
        found: dict[str, float] = {}
        for source in self.loader.reader.sources:
            total, targets = 0.0, 0
            with torch.no_grad():
                for batch in self.loader.reader.held_out(source, 8):
                    loss = self._loss(batch)
                    total += loss.total.item()
                    targets += loss.targets
            if targets:
                found[f"held_out/{source}"] = total / targets
        return found


def _whole(norm: Tensor) -> float:
    """A gradient norm, which FSDP gives in parts."""
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def _memory(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {}
    return {"memory_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2)}
