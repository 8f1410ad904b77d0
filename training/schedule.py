"""Learning rate, and what a token costs."""

from __future__ import annotations

from curate.schemas.settings.mixture import Phase
from curate.training.config import ModelConfig

PEAK_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""Dense half-precision operations per second as the vendor states them, by part of the name."""


def learning_rate(phase: Phase, step: int) -> float:
    """The rate of update number `step`, from 1: a linear rise, then linearly to 0 at the end.

    KOSMOS-1, table 18: 0 to 2e-4 over 375 steps, then to 0 at step 300,000.
    """
    if step <= phase.warmup_steps:
        return phase.peak_rate * step / phase.warmup_steps
    return phase.peak_rate * (phase.steps - step) / max(phase.steps - phase.warmup_steps, 1)


def flops_of(
    config: ModelConfig,
    vocabulary: int,
    slots: int,
    *,
    tokens: int,
    attended: float,
    images: int,
) -> float:
    """Floating-point operations of forward and backward over a batch, without recomputation.

    6 per weight and token of what is trained, 2 of what is frozen, and 12 x width per layer and
    pair of tokens that attend to each other (PaLM, appendix B).

    Args:
        tokens: in all rows, padding included.
        attended: pairs of tokens, of which one may see the other.
    """
    width, vision = config.width, config.vision
    layer = 4 * width**2 + 2 * width * config.ffn_width
    decoder = 6 * tokens * (config.layers * layer + vocabulary * width)
    attention = 12 * config.layers * width * attended
    block = 12 * vision.width**2 + 2 * vision.tokens * vision.width
    trained = vision.layers if vision.model is None else vision.trained_layers
    encoder = images * vision.tokens * block * (6 * trained + 2 * (vision.layers - trained))
    keys = vision.tokens + slots
    connector = (
        6 * images * (vision.tokens * vision.width * width + 2 * (keys + slots) * width**2)
        + 12 * images * slots * keys * width
    )
    return float(decoder + attention + encoder + connector)


def peak_flops(device_name: str) -> float | None:
    """Of a device that is known by name, else None."""
    return next((peak for name, peak in PEAK_FLOPS.items() if name in device_name), None)
