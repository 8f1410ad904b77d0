"""Recipe section `mixture`: what a training step consists of, phase by phase."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field, model_validator

from curate.schemas.settings.section import Section
from curate.schemas.settings.source import Format


class Phase(Section):
    """Steps of one composition: every step holds the same number of rows of each format."""

    steps: int = Field(ge=1, description="Optimiser steps.")
    step_tokens: dict[Format, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="Tokens of each format in a step, image slots included. Rows per step are the "
        "nearest whole number to this by the mean length of the format's rows.",
    )
    step_rows: dict[Format, Annotated[int, Field(ge=1)]] = Field(
        {}, description="Rows of each format in a step, instead of tokens."
    )
    peak_rate: float = Field(
        2e-4, gt=0, allow_inf_nan=False, description="Highest learning rate (KOSMOS-1: 2e-4)."
    )
    warmup_steps: int = Field(
        375, ge=0, description="Steps of linear rise to it (KOSMOS-1: 375); then it falls to 0."
    )

    @model_validator(mode="after")
    def _one_measure(self) -> Phase:
        if bool(self.step_tokens) == bool(self.step_rows):
            raise ValueError("must have one of `step_tokens` and `step_rows`. Keep one of them")
        return self

    @property
    def formats(self) -> tuple[Format, ...]:
        """Those in a step, in one order however they are written down."""
        named = self.step_tokens or self.step_rows
        return tuple(row_format for row_format in get_args(Format) if row_format in named)


class Mixture(Section):
    """How training draws on the sources; shards do not depend on it."""

    pretraining: Phase
    instruction_tuning: Phase | None = None
