"""The report: one HTML file without scripts or outside references."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from curate.reports.inspection import View, count_rows, data_uri, view_row
from curate.reports.training_report import HEIGHT, WIDTH, training_curves
from curate.runs.run_directory import RunDirectory
from curate.schemas.text.shown import visible

REPORT_PATH = "report/index.html"
STATS_PATH = "report/stats.json"
_SAMPLES = 6
_HOSTS = 15


def write_report(run: RunDirectory, stats: dict[str, Any]) -> None:
    """Write `report/index.html` and `report/stats.json`."""
    run.write_bytes((json.dumps(stats, indent=1) + "\n").encode(), STATS_PATH)
    run.write_bytes(render_report(run, stats).encode(), REPORT_PATH)


def render_report(run: RunDirectory, stats: dict[str, Any]) -> str:
    """The report as HTML; everything that came from the web is escaped, images are re-encoded."""
    drops = sorted(stats["drops"], key=lambda d: -d["count"])
    per_document = _images_per_document(run)
    template = _environment().get_template("report.html.j2")
    return template.render(
        title=f"curate · {stats['recipe']}",
        stats=stats,
        headline=_headline(stats),
        drops=drops,
        most_dropped=max((d["count"] for d in drops), default=1),
        images_per_document=per_document,
        most_images=max((count for _, count in per_document), default=1),
        hosts=_hosts(run),
        samples=_samples(run),
        curves=training_curves(run),
        curve_size=(WIDTH, HEIGHT),
        data_uri=data_uri,
    )


def render_view(view: View) -> str:
    """One row or document as an HTML page."""
    template = _environment().get_template("view.html.j2")
    return template.render(title=view.title, view=view, data_uri=data_uri)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("curate"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """What a template prints, escapes for all that reorders or hides; HTML is escaped after it."""
    return visible(value) if type(value) is str else value


def _headline(stats: dict[str, Any]) -> list[tuple[str, str]]:
    def total(stage: str, kind: str, way: str) -> int:
        rows = (s for s in stats["stages"] if (s["stage"], s["kind"]) == (stage, kind))
        return sum(s[way] for s in rows)

    sources = stats["sources"].values()
    numbers = [
        ("pages in", total("documents", "page", "in")),
        ("images wanted", total("images", "image", "in")),
        ("images stored", total("images", "image", "out")),
        ("documents out", sum(s["documents"] for s in sources)),
        ("packed rows", sum(s["rows"] for s in sources)),
        ("tokens", sum(s["tokens"] for s in sources)),
    ]
    return [(label, f"{value:,}") for label, value in numbers]


def _images_per_document(run: RunDirectory) -> list[tuple[int, int]]:
    counts: Counter[int] = Counter()
    for path in run.files("stages/selection", suffix=".json"):
        if not path.endswith("/_SUCCESS.json"):
            for images, documents in run.read_json(path)["images_per_document"].items():
                counts[int(images)] += documents
    return sorted(counts.items())


def _hosts(run: RunDirectory) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for path in run.files("selected", suffix=".parquet"):
        with run.open(path) as stream:
            for url in pq.read_table(stream, columns=["url"])["url"].to_pylist():
                counts[urlsplit(url).netloc] += 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_HOSTS]


def _samples(run: RunDirectory) -> list[View]:
    """Rows spread evenly over the shards."""
    rows = count_rows(run)
    step = max(rows // _SAMPLES, 1)
    return [view_row(run, number) for number in range(0, rows, step)][:_SAMPLES]
