"""CLIP scores of a GPU are those of a processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from curate.media.clip import ClipModel
from curate.schemas.settings.filter_rules import ClipRules
from tests.small_clip import CAPTIONS, drawn

OnProcessor = Callable[[Callable[[], None]], None]
IMAGES = [drawn(caption, seed) for seed in (121, 123, 125) for caption in CAPTIONS]


def similarities(
    clip_files: tuple[Path, Path], precision: str, texts: list[list[str]]
) -> torch.Tensor:
    config, weights = clip_files
    rules = ClipRules.model_validate(
        {"model": str(config), "weights": str(weights), "precision": precision}
    )
    return torch.tensor([s.similarities for s in ClipModel(rules).score(IMAGES, texts)])


@pytest.mark.parametrize(("precision", "most"), [("float32", 0.00101), ("float16", 0.00501)])
def test_scores(
    clip_files: tuple[Path, Path], precision: str, most: float, on_processor: OnProcessor
) -> None:
    texts = [CAPTIONS] * len(IMAGES)
    expected: list[torch.Tensor] = []
    on_processor(lambda: expected.append(similarities(clip_files, precision, texts)))
    found = similarities(clip_files, precision, texts)
    assert (found - expected[0]).abs().max() < most
    assert torch.equal(found, similarities(clip_files, precision, texts))
    own = torch.arange(len(CAPTIONS)).repeat(3)
    assert torch.equal(found.argmax(1), own)
