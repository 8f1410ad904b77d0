"""Rules on scores of a CLIP model, and which text an image is compared with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curate.schemas.document import Document, ImageSegment, Segment, TextSegment
from curate.schemas.settings.filter_rules import ClipRules
from curate.schemas.verdict import KEEP, Drop, Verdict


def clip_rule(
    similarity: float | None,
    aesthetic: float | None,
    nsfw: float | None,
    least_similarity: float | None,
    rules: ClipRules,
) -> Verdict:
    """Judge one image of a document; an image without text is not judged by similarity."""
    if least_similarity is not None and similarity is not None and similarity < least_similarity:
        return Drop("clip.min_similarity", similarity, least_similarity)
    if (
        rules.min_aesthetic is not None
        and aesthetic is not None
        and aesthetic < rules.min_aesthetic
    ):
        return Drop("clip.min_aesthetic", aesthetic, rules.min_aesthetic)
    if rules.max_nsfw is not None and nsfw is not None and nsfw > rules.max_nsfw:
        return Drop("clip.max_nsfw", nsfw, rules.max_nsfw)
    return KEEP


def lines_of(document: Document) -> list[str]:
    """The lines of a document's text that say something, in order."""
    return [line for line, _ in _lines(document)]


def near_lines(document: Document, count: int) -> list[list[str]]:
    """Of every image of a document the lines nearby: its caption and so many before and after."""
    lines = _lines(document)
    texts = [line for line, _ in lines]
    places = [place for _, place in lines]
    found = []
    for place, segment in enumerate(document.segments):
        if isinstance(segment, ImageSegment):
            before = bisect_left(places, place)
            caption = " ".join(segment.caption.split())
            near = texts[max(before - count, 0) : before] + texts[before : before + count]
            found.append([*([caption] if caption else []), *near])
    return found


def _lines(document: Document) -> list[tuple[str, int]]:
    """Each line with the place of its segment."""
    return [
        (line, place)
        for place, segment in enumerate(document.segments)
        if isinstance(segment, TextSegment)
        for line in segment.text.split("\n")
        if line.strip()
    ]


def assign_lines(similarities: Sequence[Sequence[float]]) -> list[int]:
    """The line of every image by the best matching of images and lines (mmc4, section 3).

    Every line goes to one image at most; with more images than lines the others take the line that
    is most like them.

    Args:
        similarities: of every image to every line; there is at least one line.
    """
    # Of the extra `clip`: a run that scores no images does without it.
    from scipy.optimize import linear_sum_assignment

    cosines: npt.NDArray[np.float64] = np.array(similarities, np.float64)
    found = cosines.argmax(axis=1)
    images, lines = linear_sum_assignment(cosines, maximize=True)
    found[images] = lines
    assigned: list[int] = found.tolist()
    return assigned


def move_to_lines(document: Document, lines: Sequence[int | None]) -> Document:
    """The document with each image before its line; one without a line stays behind what it has.

    Args:
        document: with its images.
        lines: of every image, the number of its line among `lines_of`.
    """
    by_line: dict[int, list[ImageSegment]] = {}
    segments: list[Segment] = []
    for image, line in zip(document.images, lines, strict=True):
        if line is not None:
            by_line.setdefault(line, []).append(image)
    images = iter(zip(document.images, lines, strict=True))
    number = 0
    for segment in document.segments:
        if isinstance(segment, ImageSegment):
            image, line = next(images)
            if line is None:
                segments.append(image)
            continue
        for line_text in segment.text.split("\n"):
            if not line_text.strip():
                continue
            segments += by_line.get(number, [])
            segments.append(TextSegment(text=line_text))
            number += 1
    return document.with_segments(segments)
