"""The course of a training, whatever computes its steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Protocol

from curate.training.loading.batches import Batch
from curate.training.loading.loader import ShardLoader
from curate.training.phases import Tell, TrainingJob
from curate.training.training_directory import TrainingLog


class Backend(Protocol):
    """What a backend does; every rank calls each of these at the same time."""

    def resume(self) -> None:
        """Go on from the last checkpoint, or take the weights to begin with."""

    def step(self, batches: Iterator[Batch]) -> dict[str, Any]:
        """One update; its numbers."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Mean loss of the held-out rows of every source, as `held_out/SOURCE`."""
        ...

    def save(self) -> None:
        """Write a checkpoint of the loader's step."""


def run_steps(
    backend: Backend, job: TrainingJob, loader: ShardLoader, tell: Tell, *, writes: bool
) -> None:
    """Evaluate, train to the job's last step, evaluate and save on the way.

    Args:
        writes: whether this rank keeps the log and tells.
    """
    settings = job.config.training
    backend.resume()
    log = TrainingLog(job.directory, loader.step) if writes else None

    def note(numbers: dict[str, Any]) -> None:
        if log is not None:
            log.write(loader.step, numbers)
            tell({"step": loader.step, "steps": job.last_step, **numbers})

    if loader.step == 0:
        note(backend.evaluate())
    # Closed, so that the loader's processes end with the training, however it ends.
    with closing(loader.steps()) as steps:
        while loader.step < job.last_step:
            note(backend.step(next(steps)))
            last = loader.step == job.last_step
            if loader.step % settings.evaluate_every == 0 or last:
                note(backend.evaluate())
            if loader.step % settings.checkpoint_every == 0 or last:
                backend.save()
    if log is not None:
        log.close()
