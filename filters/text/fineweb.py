"""FineWeb's own quality rules (Penedo et al. 2024, section 3.3)."""

from __future__ import annotations

from curate.filters.text.reading import Reading, repeated
from curate.schemas.settings.text_rules import FineWebRules
from curate.schemas.verdict import Drop, Keep, Verdict

_TERMINAL = (".", "!", "?", "…", "。", "！", "？", "؟", "۔", "।", "॥", "።", "՞", "։", "．", "｡")


def fineweb_rule(reading: Reading, rules: FineWebRules) -> Verdict:
    """Drop lists and navigation: few lines that end a sentence, many short or repeated ones."""
    text = reading.text
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return Drop("fineweb.empty", 0, 1)
    ended = sum(line.endswith(_TERMINAL) for line in lines) / len(lines)
    if ended < rules.min_ended_lines:
        return Drop("fineweb.min_ended_lines", ended, rules.min_ended_lines)
    short = sum(len(line) <= rules.short_line_characters for line in lines) / len(lines)
    if short > rules.max_short_lines:
        return Drop("fineweb.max_short_lines", short, rules.max_short_lines)
    duplicated = repeated(lines)[1] / len(text.replace("\n", ""))
    if duplicated > rules.max_duplicate_characters:
        return Drop("fineweb.max_duplicate_characters", duplicated, rules.max_duplicate_characters)
    breaks = text.count("\n") / (len(reading.tokens) or 1)
    if breaks > rules.max_line_breaks:
        return Drop("fineweb.max_line_breaks", breaks, rules.max_line_breaks)
    return Keep(
        (
            ("fineweb.ended_lines", ended),
            ("fineweb.short_lines", short),
            ("fineweb.duplicate_characters", duplicated),
            ("fineweb.line_breaks", breaks),
        )
    )
