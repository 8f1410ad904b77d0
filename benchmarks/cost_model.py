"""What a large run costs: measured costs of a small one, times what the large one has.

    python -m benchmarks.cost_model --web RUN --pairs RUN

A stage costs CPU time a unit (page, document or image) and bytes between steps. Both are read from
the `run.json` of finished runs made with as many workers as there are cores, so that a part's time
is CPU time; but for images by HTTP, which wait. Prices are list prices of a public cloud in the
United States; put your own.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.schemas.ledger import Tally

VCPU_HOUR = 0.0485
"""On demand, a virtual CPU of an 8-CPU general purpose machine with its memory, dollars."""
SPOT_SHARE = 0.35
"""Of that for preemptible machines, about."""
GB_MONTH = 0.020
"""Object storage, standard class."""

IMAGE_BY_HTTP_MS = 7.9
"""CPU time of an image that is fetched, decoded, judged and stored (`make bench-images`)."""

_KEPT = {"documents": "document", "images": "image", "shards": "packed document"}
_UNITS = {
    "documents": "page",
    "signatures": "document",
    "duplicates": "document",
    "repeats": "document",
    "decontamination": "document",
    "image-plan": "wanted image",
    "images": "wanted image",
    "image-duplicates": "image",
    "image-verdicts": "wanted image",
    "pictures": "document",
    "selection": "document",
    "shards": "packed document",
}


@dataclass(frozen=True)
class Workload:
    """How many units of each kind there are."""

    name: str
    units: dict[str, float]
    of_pairs: bool = False


WORKLOADS = (
    Workload(
        "a Common Crawl snapshot: 3.0 G pages in 90,000 archives; 12 % kept, 2 images each wanted",
        {"page": 3.0e9, "document": 3.6e8, "wanted image": 7.2e8, "image": 5.0e8,
         "packed document": 1.0e8},
    ),
    Workload(
        "KOSMOS-1's pool: 2 G pages, 71 M documents kept, 5 images at most",
        {"page": 2.0e9, "document": 2.4e8, "wanted image": 4.8e8, "image": 3.4e8,
         "packed document": 7.1e7},
    ),
    Workload(
        "3 G pairs: two thirds kept by their table's columns, 70 % of those addresses alive",
        {"page": 3.0e9, "document": 2.0e9, "wanted image": 2.0e9, "image": 1.4e9,
         "packed document": 1.4e9},
        of_pairs=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class StageCost:
    """Measured costs of a unit of one stage."""

    cpu_ms: float
    exchanged: float


def measured(run: Path) -> tuple[dict[str, StageCost], dict[str, float]]:
    """Costs by stage, and bytes kept of a unit by folder."""
    costs: dict[str, StageCost] = {}
    about = json.loads((run / "run.json").read_text())
    units = _count_units(about)
    for record in about["stages"]:
        stage = record["stage"]
        unit = _UNITS.get(stage)
        if unit is None or not units[unit]:
            continue
        cpu = record["work_seconds"] * 1e3 / units[unit]
        if stage == "images":
            cpu = IMAGE_BY_HTTP_MS
        if cpu:
            costs[stage] = StageCost(cpu, record["exchanged_bytes"] / units[unit])
    kept = {}
    for folder, unit in _KEPT.items():
        size = sum(p.stat().st_size for p in (run / folder).rglob("*") if p.is_file())
        if units[unit] and size:
            kept[folder] = size / units[unit]
    return costs, kept


def _count_units(about: dict[str, Any]) -> Counter[str]:
    """Units of a run: a row of a table of pairs counts as a page."""
    found: Counter[str] = Counter()
    for record in about["stages"]:
        tally, stage = Tally.from_json(record["tally"]), record["stage"]
        came: Counter[str] = Counter()
        went: Counter[str] = Counter()
        for (_, kind), count in tally.came_in.items():
            came[kind] += count
        for (_, kind), count in tally.went_out.items():
            went[kind] += count
        if stage == "documents":
            found["page"] += came["page"] or came["record"]
        elif stage == "decontamination":
            found["document"] += came["document"]
        elif stage == "images":
            found["wanted image"] += came["image"]
            found["image"] += went["image"]
        elif stage == "shards":
            found["packed document"] += came["document"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_model")
    parser.add_argument("--web", type=Path, required=True, help="finished run of web pages")
    parser.add_argument("--pairs", type=Path, required=True, help="finished run of a pair table")
    given = parser.parse_args()
    for workload in WORKLOADS:
        _tell(workload, *measured(given.pairs if workload.of_pairs else given.web))


def _tell(workload: Workload, costs: dict[str, StageCost], kept: dict[str, float]) -> None:
    print(f"\n{workload.name}")
    print(
        f"{'':<17}{'units':>10}{'CPU ms each':>13}{'CPU hours':>11}{'GB moved':>10}{'dollars':>9}"
    )
    hours = moved = 0.0
    for stage, cost in costs.items():
        count = workload.units[_UNITS[stage]]
        own, sent = count * cost.cpu_ms / 3.6e6, count * cost.exchanged / 1e9
        hours, moved = hours + own, moved + sent
        _row(stage, f"{count / 1e6:,.0f} M", f"{cost.cpu_ms:.3f}", own, sent)
    _row("all", "", "", hours, moved)
    sizes = {f: kept[f] * workload.units[u] / 1e12 for f, u in _KEPT.items() if f in kept}
    told = ", ".join(f"{folder} {size:,.1f} TB" for folder, size in sizes.items())
    print(f"kept: {told}: {sum(sizes.values()) * 1e3 * GB_MONTH:,.0f} dollars a month")
    print(f"on preemptible machines: {hours * VCPU_HOUR * SPOT_SHARE:,.0f} dollars")


def _row(stage: str, units: str, each: str, hours: float, moved: float) -> None:
    dollars = hours * VCPU_HOUR
    print(f"{stage:<17}{units:>10}{each:>13}{hours:>11,.0f}{moved:>10,.0f}{dollars:>9,.0f}")


if __name__ == "__main__":
    main()
