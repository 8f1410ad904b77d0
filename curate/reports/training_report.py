"""What was trained on a run's shards, for the report: loss curves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from curate.runs.run_directory import RunDirectory
from curate.training.training_directory import METRICS

WIDTH, HEIGHT = 960, 220
"""Of a curve, in the units of its drawing."""
_POINTS = 600


@dataclass(frozen=True, slots=True)
class Curve:
    """The losses of one training, as lines to draw."""

    name: str
    steps: int
    highest: float
    """Loss at the upper edge; the lower one is 0."""
    lines: tuple[tuple[str, str, float], ...]
    """Label, points of the line, and last value: the training loss, then every held-out source."""


def training_summary(run: RunDirectory) -> list[dict[str, Any]]:
    """For statistics: steps, first and last loss, and the last held-out losses of each training."""
    found = []
    for name, lines in _trainings(run):
        losses = [line["loss"] for line in lines if "loss" in line]
        held_out = [line for line in lines if "loss" not in line]
        found.append(
            {
                "name": name,
                "steps": len(losses),
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "held_out": {
                    key.removeprefix("held_out/"): value
                    for key, value in (held_out[-1] if held_out else {}).items()
                    if key != "step"
                },
            }
        )
    return found


def training_curves(run: RunDirectory) -> list[Curve]:
    """The curve of each training below `training/`."""
    return [_curve(name, lines) for name, lines in _trainings(run)]


def _trainings(run: RunDirectory) -> list[tuple[str, list[dict[str, Any]]]]:
    found = []
    for path in run.files("training", suffix=f"/{METRICS}"):
        with run.open(path) as stream:
            # A training that is going on may be in the middle of its last line.
            text = stream.read().decode().rpartition("\n")[0]
        lines = [json.loads(line) for line in text.splitlines()]
        if any("loss" in line for line in lines):
            found.append((path.split("/")[-2], lines))
    return found


def _curve(name: str, lines: list[dict[str, Any]]) -> Curve:
    series: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for key, value in line.items():
            if key == "loss" or key.startswith("held_out/"):
                source = key.removeprefix("held_out/")
                label = "training" if key == "loss" else f"held out: {source}"
                series.setdefault(label, []).append((line["step"], value))
    steps = max(step for points in series.values() for step, _ in points)
    highest = max(value for points in series.values() for _, value in points)
    order = sorted(series, key=lambda label: (label != "training", label))
    lines_of = ((label, series[label]) for label in order)
    drawn = tuple((n, _drawn(points, steps, highest), points[-1][1]) for n, points in lines_of)
    return Curve(name, steps, highest, drawn)


def _drawn(points: list[tuple[int, float]], steps: int, highest: float) -> str:
    every = max(1, len(points) // _POINTS)
    return " ".join(
        f"{step / steps * WIDTH:.1f},{HEIGHT - value / highest * HEIGHT:.1f}"
        for step, value in points[::every]
    )
