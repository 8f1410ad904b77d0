"""Sentences near the images of a document: what the released loader of KOSMOS-1 keeps.

`kosmos-2/torchscale/examples/fairseq/tasks/data/wild_loader.py` keeps the last 3 sentences before
the first image, all text between images, and the first 3 behind the last one. It parts sentences
with spaCy's rule-based sentencizer: where a mark ends one that is no abbreviation's. Here the end
of a line ends a sentence too, for headings have no mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from curate.filters.text.reading import is_abbreviated
from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.text.text_lines import with_lines

_SPACED = ".!?\u2026\u0589\u061f\u06d4\u0700\u0701\u0702\u07f9\u1362\u1367\u1368\u166e\u1803\u1809"
"""Marks behind which a space follows: in `3.14` or `example.org` there is none."""
_UNSPACED = (
    "\u0964\u0965\u104a\u104b\u17d4\u17d5\u203c\u203d\u2047-\u2049\u3002\uff01\uff0e\uff1f\uff61"
)
"""Marks that end a sentence whatever follows: of scripts that have no spaces, or use none there."""
_CLOSING = "\"'\\)\\]}\u00bb\u2019\u201d\u203a\u300d\u300f\u3011\uff09"
_END = re.compile(rf"[{_SPACED}{_UNSPACED}]++[{_CLOSING}]*+")
_ALWAYS = re.compile(f"[{_UNSPACED}]")


def sentence_starts(line: str) -> list[int]:
    """Where each sentence of a line begins; [] for a line without text."""
    starts: list[int] = []
    start = _skip_spaces(line, 0)
    for found in _END.finditer(line):
        end = found.end()
        if found.start() < start or is_abbreviated(line, found.start()):
            continue
        if end < len(line) and not line[end].isspace() and not _ALWAYS.search(found.group()):
            continue
        starts.append(start)
        start = _skip_spaces(line, end)
    if start < len(line):
        starts.append(start)
    return starts


def _skip_spaces(line: str, start: int) -> int:
    while start < len(line) and line[start].isspace():
        start += 1
    return start


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """A document without the text far from its images, and how many sentences that was."""

    document: Document
    before: int
    """Sentences gone before the first image."""
    behind: int
    """Sentences gone behind the last one."""


def trim_around_images(document: Document, sentences: int) -> Trimmed:
    """Keep the last `sentences` before the first image, and the first behind the last one."""
    images = [i for i, s in enumerate(document.segments) if isinstance(s, ImageSegment)]
    if not images:
        return Trimmed(document=document, before=0, behind=0)
    first, last = images[0], images[-1]
    opening = _count(document.with_segments(list(document.segments[:first])))
    closing = _count(document.with_segments(list(document.segments[last + 1 :])))
    before, behind = max(opening - sentences, 0), max(closing - sentences, 0)
    if not before and not behind:
        return Trimmed(document=document, before=0, behind=0)
    parts = [
        *_lines_kept(document, slice(None, first), _LinesFrom(before)),
        *document.segments[first : last + 1],
        *_lines_kept(document, slice(last + 1, None), _LinesUpTo(sentences)),
    ]
    return Trimmed(document=document.with_segments(parts), before=before, behind=behind)


def _lines_kept(
    document: Document, where: slice, judge: Callable[[str], str | None]
) -> tuple[TextSegment | ImageSegment, ...]:
    return with_lines(document.with_segments(list(document.segments[where])), judge).segments


def _count(document: Document) -> int:
    return sum(len(sentence_starts(line)) for line in document.text.split("\n"))


@dataclass(slots=True)
class _LinesFrom:
    """Judges lines in their order: without the first `gone` sentences."""

    gone: int

    def __call__(self, line: str) -> str | None:
        starts = sentence_starts(line)
        if self.gone >= len(starts):
            self.gone -= len(starts)
            return None
        kept = line[starts[self.gone] :] if self.gone else line
        self.gone = 0
        return kept


@dataclass(slots=True)
class _LinesUpTo:
    """Judges lines in their order: the first `kept` sentences alone."""

    kept: int

    def __call__(self, line: str) -> str | None:
        starts = sentence_starts(line)
        room, self.kept = self.kept, max(self.kept - len(starts), 0)
        if not room:
            return None
        return line[: starts[room]].rstrip() if room < len(starts) else line
