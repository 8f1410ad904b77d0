"""Statistics of a run, from its stage records and its shards."""

from __future__ import annotations

from collections import Counter
from typing import Any

from curate.reports.image_report import left_out, pictures_report
from curate.reports.purge_report import decontamination_report, dedup_report
from curate.reports.training_report import training_summary
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import STAGE_NAMES, success_path
from curate.schemas.errors import UsageError
from curate.schemas.ledger import Tally

STATS_VERSION = "1"


class NotARunError(UsageError):
    """The directory holds no run; the message says what to do."""


def collect_stats(run: RunDirectory) -> dict[str, Any]:
    """The run's `stats.json`: stages, drops, shards, sources, images.

    Raises:
        NotARunError: the directory holds no run.
    """
    if not run.exists("run.json"):
        raise NotARunError(
            f"{run.root} holds no run of curate (run.json is missing). "
            "Give the --out of a `curate build-shards`."
        )
    about = run.read_json("run.json")
    stages, drops = [], []
    for name in STAGE_NAMES:
        if not run.exists(success_path(name)):
            continue
        record = run.read_json(success_path(name))
        tally = Tally.from_json(record["tally"])
        stages += [
            {
                "stage": name,
                "source": source,
                "kind": kind,
                "in": tally.came_in[source, kind],
                "out": tally.went_out[source, kind],
                "dropped": tally.dropped_of(source, kind),
                "seconds": record["seconds"],
            }
            for source, kind in tally.balanced_kinds()
            if tally.came_in[source, kind] or tally.dropped_of(source, kind)
        ]
        drops += [
            {
                "stage": name,
                "source": source,
                "kind": kind,
                "rule": rule,
                "count": count,
                "tokens": tally.lost_tokens[source, kind, rule],
            }
            for (source, kind, rule), count in sorted(tally.dropped.items())
        ]
    shards = _shards(run)
    return {
        "version": STATS_VERSION,
        "recipe": about["recipe"],
        "recipe_fingerprint": about["recipe_fingerprint"],
        "complete": about["complete"],
        "seconds": {
            record["stage"]: {"wall": record["seconds"], "work": record["work_seconds"]}
            for record in about["stages"]
        },
        "stages": stages,
        "drops": drops,
        "shards": shards,
        "sources": _by_source(shards),
        "unfilled_steps": about.get("unfilled_steps", []),
        "left_out": left_out(run),
        "dedup": dedup_report(run),
        "pictures": pictures_report(run),
        "decontamination": decontamination_report(run),
        "training": training_summary(run),
    }


def _shards(run: RunDirectory) -> list[dict[str, Any]]:
    found = []
    for path in run.files("stages/shards", suffix=".json"):
        if path.endswith("/_SUCCESS.json"):
            continue
        marker = run.read_json(path)
        documents = sum(n for s, k, n in marker["tally"]["out"] if k == "document")
        keys = ("path", "source", "rows", "tokens", "targets", "images", "bytes", "sha256", "block")
        found.append({**{k: marker[k] for k in keys}, "documents": documents})
    return sorted(found, key=lambda s: s["path"])


def _by_source(shards: list[dict[str, Any]]) -> dict[str, dict[str, int | float]]:
    totals: dict[str, Counter[str]] = {}
    for shard in shards:
        total = totals.setdefault(shard["source"], Counter())
        for key in ("rows", "tokens", "targets", "images", "bytes", "documents"):
            total[key] += shard[key]
        total["room"] += shard["rows"] * shard["block"]
    return {
        source: {
            **{k: total[k] for k in ("documents", "rows", "tokens", "targets", "images", "bytes")},
            "fill": round(total["tokens"] / total["room"], 4) if total["room"] else 0.0,
        }
        for source, total in sorted(totals.items())
    }
