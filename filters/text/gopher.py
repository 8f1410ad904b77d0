"""Gopher's quality and repetition rules (Rae et al. 2021, appendix A.1.1, table A1).

Where the paper leaves a choice, datatrove's is taken, which FineWeb was made with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from curate.filters.text.reading import Reading, repeated
from curate.schemas.identity import mix
from curate.schemas.settings.text_rules import GopherQuality, GopherRepetition
from curate.schemas.verdict import Drop, Keep, Verdict

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_BULLETS = ("•", "-")
_ELLIPSES = ("...", "…")
_PARAGRAPHS = re.compile(r"\n{2,}")
_LINES = re.compile(r"\n+")


def gopher_quality_rule(reading: Reading, rules: GopherQuality) -> Verdict:
    """Drop texts that are too short or long, or made of symbols, bullets or no English at all."""
    scores: list[tuple[str, float]] = []
    for name, value, least, most in _quality(reading, rules):
        if least is not None and value < least:
            return Drop(f"gopher.min_{name}", value, least)
        if most is not None and value > most:
            return Drop(f"gopher.max_{name}", value, most)
        scores.append((f"gopher.{name}", value))
    return Keep(tuple(scores))


Bounded = tuple[str, float, float | None, float | None]
"""Name, value, least and most."""


def _quality(reading: Reading, rules: GopherQuality) -> Iterator[Bounded]:
    words, tokens, lines = reading.words, reading.tokens, reading.lines
    yield "words", float(len(words)), rules.min_words, rules.max_words
    mean_length = sum(map(len, words)) / len(words) if words else 0.0
    yield "mean_word_length", mean_length, rules.min_mean_word_length, rules.max_mean_word_length
    count = len(tokens) or 1
    yield "hash_ratio", reading.text.count("#") / count, None, rules.max_symbol_ratio
    ellipses = sum(map(reading.text.count, _ELLIPSES))
    yield "ellipsis_ratio", ellipses / count, None, rules.max_symbol_ratio
    total = len(lines) or 1
    bullets = sum(line.lstrip().startswith(_BULLETS) for line in lines)
    yield "bullet_lines", bullets / total, None, rules.max_bullet_lines
    trailing = sum(line.rstrip().endswith(_ELLIPSES) for line in lines)
    yield "ellipsis_lines", trailing / total, None, rules.max_ellipsis_lines
    alphabetic = sum(any(map(str.isalpha, token)) for token in tokens)
    yield "alpha_words", alphabetic / count, rules.min_alpha_words, None
    found = [word for word in words if word in STOP_WORDS]
    stop_words = len(set(found)) if rules.different_stop_words else len(found)
    yield "stop_words", float(stop_words), rules.min_stop_words, None


def gopher_repetition_rule(reading: Reading, rules: GopherRepetition) -> Verdict:
    """Drop texts of which too much repeats.

    n-grams are numbers, and only those that occur twice are made longer: in about linear time.
    """
    scores: list[tuple[str, float]] = []
    for name, value, limit in _repetition(reading, rules):
        if limit is not None and value > limit:
            return Drop(f"gopher.{name}", value, limit)
        scores.append((f"gopher.{name}", value))
    return Keep(tuple(scores))


def _repetition(
    reading: Reading, rules: GopherRepetition
) -> Iterator[tuple[str, float, float | None]]:
    text = reading.text
    size = len(text) or 1
    for unit, pieces, share, of_characters in (
        (
            "paragraphs",
            _PARAGRAPHS.split(text.strip()),
            rules.duplicate_paragraphs,
            rules.duplicate_paragraph_characters,
        ),
        ("lines", _LINES.split(text), rules.duplicate_lines, rules.duplicate_line_characters),
    ):
        count, characters = repeated(pieces)
        yield f"duplicate_{unit}", count / len(pieces), share
        yield f"duplicate_{unit[:-1]}_characters", characters / size, of_characters
    ends = reading.token_ends
    numbers = reading.token_numbers
    grams, places = numbers, np.arange(numbers.size)
    for length in range(2, max((*rules.top_ngrams, *rules.duplicate_ngrams), default=1) + 1):
        if numbers.size < length:
            return
        # What occurs twice begins with what occurs twice: only that is made longer, by the hash
        # of the shorter n-gram and the word behind it.
        fits = places <= numbers.size - length
        places = places[fits]
        grams = mix(grams[fits] * np.uint64(0x9E3779B97F4A7C15) + numbers[places + length - 1])
        _, groups, counts = np.unique(grams, return_inverse=True, return_counts=True)
        occurs = counts[groups]
        if length in rules.top_ngrams:
            most = int(counts.max()) if counts.size and counts.max() > 1 else 1
            place = int(places[occurs == most][0]) if most > 1 else 0
            characters = int(ends[place + length] - ends[place]) + length - 1
            yield f"top_{length}_gram", characters * most / size, rules.top_ngrams[length]
        shared = occurs > 1
        places, grams = places[shared], grams[shared]
        if length in rules.duplicate_ngrams:
            characters = _repeated_characters(places, groups[shared], ends, length)
            yield f"duplicate_{length}_grams", characters / size, rules.duplicate_ngrams[length]


def _repeated_characters(
    places: np.ndarray, groups: np.ndarray, ends: np.ndarray, length: int
) -> int:
    """Characters of n-grams that occurred before, none counted twice.

    Args:
        places: positions of the n-grams that occur more than once, ascending.
        groups: which n-gram each is.
        ends: characters up to the end of each token.
        length: words of an n-gram.
    """
    seen: set[int] = set()
    characters, free = 0, 0
    for place, group in zip(places.tolist(), groups.tolist(), strict=True):
        if place < free:
            continue
        if group in seen:
            characters += int(ends[place + length] - ends[place])
            free = place + length
        else:
            seen.add(group)
    return characters
