"""Learning rates, costs, configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.training.config import load_config
from curate.training.schedule import flops_of, learning_rate, peak_flops

KOSMOS1 = Phase(steps=300_000, step_tokens={"text": 500_000})


@pytest.mark.parametrize(
    ("step", "rate"),
    [(1, 2e-4 / 375), (375, 2e-4), (150_000, 1.00125e-4), (300_000, 0.0)],
)
def test_the_rate_of_kosmos1(step: int, rate: float) -> None:
    assert learning_rate(KOSMOS1, step) == pytest.approx(rate, rel=1e-5)


def test_a_phase_needs_one_measure() -> None:
    with pytest.raises(ValueError, match="one of `step_tokens` and `step_rows`"):
        Phase(steps=1)
    with pytest.raises(ValueError, match="one of `step_tokens` and `step_rows`"):
        Phase(steps=1, step_rows={"text": 1}, step_tokens={"text": 9})


def test_the_cost_of_kosmos1_is_about_6_per_parameter_and_token() -> None:
    config = load_config("kosmos1").model
    cost = flops_of(config, 64_007, 64, tokens=2_048, attended=2_048**2 / 2, images=0)
    assert cost / 2_048 == pytest.approx(6 * 1.34e9, rel=0.1)
    image = flops_of(config, 64_007, 64, tokens=0, attended=0, images=1)
    assert image == pytest.approx(257 * (2 * 290e6 + 6 * 12.6e6) + 6 * 257 * 8e6, rel=0.2)


def test_only_known_devices_have_a_peak() -> None:
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("") is None


def test_configurations(tmp_path: Path) -> None:
    assert load_config("kosmos1").model.layers == 24
    own = tmp_path / "own.yaml"
    own.write_text("model: {layers: 2, width: 64, ffn_width: 128, heads: 2}\n")
    assert load_config(str(own)).model.positions == "xpos"
    with pytest.raises(UsageError, match="must be one of kosmos1, small, tiny or a YAML file"):
        load_config("large")
    own.write_text("model: {layers: 2, width: 65, ffn_width: 128, heads: 2}\n")
    with pytest.raises(UsageError, match="even multiple of heads"):
        load_config(str(own))
