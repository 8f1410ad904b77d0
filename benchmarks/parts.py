"""What a part costs, in every stage, when the same corpus is cut into more and more parts.

    python -m benchmarks.parts [--parts 100 400 1600] [--workers 2]

The corpus is made: pages with archived images in WARCs and texts in JSON lines, with duplicates,
lines that a domain repeats, items of a benchmark, pictures that are the same and pictures on many
pages. The CLIP model is a small one of random weights. CPU time is that of the command and of all
processes below it, so that what else the machine does plays little part.

The last columns are what one more part costs between the two largest cuts, over what it costs
between the two smallest: 1 where cost is linear in parts, 4 where it is quadratic and each cut has
four times the parts of the one before.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curate.build import build_shards
from curate.pipelines.engine.worker_processes import worker_processes
from curate.runs.run_directory import RunDirectory
from curate.schemas.identity import content_key
from curate.schemas.settings.recipe import Recipe

ITEMS = 1_600
"""Pages, and as many texts: a part of the finest cut has two of them."""
_HOSTS = 3
_WORDS = (
    "the harbour wind carried salt over old stone walls while people of the town walked home "
    "with bread and news from ships that came late in every winter storm"
).split()
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What one stage cost."""

    cpu: float = 0.0
    """Seconds."""
    bytes: int = 0
    """Of the files that its tasks sent each other."""
    files: int = 0


def make_corpus(folder: Path, parts: int, items: int = ITEMS) -> Recipe:
    """Write so many pages and texts, cut into `parts` parts; a recipe that runs every stage."""
    (folder / "web").mkdir(parents=True)
    (folder / "texts").mkdir()
    for number, own in enumerate(_cut(items, parts // 2)):
        with (folder / "web" / f"{number:05d}.warc.gz").open("wb") as stream:
            _write_archive(stream, own)
        lines = "".join(json.dumps(_text(item)) + "\n" for item in own)
        (folder / "texts" / f"{number:05d}.jsonl").write_text(lines)
    benchmark = folder / "benchmark.jsonl"
    items_of = (json.dumps({"id": f"{n}", "text": _prose(f"item{n}", 20)}) for n in range(8))
    benchmark.write_text("\n".join(items_of) + "\n")
    return Recipe.model_validate(
        {
            "name": "parts",
            "sources": {
                "web": {"kind": "warc", "format": "interleaved", "paths": [f"{folder}/web/"]},
                "texts": {"kind": "jsonl", "format": "text", "paths": [f"{folder}/texts/"]},
            },
            "filters": {
                "page": {"language": None},
                # No score is below -1: every image is scored, and none is dropped.
                "clip": {**_clip(folder), "min_text_similarity": -1.0},
            },
            "dedup": {"repeated": {}},
            "decontamination": {"benchmarks": [str(benchmark)], "ngrams": {}},
            "images": {
                "single_image_keep": 1.0,
                "fetch": {"enabled": False},
                "duplicates": {"max_documents": 10},
            },
            "tokenization": {"vocabulary": 500, "block": 512},
        }
    )


def _clip(folder: Path) -> dict[str, str]:
    """The smallest CLIP that open_clip makes, as a recipe names it."""
    # Taken in only where a corpus is made: it takes seconds, which workers don't need.
    import open_clip
    import torch

    torch.manual_seed(0)
    model, weights = folder / "smallest-clip.json", folder / "smallest-clip.pt"
    text = {"context_length": 16, "vocab_size": 49_408, "width": 32, "heads": 2, "layers": 1}
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    model.write_text(json.dumps(config))
    open_clip.add_model_config(model)
    made = open_clip.create_model("smallest-clip", load_weights=False)
    torch.save(made.state_dict(), weights)
    return {"model": str(model), "weights": str(weights)}


def _cut(items: int, parts: int) -> Iterator[range]:
    for number in range(parts):
        yield range(number * items // parts, (number + 1) * items // parts)


def _prose(name: str, words: int) -> str:
    drawn = (content_key(name, f"{n}") for n in range(words))
    return " ".join(_WORDS[d[0] % len(_WORDS)] + "aeiou"[d[1] % 5] * (d[2] % 2) for d in drawn)


def _text(item: int) -> dict[str, str]:
    """Of ten texts one is another's, one nearly so; every twentieth holds an item."""
    name = item - 1 if item % 10 in (1, 3) else item
    text = _prose(f"text{name}", 80)
    if item % 10 == 3:
        text += " again"
    if item % 20 == 4:
        text += f"\n{_prose(f'item{name % 8}', 20)}\n{_prose(f'more{name}', 80)}"
    return {"id": f"text-{item}", "text": text}


def _write_archive(stream: Any, items: range) -> None:
    writer = WARCWriter(stream, gzip=True)
    for item in items:
        base = f"http://h{item % _HOSTS}.test/{item}"
        name = item - 1 if item % 10 == 1 else item
        blocks = "".join(f"<p>{_prose(f'page{name}-{n}', 40)}</p>" for n in range(3))
        shown = f'<img src="{base}.jpg"><img src="http://h{item % _HOSTS}.test/banner.jpg">'
        html = (
            f"<html><head><title>Page {item}</title></head><body><article><h1>Page {name}</h1>"
            f"{blocks}{shown}<p>Read more of our harbour stories every week</p></article></body>"
        )
        _write(writer, base, html.encode(), "text/html; charset=utf-8")
        _write(writer, f"{base}.jpg", _picture(item - (item % 8 == 1)), "image/jpeg")
        if item < _HOSTS:
            banner = f"http://h{item}.test/banner.jpg"
            _write(writer, banner, _picture(1_000_000 + item), "image/jpeg")


def _write(writer: WARCWriter, url: str, body: bytes, media_type: str) -> None:
    headers = StatusAndHeaders("200 OK", [("Content-Type", media_type)], protocol="HTTP/1.1")
    record = writer.create_warc_record(
        url,
        "response",
        payload=io.BytesIO(body),
        http_headers=headers,
        warc_headers_dict={"WARC-Date": "2024-01-01T00:00:00Z"},
    )
    writer.write_record(record)


def _picture(number: int) -> bytes:
    """A small JPEG of its own for each number."""
    pixels = b"".join(content_key("picture", f"{number}-{n}") for n in range(12))
    image = Image.frombytes("RGB", (8, 8), pixels).resize((160, 160), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def measure(parts: int, workers: int) -> dict[str, Cost]:
    """Build the corpus in so many parts; what every stage cost."""
    costs: dict[str, Cost] = {}
    stage = ""

    @contextmanager
    def watch(name: str, total: int) -> Iterator[None]:
        nonlocal stage
        stage = name
        costs[name] = Cost()
        started = _cpu_seconds()
        yield
        costs[name].cpu = _cpu_seconds() - started

    remove = RunDirectory.remove

    def counted(run: RunDirectory, *names: str) -> None:
        if names[0].startswith("exchange/"):
            files = [p for p in Path(run.path(*names)).rglob("*") if p.is_file()]
            costs[stage].files += len(files)
            costs[stage].bytes += sum(p.stat().st_size for p in files)
        remove(run, *names)

    with tempfile.TemporaryDirectory() as scratch:
        recipe = make_corpus(Path(scratch, "in"), parts)
        with worker_processes(workers) as processes, patch.object(RunDirectory, "remove", counted):
            build_shards(
                recipe,
                f"{scratch}/run",
                watch=watch,
                workers=workers,
                processes=processes,
            )
    return costs


def _cpu_seconds() -> float:
    """CPU time of this process and of all below it, ended or not."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        parents[int(path.parent.name)] = int(fields[1])
        ticks[int(path.parent.name)] = sum(map(int, fields[11:15]))
    own = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(ticks.get(process, 0) for process in own) / _TICKS


def _growth(costs: list[float], parts: list[int]) -> str:
    """What one more part costs at last, over what it costs at first."""
    if len(parts) < 3:
        return ""
    each = [(costs[n + 1] - costs[n]) / (parts[n + 1] - parts[n]) for n in range(len(parts) - 1)]
    return f"{each[-1] / each[0]:.1f}" if each[0] > 0 else "-"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts")
    parser.add_argument("--parts", nargs="+", type=int, default=[100, 400, 1_600])
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    runs = [measure(parts, given.workers) for parts in given.parts]
    cuts = "".join(f"{parts:>9,}" for parts in given.parts)
    print(f"{'':<17} CPU s at{cuts}  growth  kB sent{cuts}  growth  files{cuts}  growth")
    for stage in runs[-1]:
        held = [run.get(stage, Cost()) for run in runs]
        row = f"{stage:<17}         "
        for values, shown in (
            ([c.cpu for c in held], "{:9.2f}"),
            ([c.bytes / 1e3 for c in held], "{:9,.0f}"),
            ([float(c.files) for c in held], "{:9,.0f}"),
        ):
            row += "".join(shown.format(v) for v in values)
            row += f"{_growth(values, given.parts):>8}" + " " * 9
        print(row.rstrip(), flush=True)


if __name__ == "__main__":
    main()
