"""A value at its limit stays, whatever the rule: limits are the most and the least allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filters.gopher import gopher_quality_rule
from filters.image import ImageFacts, ImageShape, blocked_phash_rule, picture_rule, shape_rule
from filters.page import coherence_rule, length_rule
from filters.reading import Reading
from schemas.filter_rules import ImageRules, PageRules
from schemas.text_rules import GopherQuality
from schemas.verdict import Drop, Keep

TEXT = """The ships of the bay come home #today with the tide...
- one of them was late, and that is rare 😀
- see https://example.org/ships for 12 3 4 more …
We have to be out at dawn to see them."""
NO_LIMITS = dict.fromkeys(
    [
        "min_words", "max_words", "min_mean_word_length", "max_mean_word_length",
        "max_symbol_ratio", "max_bullet_lines", "max_ellipsis_lines", "min_alpha_words",
        "min_stop_words",
    ]
)  # fmt: skip
STEP = 1e-9


@pytest.mark.parametrize(
    ("limit", "score", "step"),
    [
        ("min_words", "words", 1), ("max_words", "words", -1),
        ("min_mean_word_length", "mean_word_length", STEP),
        ("max_mean_word_length", "mean_word_length", -STEP),
        ("max_symbol_ratio", "ellipsis_ratio", -STEP),
        ("max_bullet_lines", "bullet_lines", -STEP),
        ("max_ellipsis_lines", "ellipsis_lines", -STEP),
        ("min_alpha_words", "alpha_words", STEP),
        ("min_stop_words", "stop_words", 1),
    ],
)  # fmt: skip
def test_gopher(limit: str, score: str, step: float) -> None:
    """With the very value of a text as the limit it stays; a little further, it goes."""
    free = gopher_quality_rule(Reading(TEXT), GopherQuality(**NO_LIMITS))
    assert isinstance(free, Keep)
    value = dict(free.scores)[f"gopher.{score}"]
    assert value > 0
    at, beyond = ({**NO_LIMITS, limit: kind} for kind in (value, value + step))
    assert isinstance(gopher_quality_rule(Reading(TEXT), GopherQuality(**at)), Keep)
    gone = gopher_quality_rule(Reading(TEXT), GopherQuality(**beyond))
    assert isinstance(gone, Drop)
    assert (gone.value, gone.limit) == (value, value + step)


@pytest.mark.parametrize(
    ("limit", "score", "step"),
    [
        ("max_emoji_ratio", "emoji_ratio", -STEP),
        ("max_hashtag_ratio", "hashtag_ratio", -STEP),
        ("max_url_ratio", "url_ratio", -STEP),
        ("max_mean_word_length", "mean_word_length", -STEP),
        ("max_words_per_char", "words_per_char", -STEP),
        ("min_alpha_word_ratio", "alpha_word_ratio", STEP),
    ],
)
def test_coherence(limit: str, score: str, step: float) -> None:
    none = dict.fromkeys(
        ["max_emoji_ratio", "max_hashtag_ratio", "max_url_ratio", "max_mean_word_length",
         "max_words_per_char", "min_alpha_word_ratio"]
    )  # fmt: skip
    free = coherence_rule(TEXT, PageRules(**none))
    assert isinstance(free, Keep)
    value = dict(free.scores)[score]
    assert value > 0
    assert isinstance(coherence_rule(TEXT, PageRules(**{**none, limit: value})), Keep)
    gone = coherence_rule(TEXT, PageRules(**{**none, limit: value + step}))
    assert gone == Drop(f"page.{limit}", value, value + step)


def test_length() -> None:
    assert isinstance(length_rule("one two three", PageRules(min_words=3)), Keep)
    assert length_rule("one two three", PageRules(min_words=4)) == Drop("page.min_words", 3, 4)


SHAPE = {"format": "png", "width": 200, "height": 300, "encoded_bytes": 9_000, "frames": 3}


@pytest.mark.parametrize(
    ("limit", "at", "beyond"),
    [
        ("max_pixels", 60_000, 59_999),
        ("min_side", 200, 201),
        ("max_side", 300, 299),
        ("max_aspect", 1.5, 1.49),
        ("min_bytes", 9_000, 9_001),
        ("max_frames", 3, 2),
    ],
)
def test_shapes(limit: str, at: Any, beyond: Any) -> None:
    shape = ImageShape(**SHAPE)
    free = {"min_side": 1, "max_frames": 9}
    assert isinstance(shape_rule(shape, ImageRules(**{**free, limit: at})), Keep)
    gone = shape_rule(shape, ImageRules(**{**free, limit: beyond}))
    assert isinstance(gone, Drop)
    assert (gone.rule, gone.limit) == (f"image.{limit}", beyond)


@pytest.mark.parametrize(
    ("limit", "at", "beyond"), [("max_blank_share", 0.25, 0.24), ("min_sharpness", 400.0, 400.5)]
)
def test_pictures(limit: str, at: float, beyond: float) -> None:
    facts = ImageFacts(**SHAPE, channel_spread=90, blank_share=0.25, sharpness=400.0)
    assert isinstance(picture_rule(facts, ImageRules(**{limit: at})), Keep)
    gone = picture_rule(facts, ImageRules(**{limit: beyond}))
    assert isinstance(gone, Drop)
    assert (gone.rule, gone.limit) == (f"image.{limit}", beyond)


def test_a_perceptual_hash_at_the_distance_is_the_picture(tmp_path: Path) -> None:
    listed = 0xF0F0_F0F0_F0F0_F0F0
    path = tmp_path / "blocked.txt"
    path.write_text(f"{listed:016x}\n")
    rules = ImageRules(blocked_hashes=(str(path),), blocked_phash_distance=3)
    assert isinstance(blocked_phash_rule(rules, listed ^ 0b1111), Keep)
    gone = blocked_phash_rule(rules, listed ^ 0b111)
    assert gone == Drop("image.blocked_hash", 3, 3, f"{listed:016x}")
