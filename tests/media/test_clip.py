"""A CLIP trained by the tests, loaded from its files as any other would be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from curate.media.clip import ClipError, ClipModel, load_clip
from curate.schemas.settings.filter_rules import ClipRules, ScoreHead
from tests.small_clip import CAPTIONS, drawn

SEEDS = (121, 123, 125, 127)


def rules(clip_files: tuple[Path, Path], **more: object) -> ClipRules:
    config, weights = clip_files
    return ClipRules.model_validate({"model": str(config), "weights": str(weights), **more})


@pytest.fixture(scope="module")
def model(clip_files: tuple[Path, Path]) -> ClipModel:
    return load_clip(rules(clip_files))


def test_images_are_most_like_their_own_captions(model: ClipModel) -> None:
    for seed in SEEDS:
        scores = model.score([drawn(c, seed) for c in CAPTIONS], [CAPTIONS] * len(CAPTIONS))
        for own, score in enumerate(scores):
            assert max(score.similarities) == score.similarities[own]
            assert -1 <= min(score.similarities) <= max(score.similarities) <= 1


def test_a_score_does_not_depend_on_the_rest_of_the_batch(model: ClipModel) -> None:
    images = [drawn(c, SEEDS[0]) for c in CAPTIONS]
    together = model.score(images, [[c] for c in CAPTIONS])
    alone = [model.score([i], [[c]])[0] for i, c in zip(images, CAPTIONS, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.similarities == pytest.approx(other.similarities, abs=0.002)
    assert model.score(images, [[c] for c in CAPTIONS]) == together


def test_an_image_without_text_has_no_similarity(model: ClipModel) -> None:
    (score,) = model.score([drawn(CAPTIONS[0], 1)], [[]])
    assert score.similarities == ()
    assert (score.aesthetic, score.nsfw) == (None, None)


def test_heads_are_linear_layers_over_the_embedding(
    clip_files: tuple[Path, Path], tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(8, 32, generator=generator), torch.randn(1, 8, generator=generator)
    state = {
        "layers.0.weight": first, "layers.0.bias": torch.ones(8),
        "layers.2.weight": second, "layers.2.bias": torch.zeros(1),
    }  # fmt: skip
    torch.save(state, tmp_path / "head.pth")
    head = ScoreHead(weights=str(tmp_path / "head.pth"))
    likely = head.model_copy(update={"activation": "relu", "sigmoid": True})
    model = ClipModel(rules(clip_files, aesthetic=head.model_dump(), nsfw=likely.model_dump()))
    image = drawn(CAPTIONS[3], 1)
    (score,) = model.score([image], [[]])
    with torch.inference_mode():
        embedding = model._embed_images([image])
        inner = embedding @ first.T + 1
        plain, rectified = inner @ second.T, inner.relu() @ second.T
    assert score.aesthetic == pytest.approx(plain.item(), abs=1e-3)
    assert score.nsfw == pytest.approx(rectified.sigmoid().item(), abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "no-such-file.pt"}, "can't be loaded"),
        ({"model": "No-Such-Model"}, "can't be loaded"),
        ({"aesthetic": {"weights": "no-such-head.pth"}}, "filters.clip.aesthetic.weights"),
    ],
)
def test_what_can_t_be_had_is_told(
    clip_files: tuple[Path, Path], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ClipError, match=message):
        ClipModel(rules(clip_files, **changes))


def test_weights_that_are_code_are_refused(clip_files: tuple[Path, Path], tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return eval, ("1/0",)

    torch.save({"layers.0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ClipError, match=r"evil\.pth can't be read"):
        ClipModel(rules(clip_files, aesthetic={"weights": str(tmp_path / "evil.pth")}))
