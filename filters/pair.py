"""Rules on the caption of an image-caption pair."""

from __future__ import annotations

import re

from schemas.recipe import PairRules
from schemas.verdict import KEEP, Drop, Verdict

_TAG = re.compile(r"<[A-Z][A-Z_]*>")


def caption_rule(caption: str, rules: PairRules) -> Verdict:
    """Judge a caption by its length (LAION, COYO) and anonymised names (KOSMOS-1 B.1.2)."""
    if len(caption) < rules.min_caption_chars:
        return Drop("pair.min_caption_chars", len(caption), rules.min_caption_chars)
    if len(caption) > rules.max_caption_chars:
        return Drop("pair.max_caption_chars", len(caption), rules.max_caption_chars)
    if rules.drop_tagged_captions and (tag := _TAG.search(caption)):
        return Drop("pair.tagged_caption", tag.group())
    return KEEP
