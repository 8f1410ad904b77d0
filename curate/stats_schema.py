"""The published JSON schema of stats.json."""

from __future__ import annotations

from typing import Any

_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_NUMBER = {"type": "number", "minimum": 0}


def _rows(**properties: Any) -> dict[str, Any]:
    item = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "array", "items": item}


STATS_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Statistics of a curate run",
    "type": "object",
    "required": ["version", "recipe", "stages", "drops", "shards", "sources"],
    "properties": {
        "version": _TEXT,
        "recipe": _TEXT,
        "recipe_fingerprint": _TEXT,
        "complete": {"type": "boolean"},
        "seconds": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"wall": _NUMBER, "work": _NUMBER},
            },
        },
        "stages": _rows(
            stage=_TEXT,
            source=_TEXT,
            kind=_TEXT,
            **{"in": _COUNT, "out": _COUNT, "dropped": _COUNT, "seconds": _NUMBER},
        ),
        "drops": _rows(stage=_TEXT, source=_TEXT, kind=_TEXT, rule=_TEXT, count=_COUNT),
        "shards": _rows(
            path=_TEXT,
            source=_TEXT,
            rows=_COUNT,
            tokens=_COUNT,
            targets=_COUNT,
            images=_COUNT,
            bytes=_COUNT,
            documents=_COUNT,
            block=_COUNT,
            sha256=_TEXT,
        ),
        "sources": {"type": "object"},
    },
}
