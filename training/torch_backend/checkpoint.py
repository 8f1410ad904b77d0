"""Checkpoints by torch.distributed.checkpoint: they load on any number of ranks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from curate.schemas.errors import UsageError
from curate.training.training_directory import CheckpointFacts, read_facts

BACKEND = "torch"


def save_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer, alone: bool) -> None:
    """Write model and optimizer; every rank calls this, each writes its part."""
    state = {
        "model": get_model_state_dict(model),
        "optimizer": get_optimizer_state_dict(model, optimizer),
    }
    with _quiet():
        dcp.save(state, checkpoint_id=folder, no_dist=alone)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that one process saves alone: it does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        yield


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: Optimizer | None, alone: bool
) -> CheckpointFacts:
    """Read the model, and the optimizer if there is one; its facts.

    Raises:
        UsageError: it is no checkpoint of this backend.
    """
    facts = read_facts(folder)
    if facts.backend != BACKEND:
        raise UsageError(f"{folder} was written by --backend {facts.backend}, not by {BACKEND}.")
    state: dict[str, Any] = {"model": get_model_state_dict(model)}
    if optimizer is not None:
        state["optimizer"] = get_optimizer_state_dict(model, optimizer)
    with _quiet():
        dcp.load(state, checkpoint_id=folder, no_dist=alone)
    set_model_state_dict(model, state["model"])
    if optimizer is not None:
        set_optimizer_state_dict(model, optimizer, state["optimizer"])
    return facts
