"""C4's rules on lines and pages (Raffel et al. 2020, section 2.2), as published twice.

The paper wants lines of 3 words and pages of 5 sentences; the code that made C4
(tensorflow_datasets, c4_utils.py) lines of 5 words and pages of 3 sentences.
"""

from __future__ import annotations

import re

from curate.filters.text.reading import count_sentences
from curate.schemas.settings.text_rules import C4Rules
from curate.schemas.verdict import Drop

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_END_MARKS = {"code": (".", "?", "!", '"'), "paper": (".", "?", "!", '"', "'")}
_POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
PAGE_RULES = ("c4.page_lorem_ipsum", "c4.page_curly_bracket")
"""Rules of a line that take the whole page."""


def c4_line(line: str, rules: C4Rules) -> str | Drop:
    """The line without citations, or why it goes; some rules take the whole page."""
    line = line.strip()
    words = line.split()
    if any(len(word) > rules.max_word_characters for word in words):
        return Drop("c4.long_word", max(map(len, words)), rules.max_word_characters)
    line = _CITATION.sub("", line)
    ends_well = line.endswith(_END_MARKS[rules.variant]) and not line.endswith("...")
    if rules.require_end_mark and not ends_well:
        return Drop("c4.end_mark", line[-10:])
    if len(words) < rules.min_line_words:
        return Drop("c4.line_words", len(words), rules.min_line_words)
    lowered = line.lower()
    if "lorem ipsum" in lowered:
        return Drop("c4.page_lorem_ipsum", "lorem ipsum")
    if "javascript" in lowered:
        return Drop("c4.javascript", "javascript")
    if "{" in line:
        return Drop("c4.page_curly_bracket", "{")
    for policy in _POLICIES:
        if policy in lowered:
            return Drop("c4.policy", policy)
    return line


def c4_page_rule(lines: list[str], rules: C4Rules) -> Drop | None:
    """Drop a page that has too few sentences in the lines that are left."""
    sentences = 0
    for line in lines:
        sentences += count_sentences(line)
        if sentences >= rules.min_sentences:
            return None
    return Drop("c4.min_sentences", sentences, rules.min_sentences)
