"""The ledger: one row for every dropped thing, and the counts that must balance against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

LEDGER_SCHEMA = pa.schema(
    [
        ("stage", pa.string()),
        ("source", pa.string()),
        ("kind", pa.string()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("rule", pa.string()),
        ("value", pa.string()),
        ("limit", pa.string()),
        ("match", pa.string()),
        ("tokens", pa.int64()),
    ]
)

TOKEN = "token"
BALANCED_KINDS = ("record", "page", "node", "image", "document", TOKEN)
"""Kinds for which `in = out + dropped` is checked. A `line` row tells of a line that was cut, a
`passage` row of a stretch of text. Tokens have no rows of their own: each row tells its cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """Why one thing was dropped."""

    stage: str
    source: str
    kind: str
    """`record`, `page`, `node` (an image reference in a page), `image`, `document`, `line` or
    `passage` (a stretch of text)."""
    id: str
    url: str
    rule: str
    value: str
    limit: str
    match: str
    """Id of the document or benchmark item that it is dropped for, if any."""
    tokens: int | None
    """Tokens of text and images that are in no row for it; None before there are tokens."""


@dataclass(slots=True)
class Tally:
    """What came in and went out of one part, by (source, kind), and what was dropped by rule."""

    came_in: Counter[tuple[str, str]] = field(default_factory=Counter)
    went_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    lost_tokens: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """What that cost in tokens, where it is known."""

    def add(self, other: Tally) -> None:
        self.came_in.update(other.came_in)
        self.went_out.update(other.went_out)
        self.dropped.update(other.dropped)
        self.lost_tokens.update(other.lost_tokens)

    def dropped_of(self, source: str, kind: str) -> int:
        if kind == TOKEN:
            return sum(n for (s, _, _), n in self.lost_tokens.items() if s == source)
        return sum(n for (s, k, _), n in self.dropped.items() if (s, k) == (source, kind))

    def balanced_kinds(self) -> list[tuple[str, str]]:
        """Every balanced (source, kind) seen."""
        seen = {*self.came_in, *self.went_out, *((s, k) for s, k, _ in self.dropped)}
        return sorted((s, k) for s, k in seen if k in BALANCED_KINDS)

    def imbalances(self) -> list[str]:
        """A sentence for each (source, kind) where `in = out + dropped` does not hold."""
        return [
            f"{source}/{kind}: {self.came_in[source, kind]} in, "
            f"{self.went_out[source, kind]} out, {self.dropped_of(source, kind)} dropped"
            for source, kind in self.balanced_kinds()
            if self.came_in[source, kind]
            != self.went_out[source, kind] + self.dropped_of(source, kind)
        ]

    def to_json(self) -> dict[str, list[list[str | int]]]:
        return {
            "in": [[*k, n] for k, n in sorted(self.came_in.items())],
            "out": [[*k, n] for k, n in sorted(self.went_out.items())],
            "dropped": [[*k, n] for k, n in sorted(self.dropped.items())],
            "lost_tokens": [[*k, n] for k, n in sorted(self.lost_tokens.items())],
        }

    @classmethod
    def from_json(cls, data: dict[str, list[list[str | int]]]) -> Tally:
        return cls(
            Counter({(str(s), str(k)): int(n) for s, k, n in data["in"]}),
            Counter({(str(s), str(k)): int(n) for s, k, n in data["out"]}),
            Counter({(str(s), str(k), str(r)): int(n) for s, k, r, n in data["dropped"]}),
            Counter({(str(s), str(k), str(r)): int(n) for s, k, r, n in data["lost_tokens"]}),
        )
