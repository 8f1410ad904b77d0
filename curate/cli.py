"""The `curate` command. Exit codes: 0 done, 1 the work failed, 2 wrong usage."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from contextlib import suppress
from typing import Any

import click

from curate import __version__
from curate.commands import documents, models, pairs, recipes, runs, training
from curate.console import guard_streams
from curate.pipelines.engine.beam_logs import quiet_beam


class _Guarded(click.Group):
    """A group whose own errors and help are guarded, too."""

    def main(self, *args: Any, **options: Any) -> Any:
        guard_streams()
        return super().main(*args, **options)


@click.group(
    cls=_Guarded, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="curate")
@click.option("--verbose", is_flag=True, help="Show the libraries' own log lines.")
def main(verbose: bool) -> None:
    """From raw web archives to packed, tokenized, multimodal training shards.

    \b
    curate demo                          the whole thing on a small web of its own
    curate build-shards kosmos1 --input 'crawl/*.warc.gz' --out OUT
    curate fetch-pairs TABLE --out DIR   image-caption pairs of LAION, COYO, CC3M, ...
    curate dedup --input DOCS --out DIR  drop near-duplicates of any JSON lines or Parquet
    curate decontaminate --benchmarks FILES --input DOCS --out DIR
    curate stats OUT                     what came in, what was dropped, what came out
    curate why OUT URL                   everything that happened to a URL
    curate inspect OUT --row 0           see what a training row really holds
    curate train OUT --config tiny       train on the shards, in PyTorch or JAX
    curate generate CHECKPOINT --image FILE
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(logging.INFO if verbose else logging.ERROR)
    logging.getLogger("curate").setLevel(logging.INFO if verbose else logging.WARNING)


for command in (
    runs.build_shards,
    runs.demo,
    runs.stats,
    runs.why,
    runs.inspect,
    runs.extract,
    pairs.fetch_pairs,
    documents.dedup,
    documents.decontaminate,
    documents.benchmark_index,
    models.train_tokenizer,
    models.train_classifier,
    training.verify,
    training.train,
    training.generate,
    recipes.recipe,
):
    main.add_command(command)


class _End:
    """Ends the process with the command's exit code, when everything else has been closed."""

    def __init__(self) -> None:
        self.code = 1

    def __call__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(BrokenPipeError):  # who read it has gone, which was told
                stream.flush()
        os._exit(self.code)


def run() -> None:
    """The entry point: `main`, and an end that no thread of a library can spoil.

    gRPC's threads outlive the jobs of an engine. One that wakes up while Python takes itself apart
    ends the process by SIGABRT, which would stand in the place of the command's exit code.
    """
    end = _End()
    # What is registered first is called last.
    atexit.register(end)
    try:
        # Here too, and not in engines alone: a job's last words may come when its engine is closed.
        with quiet_beam():
            main()
    except SystemExit as error:
        end.code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise


if __name__ == "__main__":
    run()
