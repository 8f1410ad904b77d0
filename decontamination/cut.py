"""Cutting matches out of a text and a document, as MT-NLG's data were cleaned.

The reference is Megatron-LM, tools/openwebtext/filter_ngrams.py (`split_text` and
`check_and_clean_text`): the match goes with 200 characters on each side, on to the next full stop,
exclamation or question mark; a piece of 200 characters or fewer goes too; a text cut into more
than 10 pieces goes whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from curate.schemas.document import Document, Heading, ImageSegment, Segment, TextSegment

_SENTENCE_ENDS = ".!?"

Span = tuple[int, int]


def kept_pieces(text: str, matches: Iterable[Span], around: int, min_piece: int) -> list[Span]:
    """The pieces that stay, in order.

    Args:
        text: the text.
        matches: start and end of each match in characters, sorted.
        around: characters to cut on each side at least.
        min_piece: pieces of so many characters or fewer go.
    """
    pieces: list[Span] = []
    begin = 0
    for start, end in _merged(matches):
        if end <= begin:
            continue
        last = start - around
        while last > begin and text[last] not in _SENTENCE_ENDS:
            last -= 1
        if last > begin:
            pieces.append((begin, last + 1))
        begin = end + around
        while begin < len(text) and text[begin] not in _SENTENCE_ENDS:
            begin += 1
        begin += 1
    if begin < len(text):
        pieces.append((begin, len(text)))
    return [(start, end) for start, end in pieces if end - start > min_piece]


def _merged(matches: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(matches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def cut_document(document: Document, pieces: list[Span]) -> Document:
    """The document with only those pieces of `document.text`; its images keep their places."""
    segments: list[Segment] = []
    offset = 0
    for segment in document.segments:
        if isinstance(segment, ImageSegment):
            segments.append(segment)
            continue
        own = [
            (max(start - offset, 0), min(end - offset, len(segment.text)))
            for start, end in pieces
            if start < offset + len(segment.text) and end > offset
        ]
        segments.append(cut_segment(segment, own))
        offset += len(segment.text) + 1
    return replace(document, segments=tuple(segments))


def cut_segment(segment: TextSegment, pieces: list[Span]) -> TextSegment:
    """The segment with only those pieces of its text, a line break between them."""
    if pieces == [(0, len(segment.text))]:
        return segment
    lines: list[str] = []
    headings: list[Heading] = []
    levels = {h.line: h.level for h in segment.headings}
    for start, end in pieces:
        position = 0
        first = len(lines)
        for number, line in enumerate(segment.text.split("\n")):
            part = line[max(start - position, 0) : max(end - position, 0)]
            if position < end and position + len(line) > start and part.strip():
                if part == line and number in levels:
                    headings.append(Heading(line=len(lines), level=levels[number]))
                lines.append(part if part == line else part.strip())
            elif len(lines) > first and start <= position < end and not line:
                lines.append(line)
            position += len(line) + 1
        while len(lines) > first and not lines[-1]:
            lines.pop()
    continues = segment.continues and bool(pieces) and pieces[0][0] == 0
    return replace(segment, text="\n".join(lines), headings=tuple(headings), continues=continues)
