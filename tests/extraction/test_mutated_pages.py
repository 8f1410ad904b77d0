"""Broken pages never raise, never hang, and are the same document every time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.html.mutate import check, mutated
from curate.extraction import extract
from tests.extraction.test_golden import AFTER, BEFORE, GOLDEN, PAGE, URL

PARTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(GOLDEN.glob("*.html")))
WHOLE = PAGE.format(before=BEFORE, part=PARTS, after=AFTER).encode()


@pytest.mark.parametrize("hundred", range(10))
def test_mutated_pages(hundred: int) -> None:
    for number in range(100 * hundred, 100 * hundred + 100):
        check(mutated(WHOLE, number), URL)


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_any_bytes(html: bytes) -> None:
    check(html, URL)
    assert extract(html, URL) == extract(html, URL)


def test_a_mutation_is_the_same_every_time() -> None:
    assert mutated(WHOLE, 7) == mutated(WHOLE, 7) != mutated(WHOLE, 8)
