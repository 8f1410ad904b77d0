"""RefinedWeb's rules on lines (Penedo et al. 2023, appendix G.2), with DCLM's values.

DCLM's are in its baselines/baselines_configs/dclm_baseline_refinedweb.yaml.
"""

from __future__ import annotations

import re

from curate.schemas.settings.text_rules import RefinedWebLines
from curate.schemas.verdict import Drop

_COUNTER = re.compile(
    r"^\W*+\d[\d,.]*+(?:\s*+[kKmM])?+\s++(?:likes?|shares?|comments?|retweets?|reposts?|quotes?|"
    r"bookmarks?|upvotes?|downvotes?|downloads?|views?|followers?)\W*$",
    re.IGNORECASE,
)
_BOILERPLATE = (
    re.compile(r"^(?:sign-in|sign in)", re.IGNORECASE),
    re.compile(r"(?:read more\.\.\.|read more…)$", re.IGNORECASE),
    re.compile(r"items in cart", re.IGNORECASE),
)


def refinedweb_line(line: str, rules: RefinedWebLines) -> Drop | None:
    """Why a line goes: capitals, numbers, counters of likes, buttons, or a single word."""
    letters = line.replace(" ", "")
    if not letters:
        return None
    capitals = sum(map(str.isupper, letters)) / len(letters)
    if capitals > rules.max_uppercase:
        return Drop("refinedweb.uppercase", capitals, rules.max_uppercase)
    digits = sum(map(str.isdigit, letters)) / len(letters)
    if digits > rules.max_numeric:
        return Drop("refinedweb.numeric", digits, rules.max_numeric)
    if _COUNTER.match(line):
        return Drop("refinedweb.counter", line[:60])
    words = len(line.split())
    if words < rules.min_words:
        return Drop("refinedweb.words", words, rules.min_words)
    if words <= rules.boilerplate_words and any(p.search(line) for p in _BOILERPLATE):
        return Drop("refinedweb.boilerplate", line[:60])
    return None
