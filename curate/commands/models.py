"""Commands that train models for recipes: train-tokenizer, train-classifier."""

from __future__ import annotations

from pathlib import Path

import click

from curate.commands.common import ManyValues, explained, open_run
from curate.console import say


@click.command("train-tokenizer")
@click.argument("out")
@click.option(
    "--model",
    "model_path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the .model file.",
)
@click.option("--vocabulary", type=click.IntRange(min=100), help="Pieces, instead of the recipe's.")
@explained
def train_tokenizer(out: str, model_path: Path, vocabulary: int | None) -> None:
    """Train a SentencePiece model on the selected documents of the run OUT.

    The run must have come to `selection` (`curate build-shards ... --until selection`). Use the
    model in a recipe as `tokenization.model`.
    """
    from curate.standalone.single_stages import train_on_run

    pieces = train_on_run(open_run(out), model_path, vocabulary)
    say(f"wrote {model_path}: {pieces:,} pieces")


@click.command("train-classifier", cls=ManyValues)
@click.option(
    "--high",
    multiple=True,
    required=True,
    metavar="DOCS...",
    help="Documents as they should be: JSON lines or Parquet with `text`.",
)
@click.option(
    "--low", multiple=True, required=True, metavar="DOCS...", help="Documents as the web has them."
)
@click.option(
    "--model",
    "model_path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the fastText model.",
)
@click.option(
    "--word-ngrams",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Longest n-gram that is a feature.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=5, show_default=True)
@explained
def train_classifier(
    high: tuple[str, ...], low: tuple[str, ...], model_path: Path, word_ngrams: int, epochs: int
) -> None:
    """Train a fastText classifier of quality on two sets of documents.

    DCLM took 200,000 instruction answers and well-liked explanations as high, as many web pages as
    low, and kept the tenth of the web with the best scores. A tenth of the documents is held out
    to measure the classifier, and to find the scores that keep a share of what is low. Use the
    model in a recipe: `filters: {text: {classifier: {model: quality.bin, min_score: 0.02}}}`.
    """
    from curate.standalone.classifier import train_classifier as train

    trained = train(high, low, model_path, word_ngrams=word_ngrams, epochs=epochs)
    say(
        f"wrote {model_path}: learned from {trained.high:,} high and {trained.low:,} low "
        f"documents; {trained.accuracy:.1%} of {trained.held_out:,} held out were told right"
    )
    for share, score in trained.thresholds.items():
        say(f"min_score {score:.6f} keeps {share:.0%} of the low documents")
