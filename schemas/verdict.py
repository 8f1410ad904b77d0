"""What a rule returns: keep, or drop with the rule, the value it saw and the limit it broke."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keep:
    """The item passes. `scores` holds what the rule computed, to be stored with the item."""

    scores: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """The item goes."""

    rule: str
    value: str | float | int
    limit: str | float | int = ""
    match: str = ""
    """What it is dropped for: id of a document kept instead, or of a benchmark item."""

    @property
    def value_text(self) -> str:
        return _text(self.value)

    @property
    def limit_text(self) -> str:
        return _text(self.limit)


Verdict = Keep | Drop
KEEP = Keep()


def _text(value: str | float | int) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
