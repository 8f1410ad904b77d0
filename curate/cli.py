"""The `curate` command. Exit codes: 0 done, 1 the work failed, 2 wrong usage."""

from __future__ import annotations

import logging
from typing import Any

import click

from curate import __version__
from curate.commands import documents, models, pairs, recipes, runs, training
from curate.console import guard_streams


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
    logging.getLogger("pipelines").setLevel(logging.INFO if verbose else logging.WARNING)


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


if __name__ == "__main__":
    main()
