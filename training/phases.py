"""What a training is made of: shards, a phase of the mixture, a configuration, a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.training.arguments import MOST_ROWS, MOST_WORKERS, shown, whole_number
from curate.training.config import Config
from curate.training.loading.loader import ShardLoader
from curate.training.loading.reader import LoaderOptions
from curate.training.loading.shard_set import ShardSet
from curate.training.loading.streams import streams_of
from curate.training.training_directory import CheckpointFacts, TrainingDirectory

PhaseName = Literal["pretraining", "instruction_tuning"]
Tell = Callable[[dict[str, Any]], None]
"""Is given the numbers of every step and every evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One training, from its first step or from its last checkpoint on.

    Raises:
        UsageError: a value is out of its range.
    """

    shards: ShardSet
    directory: TrainingDirectory
    config: Config
    phase_name: PhaseName = "pretraining"
    start_from: Path | None = None
    """Checkpoint whose weights are taken to begin with, as for instruction tuning."""
    workers: int = 0
    strategy: Literal["ddp", "fsdp"] = "ddp"
    until: int | None = None
    """Step to stop at, before the phase's last."""

    def __post_init__(self) -> None:
        chosen = {"phase_name": get_args(PhaseName), "strategy": ("ddp", "fsdp")}
        for name, allowed in chosen.items():
            value = getattr(self, name)
            if value not in allowed:
                raise UsageError(f"{name} must be {' or '.join(allowed)} (got {shown(value)}).")
        whole_number("workers", self.workers, 0, MOST_WORKERS)
        if self.until is not None:
            whole_number("until", self.until, 1, MOST_ROWS)

    @property
    def phase(self) -> Phase:
        """The configuration's, else the recipe's.

        Raises:
            UsageError: neither has one.
        """
        own: Phase | None = getattr(self.config.training, self.phase_name)
        mixture = self.shards.manifest.mixture
        held = own or (None if mixture is None else getattr(mixture, self.phase_name))
        if held is None:
            raise UsageError(
                f"neither the configuration (training.{self.phase_name}) nor the recipe of "
                f"{self.shards.root} (mixture.{self.phase_name}) says what a step holds."
            )
        return held

    @property
    def last_step(self) -> int:
        return min(self.phase.steps, self.until or self.phase.steps)

    def loader(self, rank: int, world: int) -> ShardLoader:
        """The loader of one rank, at the first step."""
        settings = self.config.training
        streams = streams_of(self.shards, self.phase)
        micro_rows = {
            s.name: min(settings.micro_rows.get(s.name, 8), -(-s.step_rows // world))
            for s in streams
        }
        options = LoaderOptions(
            streams=streams,
            micro_rows=micro_rows,
            image_size=self.config.model.vision.image_size,
            seed=settings.seed,
            held_out=settings.held_out_rows,
            rank=rank,
            world=world,
            window=settings.shuffle_shards,
        )
        return ShardLoader(self.shards, options, workers=self.workers)

    def facts(self, loader: ShardLoader, backend: str) -> CheckpointFacts:
        """What is written beside a checkpoint after the loader's last step."""
        manifest = self.shards.manifest
        return CheckpointFacts(
            step=loader.step,
            phase=self.phase_name,
            backend=backend,
            loader=loader.state(),
            recipe_fingerprint=manifest.recipe_fingerprint,
            tokenizer_sha256=manifest.tokenizer_sha256,
            vocabulary=manifest.vocabulary,
            block=manifest.block,
            image_slots=manifest.image_slots,
            shards=self.shards.root,
        )

    def check(self, facts: CheckpointFacts, *, resumed: bool) -> None:
        """See that a checkpoint goes with the shards.

        Raises:
            UsageError: it was made with another tokenizer or, if it is resumed, recipe.
        """
        if resumed and facts.phase != self.phase_name:
            raise UsageError(
                f"{self.directory.path} holds a training of phase {facts.phase}. "
                "Give another --to, and this one as --from."
            )
        manifest = self.shards.manifest
        names = ["tokenizer_sha256", "vocabulary", "image_slots"]
        names += ["recipe_fingerprint"] if resumed else []
        for name in names:
            held, now = getattr(facts, name), getattr(manifest, name)
            if held != now:
                raise UsageError(
                    f"the checkpoint of step {facts.step} was made with {name} {held}, the shards "
                    f"in {self.shards.root} have {now}. Train on the shards of then, or give "
                    "another --to."
                )
