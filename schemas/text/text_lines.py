"""A document's lines and paragraphs: what rules on parts of a text judge, and take away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

from curate.schemas.document import Document, Heading, TextSegment

Unit = Literal["line", "paragraph"]
"""A line, or the lines between two empty ones. Extraction makes a line of every paragraph."""


def with_lines(document: Document, judge: Callable[[str], str | None]) -> Document:
    """The document with each line as `judge` returns it, or without it; empty lines stay."""
    return document.with_segments(
        [_segment_lines(s, judge) if isinstance(s, TextSegment) else s for s in document.segments]
    )


def _segment_lines(segment: TextSegment, judge: Callable[[str], str | None]) -> TextSegment:
    levels = {h.line: h.level for h in segment.headings}
    lines: list[str] = []
    headings: list[Heading] = []
    continues = segment.continues
    for number, line in enumerate(segment.text.split("\n")):
        judged = judge(line) if line.strip() else line
        if judged is None:
            continues = continues and number > 0
            continue
        if number in levels:
            headings.append(Heading(line=len(lines), level=levels[number]))
        lines.append(judged)
    return replace(segment, text="\n".join(lines), headings=tuple(headings), continues=continues)


def units(document: Document, unit: Unit) -> list[str]:
    """The text of every line or paragraph, without the spaces around its lines."""
    found: list[list[str]] = []
    for number, line in _numbered_lines(document, unit):
        if number == len(found):
            found.append([])
        found[number].append(line.strip())
    return ["\n".join(lines) for lines in found]


def without_units(document: Document, unit: Unit, gone: set[int]) -> Document:
    """The document without those of `units`, by their positions."""
    numbers = (number for number, _ in _numbered_lines(document, unit))
    return with_lines(document, lambda line: None if next(numbers) in gone else line)


def _numbered_lines(document: Document, unit: Unit) -> Iterator[tuple[int, str]]:
    """Every line that is not empty, with the number of its unit."""
    number = -1
    for segment in document.segments:
        if not isinstance(segment, TextSegment):
            continue
        inside = False
        for line in segment.text.split("\n"):
            if not line.strip():
                inside = False
                continue
            if not inside or unit == "line":
                number += 1
            inside = True
            yield number, line
