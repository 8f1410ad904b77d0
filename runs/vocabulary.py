"""The run's tokenizer, as stage `tokenizer` left it."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from curate.runs.part import marker_path
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import TOKENIZER as STAGE
from curate.tokenization.vocabulary import Vocabulary, VocabularyError

MODEL_PATH = "tokenizer/sentencepiece.model"


def run_vocabulary(run: RunDirectory) -> Vocabulary:
    """The run's finished model.

    Raises:
        VocabularyError: its file is not what it was.
    """
    return _vocabulary_of(run.root, run.read_json(marker_path(STAGE, "model"))["sha256"])


@lru_cache(maxsize=2)
def _vocabulary_of(root: str, sha256: str) -> Vocabulary:
    """Loaded once per process; the hash keeps another model's from serving."""
    run = RunDirectory(root)
    with run.open(MODEL_PATH) as stream:
        model = stream.read()
    if hashlib.sha256(model).hexdigest() != sha256:
        raise VocabularyError(
            f"{root}/{MODEL_PATH} is damaged: it is not the model that the run began with. "
            "Build into a new --out."
        )
    return Vocabulary(model)
