from __future__ import annotations

import pytest

from curate.filters.page import coherence_rule, count_words, interspersed_rule, length_rule
from curate.filters.text.language import language_rule
from curate.schemas.document import Document, ImageSegment, Segment, TextSegment
from curate.schemas.page import Origin
from curate.schemas.settings.filter_rules import PageRules
from curate.schemas.verdict import Drop, Keep

RULES = PageRules()
PROSE = "The boats lie side by side at the long stone quay and nobody is awake yet. " * 4


def document(*parts: str | None) -> Document:
    """Text segments, with None for an image."""
    segments: list[Segment] = [
        ImageSegment(url="http://h/i.png") if p is None else TextSegment(text=p) for p in parts
    ]
    return Document(
        id="i", source="s", url="u", origin=Origin(warc_file="w", offset=0), segments=()
    ).with_segments(segments)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (PROSE, None),
        (PROSE + "😀🎉🔥" * 10, "page.max_emoji_ratio"),
        (PROSE + "#win #free #now " * 6, "page.max_hashtag_ratio"),
        (PROSE + "https://a.example/x www.b.example " * 6, "page.max_url_ratio"),
        ("1234 5678 90 !!! ??? " * 20, "page.min_alpha_word_ratio"),
        ("a b c d e f g h i j " * 10, "page.max_words_per_char"),
        ("qwertyuiopasdfghjkl " * 20, "page.max_mean_word_length"),
        ("", None),
    ],
)
def test_coherence(text: str, rule: str | None) -> None:
    verdict = coherence_rule(text, RULES)
    assert (verdict.rule if isinstance(verdict, Drop) else None) == rule


def test_scores_are_kept() -> None:
    verdict = coherence_rule(PROSE + "#one 😀", RULES)
    assert isinstance(verdict, Keep)
    scores = dict(verdict.scores)
    assert scores["hashtag_ratio"] == pytest.approx(1 / count_words(PROSE + "#one 😀"))
    assert set(scores) >= {"emoji_ratio", "url_ratio", "mean_word_length", "alpha_word_ratio"}


def test_a_rule_set_to_null_is_off() -> None:
    off = RULES.model_copy(update={"max_emoji_ratio": None})
    assert isinstance(coherence_rule(PROSE + "😀" * 20, off), Keep)


def test_length() -> None:
    assert length_rule("three short words", RULES) == Drop("page.min_words", 3, 20)
    assert count_words("日本語 and two") == 5


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (PROSE, None),
        ("Die Boote liegen am Kai und niemand ist wach, nur die Möwen.", "page.language"),
    ],
)
def test_language(text: str, rule: str | None) -> None:
    verdict = language_rule(text, RULES)
    assert (verdict.rule if isinstance(verdict, Drop) else None) == rule


def test_a_language_must_be_sure_enough() -> None:
    sure = language_rule(PROSE, RULES)
    assert isinstance(sure, Keep)
    score = dict(sure.scores)["language_score"]
    stricter = RULES.model_copy(update={"min_language_score": score + 1e-6})
    assert language_rule(PROSE, stricter) == Drop("page.language_score", score, score + 1e-6)


def test_a_page_that_only_begins_in_english_is_not_english() -> None:
    german = "Die Boote liegen am langen Kai und niemand ist wach, nur die Möwen. " * 60
    verdict = language_rule(PROSE * 3 + german, RULES)
    assert isinstance(verdict, Drop)


def test_language_off_keeps_everything() -> None:
    off = RULES.model_copy(update={"language": None})
    assert isinstance(language_rule("Die Boote liegen am Kai.", off), Keep)


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ((PROSE,), "page.no_image"),
        ((None,), "page.not_interspersed"),
        ((None, "two words"), "page.not_interspersed"),
        ((None, "now there are five words"), None),
        ((PROSE, None), None),
        ((PROSE, None, None, "x"), None),
    ],
)
def test_interspersed(parts: tuple[str | None, ...], rule: str | None) -> None:
    verdict = interspersed_rule(document(*parts), RULES)
    assert (verdict.rule if isinstance(verdict, Drop) else None) == rule
