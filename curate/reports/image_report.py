"""What was found of images that show the same picture, and what was left out, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.media.fetch_outcome import FAULT
from curate.pipelines.images.image_duplicates import BENCHMARK, BENCHMARKS_PATH
from curate.pipelines.images.image_scores import SKIPPED_PATH
from curate.pipelines.similarity.targets import clusters_path
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import IMAGE_DUPLICATES as STAGE
from curate.runs.stage_names import IMAGES, success_path
from curate.schemas.ledger import Tally


def pictures_report(run: RunDirectory) -> dict[str, Any] | None:
    """Clusters of images by size, and benchmark images; None where no images were compared."""
    if not run.exists(success_path(STAGE)) or not run.exists(clusters_path(STAGE)):
        return None
    tally = Tally.from_json(run.read_json(success_path(STAGE))["tally"])
    clusters = run.read_json(clusters_path(STAGE))
    benchmarks = run.read_json(BENCHMARKS_PATH) if run.exists(BENCHMARKS_PATH) else {}
    return {
        "images": sum(n for (_, kind), n in tally.came_in.items() if kind == "image"),
        "cluster_sizes": clusters["sizes"],
        "largest_clusters": [
            {"images": c["documents"], "kept_url": c["kept_url"] or c["kept_id"]}
            for c in clusters["largest"]
        ],
        "benchmark_images": benchmarks.get("images", 0),
        "benchmark_files_unreadable": len(benchmarks.get("unreadable", [])),
        "dropped_for_benchmarks": sum(
            n for (_, _, rule), n in tally.dropped.items() if rule == BENCHMARK
        ),
    }


def left_out(run: RunDirectory) -> list[str]:
    """What the recipe asks for and the run did without, a sentence each."""
    told: list[str] = []
    if run.exists(SKIPPED_PATH):
        reason = run.read_json(SKIPPED_PATH)["reason"]
        told.append(f"Scores of images by CLIP were left out. {reason}")
    if run.exists(success_path(IMAGES)):
        tally = Tally.from_json(run.read_json(success_path(IMAGES))["tally"])
        told += fault_notice({rule: n for (_, _, rule), n in tally.dropped.items()})
    return told


def fault_notice(dropped: Mapping[str, int]) -> list[str]:
    """A sentence where fetches ended by a fault of ours.

    Args:
        dropped: counts by rule.
    """
    faults = dropped.get(FAULT, 0)
    if not faults:
        return []
    return [
        f"{faults:,} fetches ended by a fault of curate and not of the network: please report the "
        f"values of rule {FAULT} in the ledger of stage {IMAGES}."
    ]
