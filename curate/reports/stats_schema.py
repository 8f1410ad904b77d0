"""The published JSON schema of stats.json."""

from __future__ import annotations

from typing import Any

_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_NUMBER = {"type": "number", "minimum": 0}


def _rows(**properties: Any) -> dict[str, Any]:
    item = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "array", "items": item}


_PURGED = {
    "documents_in": _COUNT,
    "documents_out": _COUNT,
    "documents_dropped": {"type": "object", "additionalProperties": _COUNT},
}

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
        "drops": _rows(
            stage=_TEXT, source=_TEXT, kind=_TEXT, rule=_TEXT, count=_COUNT, tokens=_COUNT
        ),
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
        "dedup": {
            "type": ["object", "null"],
            "properties": {
                **_PURGED,
                "lines_cut": _COUNT,
                "rounds": _COUNT,
                "candidate_pairs": _COUNT,
                "cluster_sizes": {"type": "object", "additionalProperties": _COUNT},
                "largest_clusters": _rows(
                    documents=_COUNT,
                    kept_id=_TEXT,
                    kept_url=_TEXT,
                    dropped=_rows(id=_TEXT, url=_TEXT, rule=_TEXT),
                ),
            },
        },
        "left_out": {"type": "array", "items": _TEXT},
        "unfilled_steps": {"type": "array", "items": _TEXT},
        "training": _rows(
            name=_TEXT,
            steps=_COUNT,
            first_loss=_NUMBER,
            last_loss=_NUMBER,
            held_out={"type": "object", "additionalProperties": _NUMBER},
        ),
        "pictures": {
            "type": ["object", "null"],
            "properties": {
                "images": _COUNT,
                "cluster_sizes": {"type": "object", "additionalProperties": _COUNT},
                "largest_clusters": _rows(images=_COUNT, kept_url=_TEXT),
                "benchmark_images": _COUNT,
                "benchmark_files_unreadable": _COUNT,
                "dropped_for_benchmarks": _COUNT,
            },
        },
        "decontamination": {
            "type": ["object", "null"],
            "properties": {
                **_PURGED,
                "documents_cut": _COUNT,
                "documents_tagged": _COUNT,
                "benchmarks": _rows(
                    name=_TEXT,
                    items=_COUNT,
                    texts_too_short=_COUNT,
                    items_hit=_COUNT,
                    documents_cut=_COUNT,
                    documents_dropped=_COUNT,
                    documents_tagged=_COUNT,
                    frequent_items=_rows(item=_TEXT, documents=_COUNT, text=_TEXT),
                    examples=_rows(
                        id=_TEXT,
                        url=_TEXT,
                        item=_TEXT,
                        rule=_TEXT,
                        similarity=_NUMBER,
                        words=_COUNT,
                        start=_COUNT,
                        end=_COUNT,
                        before=_TEXT,
                        text=_TEXT,
                        after=_TEXT,
                    ),
                ),
            },
        },
    },
}
