"""Rules on an image-caption pair, before its image is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping

from curate.filters.text.language import identify_language
from curate.filters.text.models import has_noun
from curate.filters.words import phrases_of_files
from curate.schemas.document import ImageSegment
from curate.schemas.settings.filter_rules import PairRules
from curate.schemas.verdict import KEEP, Drop, Verdict

_TAG = re.compile(r"<[A-Z][A-Z_]*>")


def caption_rule(caption: str, rules: PairRules) -> Verdict:
    """Judge a caption by length (LAION, COYO), anonymised names (KOSMOS-1 B.1.2), words (COYO).

    Raises:
        UsageError: a list or a model that the rules name can't be read.
    """
    if len(caption) < rules.min_caption_chars:
        return Drop("pair.min_caption_chars", len(caption), rules.min_caption_chars)
    if len(caption) > rules.max_caption_chars:
        return Drop("pair.max_caption_chars", len(caption), rules.max_caption_chars)
    words = len(caption.split())
    if rules.min_caption_words is not None and words < rules.min_caption_words:
        return Drop("pair.min_caption_words", words, rules.min_caption_words)
    if rules.max_caption_words is not None and words > rules.max_caption_words:
        return Drop("pair.max_caption_words", words, rules.max_caption_words)
    if rules.drop_tagged_captions and (tag := _TAG.search(caption)):
        return Drop("pair.tagged_caption", tag.group())
    return _words_rule(caption, rules)


def _words_rule(caption: str, rules: PairRules) -> Verdict:
    """Judge a caption by its words: cheapest first."""
    if rules.banned_word_lists:
        banned = phrases_of_files(rules.banned_word_lists, "filters.pair.banned_word_lists")
        if found := banned.search(" ".join(caption.lower().split())):
            return Drop("pair.banned_word", found.group())
    if rules.language is not None:
        language, score = identify_language(caption, rules.language_model)
        if language != rules.language:
            return Drop("pair.language", f"{language} {score:.3f}", rules.language)
    if rules.noun_tagger is not None and not has_noun(caption, rules.noun_tagger):
        return Drop("pair.no_noun", caption[:100])
    return KEEP


def table_size_rule(image: ImageSegment, rules: PairRules, tells_sizes: bool) -> Verdict:
    """Judge the image's size as its table tells it, if it is one that does."""
    if image.width is None or image.height is None:
        if tells_sizes and rules.min_side is not None:
            return Drop("pair.unknown_size", "", rules.min_side)
        return KEEP
    short, long = sorted((image.width, image.height))
    if rules.min_side is not None and short < rules.min_side:
        return Drop("pair.min_side", short, rules.min_side)
    if rules.max_aspect is not None and long > rules.max_aspect * short:
        return Drop("pair.max_aspect", long / short, rules.max_aspect)
    return KEEP


def table_score_rule(scores: Mapping[str, float], rules: PairRules) -> Verdict:
    """Judge the scores that the table brought; one that it lacks is not judged."""
    for name, least, most in (
        ("similarity", rules.min_similarity, None),
        ("nsfw", None, rules.max_nsfw),
        ("watermark", None, rules.max_watermark),
        ("aesthetic", rules.min_aesthetic, None),
    ):
        score = scores.get(f"pair.{name}")
        if score is None:
            continue
        if least is not None and score < least:
            return Drop(f"pair.min_{name}", score, least)
        if most is not None and score > most:
            return Drop(f"pair.max_{name}", score, most)
    return KEEP
