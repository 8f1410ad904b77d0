"""What a recipe that follows a published system leaves undone of it.

The system's own recipe says which rules it has: each value that it sets is a step, and so is each
of its sources. What no recipe can bring along, such as benchmark files, stands in `_BROUGHT`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import yaml

from curate.schemas.settings.recipe import Recipe

_SECTIONS = ("extraction", "filters", "dedup", "decontamination", "images")
"""Where rules stand; names, weights and token ids are not what a system is known by."""
_BROUGHT = {
    "kosmos1": (
        (
            "decontamination.benchmarks",
            "kosmos1 filters out downstream task data (arXiv 2302.14045, section 3.1), and "
            "decontamination.benchmarks names none: name benchmark files there",
        ),
    ),
}
"""By system: keys that only a recipe's user can fill, and what is said where they are empty."""


def unfilled_steps(recipe: Recipe) -> tuple[str, ...]:
    """A sentence for each step of the system that the recipe follows and does not do."""
    if recipe.follows is None:
        return ()
    text = (files("curate") / "recipes" / f"{recipe.follows}.yaml").read_text(encoding="utf-8")
    system: dict[str, Any] = yaml.safe_load(text)
    ours = recipe.model_dump(mode="json")
    brought = _BROUGHT.get(recipe.follows, ())
    return (
        *_sources(recipe, sorted(system["sources"])),
        *(sentence for key, sentence in brought if not _value(ours, key)),
        *_switched(recipe.follows, system, ours),
    )


def _sources(recipe: Recipe, names: list[str]) -> Iterator[str]:
    held = recipe.sources
    empty = [name for name in names if name not in held or not held[name].is_filled]
    if empty:
        yield f"{recipe.follows} has sources that get no inputs here: {', '.join(empty)}"


def _switched(system_name: str, system: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    for section in _SECTIONS:
        if section in system and ours[section] is None:
            yield f"{system_name} has a section `{section}`, which is switched off here"
            continue
        for key, value in _leaves(system.get(section, {}), section):
            if (got := _value(ours, key)) != value:
                yield f"{system_name} sets {key} to {_told(value)}, here it is {_told(got)}"


def _leaves(data: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{key}.{name}")
        else:
            yield f"{key}.{name}", value


def _value(data: Any, key: str) -> Any:
    for name in key.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _told(value: Any) -> str:
    return json.dumps(value)
