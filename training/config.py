"""Configurations of model and training: `tiny`, `small`, `kosmos1`, or a YAML file of such keys."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.schemas.settings.section import Ratio, Section
from curate.training.arguments import MOST_BATCH_ROWS, MOST_IMAGE_SIZE, SEEDS


class VisionConfig(Section):
    """The image encoder: CLIP's vision transformer, without its projection."""

    image_size: int = Field(224, ge=1, le=MOST_IMAGE_SIZE, description="Pixels of a side.")
    patch_size: int = Field(14, ge=1)
    width: int = Field(1024, ge=1)
    layers: int = Field(24, ge=1)
    heads: int = Field(16, ge=1)
    quick_gelu: bool = Field(True, description="OpenAI's activation, x * sigmoid(1.702 x).")
    model: str | None = Field(
        None,
        description="Model as open_clip names it, whose weights are taken; null starts from random "
        "weights, all of which are trained.",
    )
    weights: str | None = Field(
        None,
        description="Tag of weights on the hub, or a local file; null leaves random ones, frozen "
        "as with weights: for measuring.",
    )
    trained_layers: int = Field(
        1, ge=0, description="Last layers that are trained, with the norm after them (KOSMOS-1: 1)."
    )

    @model_validator(mode="after")
    def _fits(self) -> VisionConfig:
        if self.patch_size > self.image_size:
            raise ValueError(
                f"patch_size must be at most image_size, {self.image_size} (got {self.patch_size})"
            )
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, {self.heads} (got {self.width})")
        if self.trained_layers > self.layers:
            raise ValueError(
                f"trained_layers must be at most layers, {self.layers} (got {self.trained_layers})"
            )
        return self

    @property
    def tokens(self) -> int:
        return (self.image_size // self.patch_size) ** 2 + 1


class ModelConfig(Section):
    """KOSMOS-1's decoder and what joins images to it (arXiv 2302.14045, section 2)."""

    layers: int = Field(ge=1)
    width: int = Field(ge=1)
    ffn_width: int = Field(ge=1)
    heads: int = Field(ge=1)
    positions: Literal["xpos", "sinusoidal"] = Field(
        "xpos", description="xPos as the paper has it; sinusoidal for the released weights."
    )
    xpos_scale: int = Field(512, ge=1, description="Distance over which xPos decays (torchscale).")
    connector: Literal["attention", "perceiver"] = Field(
        "attention",
        description="Image features to slots: one cross-attention as released, or Flamingo's "
        "Perceiver resampler.",
    )
    perceiver_layers: int = Field(6, ge=1, description="OpenFlamingo: 6.")
    perceiver_heads: int = Field(8, ge=1, description="OpenFlamingo: 8 of width 64.")
    dropout: Ratio = Field(0.1, description="KOSMOS-1: 0.1.")
    attention_dropout: Ratio = Field(0.1, description="KOSMOS-2's script: 0.1.")
    activation_dropout: Ratio = Field(0.0, description="KOSMOS-2's script: 0.")
    vision: VisionConfig = VisionConfig()

    @model_validator(mode="after")
    def _divides(self) -> ModelConfig:
        if self.width % self.heads or self.width // self.heads % 2:
            raise ValueError(f"width must be an even multiple of heads (got {self.width})")
        if self.positions == "sinusoidal" and self.width < 4:
            raise ValueError(f"width must be at least 4 for sinusoidal (got {self.width})")
        return self


class TrainingConfig(Section):
    """How a model is trained; a phase of the recipe's mixture says what steps hold."""

    pretraining: Phase | None = Field(
        None, description="Steps and their rows, instead of the recipe's `mixture.pretraining`."
    )
    instruction_tuning: Phase | None = Field(None, description="Likewise.")
    micro_rows: dict[str, Annotated[int, Field(ge=1, le=MOST_BATCH_ROWS)]] = Field(
        {"text": 8, "pairs": 64, "interleaved": 8, "instruction": 32},
        description="Most rows of one forward pass, by stream.",
    )
    beta_1: float = Field(0.9, ge=0, lt=1, description="AdamW (KOSMOS-1: 0.9).")
    beta_2: float = Field(0.98, ge=0, lt=1, description="AdamW (KOSMOS-1: 0.98).")
    epsilon: float = Field(
        1e-6, gt=0, allow_inf_nan=False, description="AdamW (KOSMOS-2's script: 1e-6)."
    )
    weight_decay: float = Field(
        0.01, ge=0, allow_inf_nan=False, description="KOSMOS-1: 0.01, on all parameters."
    )
    clip_norm: float = Field(
        2.0,
        gt=0,
        allow_inf_nan=False,
        description="Largest gradient norm (KOSMOS-2's script: 2).",
    )
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    activation_checkpointing: bool = False
    compile: bool = Field(False, description="torch.compile every layer.")
    shuffle_shards: int = Field(
        8, ge=1, description="Shards of a source that its rows are shuffled among."
    )
    held_out_rows: int = Field(
        64, ge=0, description="Rows of each source kept for evaluation, at most a tenth of them."
    )
    evaluate_every: int = Field(1_000, ge=1, description="Steps between evaluations.")
    checkpoint_every: int = Field(1_000, ge=1, description="Steps between checkpoints.")
    seed: int = Field(0, ge=-SEEDS, lt=SEEDS)


class Config(Section):
    """A whole configuration."""

    model: ModelConfig
    training: TrainingConfig = TrainingConfig()


def load_config(name: str) -> Config:
    """A configuration by name, or from a YAML file.

    Raises:
        UsageError: there is none of that name, or the file doesn't fit.
    """
    shipped = sorted(
        entry.name.removesuffix(".yaml")
        for entry in (files("curate.training") / "configs").iterdir()
        if entry.name.endswith(".yaml")
    )
    if name in shipped:
        text = (files("curate.training") / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
    elif os.path.isfile(name):
        return read_config(Path(name))
    else:
        raise UsageError(
            f"--config must be one of {', '.join(shipped)} or a YAML file (got {name!r})."
        )
    return Config.model_validate(yaml.safe_load(text))


def read_config(path: Path) -> Config:
    """The configuration that a YAML file holds.

    Raises:
        UsageError: the file doesn't fit.
    """
    try:
        return Config.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (UnicodeDecodeError, yaml.YAMLError, ValidationError, RecursionError) as error:
        raise UsageError(f"{path} is no configuration: {error}") from error
