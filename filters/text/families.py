"""All quality rules on a document's text, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from curate.filters.text.c4 import PAGE_RULES, c4_line, c4_page_rule
from curate.filters.text.fineweb import fineweb_rule
from curate.filters.text.gopher import gopher_quality_rule, gopher_repetition_rule
from curate.filters.text.models import classifier_rule, perplexity_rule
from curate.filters.text.obelics import obelics_document_rule, obelics_paragraph
from curate.filters.text.private import mask
from curate.filters.text.reading import Reading
from curate.filters.text.refinedweb import refinedweb_line
from curate.schemas.document import Document, TextSegment
from curate.schemas.settings.text_rules import (
    C4Rules,
    Masking,
    ObelicsRules,
    RefinedWebLines,
    TextRules,
)
from curate.schemas.text.text_lines import with_lines
from curate.schemas.verdict import Drop, Verdict

TellLine = Callable[[Drop], None]
"""Is told of every line that is cut from a document that stays."""


def apply_text_rules(document: Document, rules: TextRules, tell: TellLine) -> Document | Drop:
    """The document with its scores and without the lines that rules cut, or why it goes.

    Raises:
        ModelError: a model that the rules name can't be used.
    """
    scores = dict(document.scores)
    lines: list[Drop] = []
    whole = Reading(document.text)
    for verdict in _on_whole_text(whole, rules):
        if isinstance(verdict, Drop):
            return verdict
        scores.update(verdict.scores)
    if rules.c4 is not None:
        cut = _apply_c4(document, rules.c4, lines.append)
        if isinstance(cut, Drop):
            return cut
        document = cut
    if rules.refinedweb_lines is not None:
        cut = _apply_refinedweb(document, rules.refinedweb_lines, lines.append)
        if isinstance(cut, Drop):
            return cut
        document = cut
    if rules.obelics is not None:
        cut = _apply_obelics(document, rules.obelics, lines.append)
        if isinstance(cut, Drop):
            return cut
        document = cut
    text = document.text
    left = whole if text == whole.text else Reading(text)
    for verdict in _on_what_is_left(left, rules):
        if isinstance(verdict, Drop):
            return verdict
        scores.update(verdict.scores)
    if rules.masking is not None:
        document, count = _mask(document, rules.masking)
        scores["masked"] = float(count)
    for line in lines:
        tell(line)
    return replace(document, scores=scores)


def _on_whole_text(reading: Reading, rules: TextRules) -> Iterator[Verdict]:
    if rules.gopher_repetition is not None:
        yield gopher_repetition_rule(reading, rules.gopher_repetition)
    if rules.gopher_quality is not None:
        yield gopher_quality_rule(reading, rules.gopher_quality)


def _on_what_is_left(reading: Reading, rules: TextRules) -> Iterator[Verdict]:
    if rules.fineweb is not None:
        yield fineweb_rule(reading, rules.fineweb)
    if rules.obelics is not None:
        yield obelics_document_rule(reading.text, rules.obelics)
    if rules.classifier is not None:
        yield classifier_rule(reading.text, rules.classifier)
    if rules.perplexity is not None:
        yield perplexity_rule(reading.text, rules.perplexity)


def _apply_c4(document: Document, rules: C4Rules, tell: TellLine) -> Document | Drop:
    kept: list[str] = []
    taken: list[Drop] = []

    def judge(line: str) -> str | None:
        verdict = c4_line(line, rules)
        if isinstance(verdict, str):
            kept.append(verdict)
            return verdict
        if verdict.rule in PAGE_RULES:
            taken.append(verdict)
        else:
            tell(verdict)
        return None

    cut = with_lines(document, judge)
    if taken:
        return taken[0]
    return c4_page_rule(kept, rules) or cut


def _apply_refinedweb(
    document: Document, rules: RefinedWebLines, tell: TellLine
) -> Document | Drop:
    words = removed = 0

    def judge(line: str) -> str | None:
        nonlocal words, removed
        count = len(line.split())
        words += count
        verdict = refinedweb_line(line, rules)
        if verdict is None:
            return line
        removed += count
        tell(verdict)
        return None

    cut = with_lines(document, judge)
    share = removed / words if words else 0.0
    if rules.max_removed_words is not None and share > rules.max_removed_words:
        return Drop("refinedweb.max_removed_words", share, rules.max_removed_words)
    return cut if cut.text.strip() else Drop("refinedweb.nothing_left", 0, 1)


def _apply_obelics(document: Document, rules: ObelicsRules, tell: TellLine) -> Document | Drop:
    def judge(line: str) -> str | None:
        verdict = obelics_paragraph(line, rules)
        if verdict is None:
            return line
        tell(verdict)
        return None

    cut = with_lines(document, judge)
    return cut if cut.text.strip() else Drop("obelics.nothing_left", 0, 1)


def _mask(document: Document, rules: Masking) -> tuple[Document, int]:
    count = 0
    segments = []
    for segment in document.segments:
        if isinstance(segment, TextSegment):
            text, found = mask(segment.text, rules)
            count += found
            segment = replace(segment, text=text)
        segments.append(segment)
    return replace(document, segments=tuple(segments)), count
