"""Rules on a page's text and on how its images stand in it (KOSMOS-1 appendix B.1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.settings.filter_rules import PageRules
from curate.schemas.verdict import KEEP, Drop, Keep, Verdict

_WIDE = r"\u2e80-\u2fdf\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]+")
_LETTER = re.compile(r"[^\W\d_]")
_HASHTAG = re.compile(r"(?<!\S)[#\uff03][^\s#]*[^\W\d_][^\s#]*")
_URL = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001f5ff\U0001f600-\U0001f64f\U0001f680-\U0001f6ff"
    "\U0001f700-\U0001f77f\U0001f900-\U0001faff\u2600-\u27bf\u2b50\u2b55\u2764]"
)


def count_words(text: str) -> int:
    """Words between spaces; an ideograph or kana counts as one."""
    return sum(1 for _ in _WORD.finditer(text))


def length_rule(text: str, rules: PageRules) -> Verdict:
    """Drop a page with too few words for any other rule to judge."""
    words = count_words(text)
    if rules.min_words is not None and words < rules.min_words:
        return Drop("page.min_words", words, rules.min_words)
    return Keep((("words", float(words)),))


def coherence_rule(text: str, rules: PageRules) -> Verdict:
    """Drop text that is not meaningful or coherent: rule 4 of KOSMOS-1 appendix B.1.3.

    The paper names heuristics on emoji, hashtags and URL links and gives no thresholds; ours are
    ratios per word. The last three rules catch gibberish: few words with letters, text broken
    into single letters, and endless words.
    """
    tokens = _WORD.findall(text)
    words = len(tokens)
    if words == 0:
        return KEEP
    mean_length = sum(map(len, tokens)) / words
    limits = {
        "emoji_ratio": (len(_EMOJI.findall(text)) / words, rules.max_emoji_ratio),
        "hashtag_ratio": (len(_HASHTAG.findall(text)) / words, rules.max_hashtag_ratio),
        "url_ratio": (len(_URL.findall(text)) / words, rules.max_url_ratio),
        "mean_word_length": (mean_length, rules.max_mean_word_length),
        "words_per_char": (_spaced_words_per_char(text), rules.max_words_per_char),
    }
    for name, (value, limit) in limits.items():
        if limit is not None and value > limit:
            return Drop(f"page.max_{name}", value, limit)
    alpha = sum(1 for t in tokens if _LETTER.search(t)) / words
    if rules.min_alpha_word_ratio is not None and alpha < rules.min_alpha_word_ratio:
        return Drop("page.min_alpha_word_ratio", alpha, rules.min_alpha_word_ratio)
    scores = [(name, value) for name, (value, _) in limits.items()]
    return Keep((("alpha_word_ratio", alpha), *scores))


def interspersed_rule(document: Document, rules: PageRules) -> Verdict:
    """Drop a page without images interspersed in its text: rule 2 of KOSMOS-1 appendix B.1.3.

    An image is interspersed when at least `rules.min_words_beside_image` words stand directly
    before it or after it (other images in between don't count as text).
    """
    if not document.images:
        return Drop("page.no_image", 0, 1)
    if rules.min_words_beside_image is None:
        return KEEP
    beside = max(_words_beside_images(document))
    if beside < rules.min_words_beside_image:
        return Drop("page.not_interspersed", beside, rules.min_words_beside_image)
    return KEEP


def _words_beside_images(document: Document) -> Iterator[int]:
    segments = document.segments
    for index, segment in enumerate(segments):
        if isinstance(segment, ImageSegment):
            yield count_words(segment.caption)
            for near in (*segments[max(index - 1, 0) : index], *segments[index + 1 : index + 2]):
                if isinstance(near, TextSegment):
                    yield count_words(near.text)


def _spaced_words_per_char(text: str) -> float:
    """Words between spaces per character that is no space; ideographs are left out."""
    spaced = re.sub(f"[{_WIDE}]", " ", text).split()
    chars = sum(map(len, spaced))
    return len(spaced) / chars if chars else 0.0
