"""`curate demo`: a small web served on 127.0.0.1, crawled, and turned into shards."""

from __future__ import annotations

import json
from pathlib import Path

from curate.build import build_shards, with_inputs
from curate.commands.common import find_recipe
from curate.console import say
from curate.demo.crawl import crawl
from curate.demo.server import serve
from curate.demo.site import build_site
from curate.demo.texts import BENCHMARK_ITEM
from curate.pipelines.engine.worker_processes import Process
from curate.progress import ProgressWatch
from curate.runs.run_directory import RunDirectory
from curate.schemas.settings.purging import Decontamination


def run_demo(out: str, workers: int, processes: list[Process]) -> None:
    """Serve, crawl and build; the run directory is `OUT/run`, the crawl `OUT/demo.warc.gz`.

    Raises:
        RunError: `OUT/run` holds the run of an earlier demo.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "demo.warc.gz"
    with serve(build_site()) as address:
        say(f"serving a small web at http://{address}/")
        pages, images = crawl(address, archive)
        say(f"crawled {pages} pages and {images} images into {archive}")
        recipe = with_inputs(find_recipe("demo"), (str(archive),))
        benchmark = folder / "benchmark.jsonl"
        benchmark.write_text(json.dumps({"id": "weekend", "text": BENCHMARK_ITEM}) + "\n")
        removal = Decontamination(benchmarks=(str(benchmark),))
        fetch = recipe.images.fetch.model_copy(update={"allow_hosts": (address,)})
        settings = recipe.images.model_copy(update={"fetch": fetch})
        recipe = recipe.model_copy(update={"images": settings, "decontamination": removal})
        run = RunDirectory(str(folder / "run"))
        build_shards(
            recipe, run.root, watch=ProgressWatch(run), workers=workers, processes=processes
        )
