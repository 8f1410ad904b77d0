from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.filters.clip import assign_lines, clip_rule, lines_of, move_to_lines, near_lines
from curate.schemas.document import Document, ImageSegment, Segment, TextSegment
from curate.schemas.page import Origin
from curate.schemas.settings.filter_rules import ClipRules, ScoreHead
from curate.schemas.verdict import KEEP, Drop, Verdict

HEAD = ScoreHead(weights="head.pt")
RULES = ClipRules(aesthetic=HEAD, nsfw=HEAD, min_aesthetic=3.7, max_nsfw=0.1)


def document(*segments: str) -> Document:
    """Of texts, and of images written as `<address>`."""
    made: list[Segment] = [
        ImageSegment(url=s[1:-1]) if s.startswith("<") else TextSegment(text=s) for s in segments
    ]
    return Document(
        id="d", source="web", url="u", segments=tuple(made), origin=Origin(warc_file="w", offset=0)
    )


@pytest.mark.parametrize(
    ("similarity", "aesthetic", "nsfw", "least", "expected"),
    [
        (0.3, 5.0, 0.05, 0.28, KEEP),
        (0.28, 5.0, 0.05, 0.28, KEEP),
        (0.27, 5.0, 0.05, 0.28, Drop("clip.min_similarity", 0.27, 0.28)),
        (0.1, 5.0, 0.05, None, KEEP),
        (None, 5.0, 0.05, 0.28, KEEP),
        (0.3, 3.6, 0.05, 0.28, Drop("clip.min_aesthetic", 3.6, 3.7)),
        (0.3, 5.0, 0.2, 0.28, Drop("clip.max_nsfw", 0.2, 0.1)),
        (0.3, None, None, 0.28, KEEP),
    ],
)
def test_rules(
    similarity: float | None,
    aesthetic: float | None,
    nsfw: float | None,
    least: float | None,
    expected: Verdict,
) -> None:
    assert clip_rule(similarity, aesthetic, nsfw, least, RULES) == expected


def test_the_lines_nearby() -> None:
    page = document("one\ntwo\n \nthree", "<a>", "<b>", "four\nfive", "<c>")
    assert lines_of(page) == ["one", "two", "three", "four", "five"]
    assert near_lines(page, 1) == [["three", "four"], ["three", "four"], ["five"]]
    assert near_lines(page, 9)[2] == ["one", "two", "three", "four", "five"]
    assert near_lines(document("<a>"), 3) == [[]]


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda lines: st.lists(
            st.lists(st.integers(-9, 9), min_size=lines, max_size=lines), min_size=1, max_size=4
        )
    )
)
def test_the_matching_is_the_best_one(cosines: list[list[int]]) -> None:
    found = assign_lines(cosines)
    images, lines = len(cosines), len(cosines[0])
    if images > lines:
        return
    assert len(set(found)) == images
    best = max(
        sum(cosines[i][line] for i, line in enumerate(chosen))
        for chosen in itertools.permutations(range(lines), images)
    )
    assert sum(cosines[i][line] for i, line in enumerate(found)) == best


def test_images_without_a_line_of_their_own_take_the_most_similar() -> None:
    cosines = np.array([[0.9, 0.1], [0.8, 0.7], [0.85, 0.2]])
    assert assign_lines(cosines.tolist()) == [0, 1, 0]


def test_images_move_to_their_lines() -> None:
    page = document("<a>", "one\ntwo", "<b>", "three", "<c>")
    moved = move_to_lines(page, [2, 0, None])
    shown = [s.text if isinstance(s, TextSegment) else f"<{s.url}>" for s in moved.segments]
    assert shown == ["<b>", "one\ntwo", "<a>", "three", "<c>"]


@pytest.mark.parametrize(
    "incomplete",
    [{"min_aesthetic": 3.7}, {"max_nsfw": 0.1}, {"move_to_assigned": True}],
)
def test_limits_need_what_they_limit(incomplete: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needs"):
        ClipRules.model_validate(incomplete)
