"""The names of a run's stages, in order, and where each says that it is done."""

from __future__ import annotations

DOCUMENTS = "documents"
SIGNATURES = "signatures"
DUPLICATES = "duplicates"
REPEATS = "repeats"
DECONTAMINATION = "decontamination"
IMAGE_PLAN = "image-plan"
IMAGES = "images"
IMAGE_DUPLICATES = "image-duplicates"
IMAGE_VERDICTS = "image-verdicts"
IMAGE_SCORES = "image-scores"
PICTURES = "pictures"
SELECTION = "selection"
TOKENIZER = "tokenizer"
SHARDS = "shards"

STAGE_NAMES = (
    DOCUMENTS,
    SIGNATURES,
    DUPLICATES,
    REPEATS,
    DECONTAMINATION,
    IMAGE_PLAN,
    IMAGES,
    IMAGE_DUPLICATES,
    IMAGE_VERDICTS,
    IMAGE_SCORES,
    PICTURES,
    SELECTION,
    TOKENIZER,
    SHARDS,
)


def success_path(stage: str) -> str:
    """Of the file that tells that a stage is done, with its counts."""
    return f"stages/{stage}/_SUCCESS.json"
