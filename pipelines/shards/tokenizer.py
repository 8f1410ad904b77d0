"""Stage `tokenizer`: the run's SentencePiece model, given or trained on its documents.

Training is one task by nature; what it reads is bounded by `tokenization.training_lines`, chosen by
keyed hash, whatever the size of the run.
"""

from __future__ import annotations

from collections.abc import Iterator

import fsspec
import pyarrow.parquet as pq

from curate.runs.part import PartWriter
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.vocabulary import MODEL_PATH
from curate.schemas.document import document_from_row
from curate.schemas.identity import keyed_fraction
from curate.tokenization.formats import document_lines
from curate.tokenization.train import train_model
from curate.tokenization.vocabulary import Vocabulary, VocabularyError


def make_tokenizer(plan: RunPlan, part: PartWriter, lines: int) -> None:
    """Put the model in place.

    Args:
        lines: number of lines in the run's selected documents, from which the sample is cut.

    Raises:
        VocabularyError: the given model can't be read or can't serve.
        ValueError: there is too little text to train on.
    """
    settings = plan.recipe.tokenization
    if settings.model is not None:
        try:
            with fsspec.open(settings.model, "rb") as stream:
                model = stream.read()
        except OSError as error:
            raise VocabularyError(
                f"tokenization.model: {settings.model} can't be read: {error}. "
                "Give a path to a SentencePiece .model file, or null to train one."
            ) from error
        part.facts["origin"] = "given"
    else:
        sample = sample_lines(part.run, plan, lines)
        model = train_model(sample, settings.vocabulary, settings.character_coverage)
        part.facts["origin"] = "trained"
    vocabulary = Vocabulary(model)
    part.facts.update(sha256=vocabulary.sha256, pieces=vocabulary.pieces)
    part.file(MODEL_PATH).write_bytes(model)


def sample_lines(run: RunDirectory, plan: RunPlan, lines: int) -> Iterator[str]:
    """About `tokenization.training_lines` of the run's `lines` selected lines, by keyed hash."""
    share = min(1.0, plan.recipe.tokenization.training_lines / max(lines, 1))
    for input_part in plan.parts:
        with run.open(f"selected/{input_part.name}.parquet") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    document = document_from_row(row)
                    for number, line in enumerate(document_lines(document)):
                        choice = f"{document.id}:{number}"
                        if keyed_fraction(plan.recipe.seed, "tokenizer", choice) < share:
                            yield line
