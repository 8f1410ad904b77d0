"""The scores that extractors are compared by."""

from __future__ import annotations

import pytest

from benchmarks.html.scores import Overlap, contains, f1, score_images, shingle_overlap


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("a b c d e", "a b c d e", Overlap(1, 0, 0)),
        ("a b c d", "a b c d e", Overlap(0.5, 0, 0.5)),
        ("a b c d e", "a b c d", Overlap(0.5, 0.5, 0)),
        ("a b", "a b", Overlap(1, 0, 0)),
        ("", "a b c d", Overlap(0, 0.5, 0.5)),
    ],
)
def test_shingles(text: str, gold: str, expected: Overlap) -> None:
    assert shingle_overlap(text, gold) == expected


def test_f1_is_of_mean_precision_and_mean_recall() -> None:
    pages = [Overlap(1, 0, 0), Overlap(0, 0, 1), Overlap(0.25, 0.75, 0)]
    precision, recall = (1 + 0.25) / 2, (1 + 0 + 1) / 3
    assert f1(pages) == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1([Overlap(0, 0, 1)]) == 0


def test_snippets_are_found_whatever_the_white_space() -> None:
    assert contains("one\n two", "one two")
    assert not contains("one two", "two one")


def test_images_count_with_repeats_and_in_order() -> None:
    score = score_images(["a", "b", "b", "x"], ["b", "a", "b"])
    assert (score.right, score.found, score.gold, score.in_order) == (3, 4, 3, False)
    assert score_images(["a", "x", "b"], ["a", "b"]).in_order
