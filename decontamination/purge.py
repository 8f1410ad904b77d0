"""What becomes of one document that holds benchmark items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from curate.decontamination.cut import cut_document, kept_pieces
from curate.decontamination.index import BenchmarkIndex
from curate.decontamination.match import NGRAM, Match
from curate.dedup.words import word_spans
from curate.schemas.document import Document
from curate.schemas.settings.purging import Decontamination
from curate.schemas.verdict import Drop

PIECES, NOTHING_LEFT = "decontamination.pieces", "decontamination.nothing_left"
_CONTEXT_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One match as it is told to people."""

    benchmark: str
    item: str
    rule: str
    similarity: float
    words: int
    """Words of the document that matched."""
    start: int
    """Characters into the document's text."""
    end: int
    before: str
    text: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """The outcome for a document: a drop, or the document that stays in its place."""

    outcome: Drop | Document
    found: tuple[Found, ...]
    """Whole items first, then the longest."""


def purge(
    document: Document,
    matches: Iterable[Match],
    frequent: set[int],
    index: BenchmarkIndex,
    rules: Decontamination,
) -> Purged | None:
    """Cut, drop or tag a document with matches; None when all of them are common speech.

    Args:
        document: the document.
        matches: of its text, sorted.
        frequent: hashes of the n-grams that the corpus holds too often to count.
        index: of the benchmarks.
        rules: what to do.
    """
    counted = [m for m in matches if m.rule != NGRAM or m.ngram not in frequent]
    if not counted:
        return None
    text = document.text
    spans = word_spans(text)
    found = tuple(sorted((_found(m, text, spans, index) for m in counted), key=_best_first))
    first = found[0]
    match = f"{first.benchmark}:{first.item}"
    if rules.action == "drop":
        return Purged(
            outcome=Drop(first.rule, f"characters {first.start} to {first.end}", match=match),
            found=found,
        )
    if rules.action == "tag":
        scores = {**document.scores, "decontamination.matches": float(len(found))}
        return Purged(outcome=replace(document, scores=scores), found=found)
    places = [(f.start, f.end) for f in found]
    pieces = kept_pieces(text, places, rules.cut_characters, rules.min_piece_characters)
    if len(pieces) > rules.max_pieces:
        return Purged(outcome=Drop(PIECES, len(pieces), rules.max_pieces, match), found=found)
    cut = cut_document(document, pieces)
    cut = cut.with_segments(list(cut.segments))
    if not cut.text.strip():
        return Purged(outcome=Drop(NOTHING_LEFT, len(text), match=match), found=found)
    return Purged(outcome=cut, found=found)


def _best_first(found: Found) -> tuple[bool, int, int, str, str]:
    return (found.rule == NGRAM, -found.words, found.start, found.benchmark, found.item)


def _found(match: Match, text: str, spans: list[tuple[int, int]], index: BenchmarkIndex) -> Found:
    start, end = spans[match.start][0], spans[min(match.end, len(spans)) - 1][1]
    return Found(
        benchmark=index.benchmarks[index.benchmark_of[match.item]],
        item=index.ids[match.item],
        rule=match.rule,
        similarity=match.similarity,
        words=match.end - match.start,
        start=start,
        end=end,
        before=text[max(0, start - _CONTEXT_CHARACTERS) : start],
        text=text[start:end],
        after=text[end : end + _CONTEXT_CHARACTERS],
    )
