"""A value at its limit stays, whatever the rule: limits are the most and the least allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.filters.clip import clip_rule
from curate.filters.image import (
    ImageFacts,
    ImageShape,
    blocked_phash_rule,
    picture_rule,
    shape_rule,
)
from curate.filters.node import node_rule
from curate.filters.page import coherence_rule, length_rule
from curate.filters.pair import caption_rule
from curate.filters.text.c4 import c4_line, c4_page_rule
from curate.filters.text.families import apply_text_rules
from curate.filters.text.fineweb import fineweb_rule
from curate.filters.text.gopher import gopher_quality_rule
from curate.filters.text.language import language_rule
from curate.filters.text.obelics import obelics_document_rule
from curate.filters.text.reading import Reading
from curate.filters.text.refinedweb import refinedweb_line
from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.page import Origin
from curate.schemas.settings.filter_rules import (
    ClipRules,
    ImageRules,
    NodeRules,
    PageRules,
    PairRules,
    ScoreHead,
)
from curate.schemas.settings.text_rules import (
    C4Rules,
    FineWebRules,
    GopherQuality,
    ObelicsLimits,
    ObelicsRules,
    RefinedWebLines,
    TextRules,
)
from curate.schemas.verdict import Drop, Keep

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


@pytest.mark.parametrize(
    ("limit", "at", "beyond"),
    [
        ("min_caption_chars", 13, 14),
        ("max_caption_chars", 13, 12),
        ("min_caption_words", 3, 4),
        ("max_caption_words", 3, 2),
    ],
)
def test_captions(limit: str, at: int, beyond: int) -> None:
    free = {"min_caption_chars": 1, "max_caption_chars": 99}
    assert isinstance(caption_rule("one two three", PairRules(**{**free, limit: at})), Keep)
    gone = caption_rule("one two three", PairRules(**{**free, limit: beyond}))
    assert gone == Drop(f"pair.{limit}", at, beyond)


def test_rendered_sides() -> None:
    image = ImageSegment(url="http://h/a.png", width=90, height=300)
    assert isinstance(node_rule(image, NodeRules(max_rendered_side=300)), Keep)
    gone = node_rule(image, NodeRules(max_rendered_side=299))
    assert gone == Drop("node.max_rendered_side", 300, 299)


def test_clip_scores() -> None:
    at = ClipRules(max_nsfw=0.25, nsfw=ScoreHead(weights="head.pt"))
    assert isinstance(clip_rule(0.3, 5.0, 0.25, 0.3, at), Keep)
    assert clip_rule(0.3, 5.0, 0.26, 0.3, at) == Drop("clip.max_nsfw", 0.26, 0.25)


def test_language() -> None:
    text = "The ships of the bay come home with the tide, and the nets are full."
    free = language_rule(text, PageRules(min_language_score=0))
    assert isinstance(free, Keep)
    (score,) = dict(free.scores).values()
    assert 0 < score < 1
    assert isinstance(language_rule(text, PageRules(min_language_score=score)), Keep)
    above = min(score + STEP, 1.0)
    gone = language_rule(text, PageRules(min_language_score=above))
    assert gone == Drop("page.language_score", score, above)


def test_a_share_of_removed_words_at_the_limit_stays() -> None:
    """Two words of eight go, for a line of capitals."""
    made = Document(
        id="d",
        source="web",
        url="u",
        segments=(TextSegment(text="the ships come home with nets\nALL HERE"),),
        origin=Origin(warc_file="w", offset=0),
    )
    for limit, goes in ((0.25, False), (0.24, True)):
        rules = TextRules(refinedweb_lines=RefinedWebLines(max_removed_words=limit))
        found = apply_text_rules(made, rules, lambda drop: None)
        assert isinstance(found, Drop) == goes


@pytest.mark.parametrize(
    ("limit", "score", "step"),
    [
        ("min_words", "words", 1), ("max_words", "words", -1),
        ("max_word_repetition", "word_repetition", -STEP),
        ("max_character_repetition", "character_repetition", -STEP),
        ("max_special_characters", "special_characters", -STEP),
        ("min_stop_words", "stop_words", STEP),
        ("min_punctuation", "punctuation", STEP),
    ],
)  # fmt: skip
def test_obelics(limit: str, score: str, step: float) -> None:
    text = "Here we sail again with it, and so it is. Here we sail again with it, and on."
    none = dict.fromkeys(name for name in ObelicsLimits.model_fields if name[:3] in ("min", "max"))
    free = {**none, "punctuation_from_words": 18}
    kept = obelics_document_rule(text, ObelicsRules(document=ObelicsLimits(**free)))
    assert isinstance(kept, Keep)
    value = dict(kept.scores)[f"obelics.document.{score}"]
    assert value > 0
    at = ObelicsLimits(**{**free, limit: value})
    assert isinstance(obelics_document_rule(text, ObelicsRules(document=at)), Keep)
    beyond = ObelicsLimits(**{**free, limit: value + step})
    gone = obelics_document_rule(text, ObelicsRules(document=beyond))
    assert gone == Drop(f"obelics.document.{limit}", value, value + step)


LINES = "It is a line that ends.\n" + "short\nshort\nAnd here is one that is long, as it goes on."


@pytest.mark.parametrize(
    ("limit", "score", "step"),
    [
        ("min_ended_lines", "ended_lines", STEP),
        ("max_short_lines", "short_lines", -STEP),
        ("max_duplicate_characters", "duplicate_characters", -STEP),
        ("max_line_breaks", "line_breaks", -STEP),
    ],
)
def test_fineweb(limit: str, score: str, step: float) -> None:
    none = {
        "min_ended_lines": 0, "max_short_lines": 1, "max_duplicate_characters": 1,
        "max_line_breaks": 9,
    }  # fmt: skip
    free = fineweb_rule(Reading(LINES), FineWebRules(**none))
    assert isinstance(free, Keep)
    value = dict(free.scores)[f"fineweb.{score}"]
    assert 0 < value < 1
    assert isinstance(fineweb_rule(Reading(LINES), FineWebRules(**{**none, limit: value})), Keep)
    gone = fineweb_rule(Reading(LINES), FineWebRules(**{**none, limit: value + step}))
    assert gone == Drop(f"fineweb.{limit}", value, value + step)


def test_a_line_is_short_up_to_the_limit() -> None:
    text = "five5\nsixsix"
    for characters, share in ((4, 0.0), (5, 0.5), (6, 1.0)):
        rules = FineWebRules(
            min_ended_lines=0, max_short_lines=1, max_duplicate_characters=1, max_line_breaks=9,
            short_line_characters=characters,
        )  # fmt: skip
        kept = fineweb_rule(Reading(text), rules)
        assert isinstance(kept, Keep)
        assert dict(kept.scores)["fineweb.short_lines"] == share


@pytest.mark.parametrize(
    ("line", "rules", "rule"),
    [
        ("AB cd", {"max_uppercase": 0.5}, None),
        ("AB cd", {"max_uppercase": 0.49}, "refinedweb.uppercase"),
        ("12 cd", {"max_numeric": 0.5}, None),
        ("12 cd", {"max_numeric": 0.49}, "refinedweb.numeric"),
        ("there are items in cart", {"boilerplate_words": 4}, None),
        ("there are items in cart", {"boilerplate_words": 5}, "refinedweb.boilerplate"),
    ],
)
def test_refinedweb_lines(line: str, rules: dict[str, Any], rule: str | None) -> None:
    found = refinedweb_line(line, RefinedWebLines(**{"max_uppercase": 1, **rules}))
    assert (found and found.rule) == rule


def test_c4() -> None:
    line = "The longest word here is fishermen."
    assert c4_line(line, C4Rules(max_word_characters=10)) == line
    gone = c4_line(line, C4Rules(max_word_characters=9))
    assert gone == Drop("c4.long_word", 10, 9)
    lines = ["One is here.", "Two is there."]
    assert c4_page_rule(lines, C4Rules(sentences=2)) is None
    assert c4_page_rule(lines, C4Rules(sentences=3)) == Drop("c4.min_sentences", 2, 3)
