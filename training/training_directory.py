"""What a training run leaves behind: configuration, log, checkpoints.

DIR/config.yaml      the configuration, every default written out
DIR/metrics.jsonl    a line a step, and a line an evaluation
DIR/tensorboard/     the same for TensorBoard
DIR/step-00000100/   a checkpoint; `checkpoint.json` is written last
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from curate.schemas.errors import UsageError
from curate.training.config import Config, read_config

METRICS = "metrics.jsonl"
_MARKER = "checkpoint.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """What stands beside the weights of a checkpoint."""

    step: int
    phase: str
    backend: str
    loader: dict[str, int]
    """Rows taken from each source."""
    recipe_fingerprint: str
    tokenizer_sha256: str
    vocabulary: int
    block: int
    image_slots: int
    shards: str
    """Run directory that was trained on."""


_FACTS = TypeAdapter(CheckpointFacts)


class TrainingDirectory:
    """Paths below one local folder.

    Raises:
        UsageError: its path is empty.
    """

    def __init__(self, path: str | Path) -> None:
        if not str(path):
            raise UsageError("the folder of a training must be a path (got ''). Give --to DIR.")
        self.path = Path(path)

    def begin(self, config: Config) -> None:
        """Write the configuration, or see that it is the one of before; clear what a kill left.

        Raises:
            UsageError: the folder holds a training with another one.
        """
        held = self.path / "config.yaml"
        if held.exists() and self.config() != config:
            raise UsageError(
                f"{self.path} holds a training with another configuration. "
                "Give another --to, or delete the folder."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        held.write_text(text, encoding="utf-8")
        for folder in self.path.glob("step-*"):
            if not (folder / _MARKER).exists():
                shutil.rmtree(folder)

    def config(self) -> Config:
        """The configuration that it was trained with.

        Raises:
            UsageError: the file doesn't fit.
        """
        return read_config(self.path / "config.yaml")

    def checkpoints(self) -> list[Path]:
        """Whole checkpoints, the earliest first."""
        return sorted(marker.parent for marker in self.path.glob(f"step-*/{_MARKER}"))

    def new_checkpoint(self, step: int) -> Path:
        """A folder for a checkpoint; it counts once `finish_checkpoint` was called."""
        return self.path / f"step-{step:08d}"

    def finish_checkpoint(self, folder: Path, facts: CheckpointFacts) -> None:
        temporary = folder / f".{_MARKER}.tmp"
        temporary.write_text(json.dumps(asdict(facts), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, folder / _MARKER)


def read_facts(checkpoint: Path) -> CheckpointFacts:
    """The facts of a checkpoint.

    Raises:
        UsageError: the folder is none.
    """
    marker = checkpoint / _MARKER
    try:
        return _FACTS.validate_json(marker.read_bytes(), strict=True)
    except ValidationError as error:
        raise UsageError(
            f"{marker} is damaged, or of another version: {error}. Delete the folder {checkpoint} "
            "to go on from the checkpoint before it."
        ) from error
    except FileNotFoundError as error:
        raise UsageError(
            f"{checkpoint} is no checkpoint ({_MARKER} is missing). "
            "Give a step-... folder of a `curate train`, or the folder that holds them."
        ) from error


def find_checkpoint(path: str) -> Path:
    """A checkpoint by its own folder, or the last one of a training folder.

    Raises:
        UsageError: there is none.
    """
    if not path:
        raise UsageError("a checkpoint must be a folder (got ''). Give the --to of a training.")
    folder = Path(path)
    if (folder / _MARKER).exists():
        return folder
    found = TrainingDirectory(folder).checkpoints()
    if not found:
        raise UsageError(f"{path} holds no checkpoint. Give the --to of a `curate train`.")
    return found[-1]


class TrainingLog:
    """`metrics.jsonl` and TensorBoard; rows after `step` are removed, for they are made anew."""

    def __init__(self, directory: TrainingDirectory, step: int) -> None:
        from tensorboard.summary import Writer

        self._path = directory.path / METRICS
        kept = [line for line in self._lines() if json.loads(line)["step"] <= step]
        self._path.write_text("".join(kept), encoding="utf-8")
        self._writer = Writer(str(directory.path / "tensorboard"))

    def _lines(self) -> list[str]:
        if not self._path.exists():
            return []
        return [
            line
            for line in self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.endswith("\n")
        ]

    def write(self, step: int, values: dict[str, Any]) -> None:
        """A line of numbers of a step."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a `metrics.jsonl`."""
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
