"""OBELICS's rules on paragraphs and whole documents (Laurençon et al. 2023, appendix A.2).

The values are those of its configs/config_filter_web_documents.yaml; what the rules measure goes
back to the ROOTS corpus. A paragraph is a line of the document.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterator

from curate.filters.words import ADULT_WORDS, STOP_WORDS, shipped_words, words_of_file
from curate.schemas.settings.text_rules import ObelicsLimits, ObelicsRules
from curate.schemas.verdict import Drop, Keep, Verdict

_NO_LETTER = re.compile(r"[\W\d_]")
_WITHIN = re.compile(r"[^\W_](?:.*[^\W_])?", re.DOTALL)
"""A word without the marks at its edges."""
_PUNCTUATION = re.compile(rf"[{re.escape(string.punctuation)}’“”—–…‘«»。，、！？；：]")
_CHARACTERS = 10
_WORDS = 5
_KEY = "filters.text.obelics"


def obelics_paragraph(line: str, rules: ObelicsRules) -> Drop | None:
    """Why a paragraph goes.

    Raises:
        ListError: a list that the rules name can't be read.
    """
    verdict = _judge(line, rules, rules.paragraph, "obelics.paragraph")
    return verdict if isinstance(verdict, Drop) else None


def obelics_document_rule(text: str, rules: ObelicsRules) -> Verdict:
    """Drop a document that breaks a limit as a whole.

    Raises:
        ListError: a list that the rules name can't be read.
    """
    return _judge(text, rules, rules.document, "obelics.document")


def _judge(text: str, rules: ObelicsRules, limits: ObelicsLimits, name: str) -> Verdict:
    scores: list[tuple[str, float]] = []
    for measure, value, least, most in _measures(text, rules, limits):
        if least is not None and value < least:
            return Drop(f"{name}.min_{measure}", value, least)
        if most is not None and value > most:
            return Drop(f"{name}.max_{measure}", value, most)
        scores.append((f"{name}.{measure}", value))
    return Keep(tuple(scores))


Bounded = tuple[str, float, float | None, float | None]
"""Name, value, least and most."""


def _measures(text: str, rules: ObelicsRules, limits: ObelicsLimits) -> Iterator[Bounded]:
    words = [found[0] for word in text.lower().split() if (found := _WITHIN.search(word))]
    yield "words", float(len(words)), limits.min_words, limits.max_words
    yield "character_repetition", _character_repetition(text), None, limits.max_character_repetition
    yield "word_repetition", _word_repetition(words), None, limits.max_word_repetition
    special = len(_NO_LETTER.findall(text)) / (len(text) or 1)
    yield "special_characters", special, None, limits.max_special_characters
    count = len(words) or 1
    for measure, listed, least, most in (
        ("stop_words", _stop_words(rules), limits.min_stop_words, None),
        ("flagged_words", _flagged_words(rules), None, limits.max_flagged_words),
        ("spam_words", _own(rules.spam_words, "spam_words"), None, limits.max_spam_words),
        ("common_words", _own(rules.common_words, "common_words"), limits.min_common_words, None),
    ):
        if listed is not None:
            yield measure, sum(word in listed for word in words) / count, least, most
    if len(words) >= limits.punctuation_from_words:
        marks = len(_PUNCTUATION.findall(text)) / count
        yield "punctuation", marks, limits.min_punctuation, None


def _character_repetition(text: str) -> float:
    """Share of the most frequent 10-grams of characters, as many as the root of their number."""
    grams = Counter(text[i : i + _CHARACTERS] for i in range(len(text) - _CHARACTERS + 1))
    if not grams:
        return 0.0
    counts = sorted(grams.values(), reverse=True)
    repeated = sum(count > 1 for count in counts)
    return sum(counts[: min(math.isqrt(len(counts)), repeated)]) / sum(counts)


def _word_repetition(words: list[str]) -> float:
    """Share of the 5-grams of words that occur more than once."""
    grams = Counter(tuple(words[i : i + _WORDS]) for i in range(len(words) - _WORDS + 1))
    total = grams.total()
    return sum(count for count in grams.values() if count > 1) / total if total else 0.0


def _stop_words(rules: ObelicsRules) -> frozenset[str]:
    return _own(rules.stop_words, "stop_words") or shipped_words(STOP_WORDS)


def _flagged_words(rules: ObelicsRules) -> frozenset[str]:
    return _own(rules.flagged_words, "flagged_words") or shipped_words(ADULT_WORDS)


def _own(path: str | None, name: str) -> frozenset[str] | None:
    return None if path is None else words_of_file(path, f"{_KEY}.{name}")
