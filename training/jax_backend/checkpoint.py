"""Checkpoints by Orbax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from curate.schemas.errors import UsageError
from curate.training.training_directory import CheckpointFacts, read_facts

BACKEND = "jax"


def save_checkpoint(folder: Path, state: Any) -> None:
    """Write a tree of arrays."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save((folder / "state").absolute(), state)


def load_checkpoint(folder: Path, like: Any = None) -> tuple[Any, CheckpointFacts]:
    """The tree of a checkpoint, in the form of `like` where it is given, and its facts.

    Raises:
        UsageError: it is no checkpoint of this backend.
    """
    facts = read_facts(folder)
    if facts.backend != BACKEND:
        raise UsageError(f"{folder} was written by --backend {facts.backend}, not by {BACKEND}.")
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore((folder / "state").absolute(), like), facts
