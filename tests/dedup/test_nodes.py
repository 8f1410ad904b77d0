"""Documents as numbers: which of two is kept, and the least of many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedup.nodes import (
    comes_first,
    is_of_this_run,
    least,
    locator,
    part_of,
    place,
    preference,
    row_of,
)


def node(quality: float, characters: int, keyed: int, earlier: bool = False) -> tuple:
    high, low = preference(quality, characters, keyed)
    return place(np.array([high], np.uint64), np.array([low], np.uint64), 7, not earlier)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (node(0.9, 10, 5), node(0.8, 900, 1)),
        (node(0.5, 900, 5), node(0.5, 10, 1)),
        (node(0.5, 10, 1), node(0.5, 10, 2)),
        (node(0.5, 10, 1 << 24), node(0.5, 10, 1 << 25)),
        (node(0.0, 1, 9, earlier=True), node(1.0, 9_000, 1)),
        (node(0.0, 1 << 30, 1), node(0.0, 100, 1)),
    ],
    ids=["quality", "length", "hash", "rest of the hash", "earlier run", "very long"],
)
def test_the_preferred_comes_first(better: tuple, worse: tuple) -> None:
    assert comes_first(*better, *worse)[0]
    assert not comes_first(*worse, *better)[0]


def test_a_place_is_found_again() -> None:
    zeros = np.zeros(3, np.uint64)
    high, low = place(zeros, zeros, 123_456, True, first_row=1_000_000)
    assert part_of(low).tolist() == [123_456] * 3
    assert row_of(low).tolist() == [1_000_000, 1_000_001, 1_000_002]
    assert is_of_this_run(high).all()
    assert len(set(locator(low).tolist())) == 3


@given(
    st.lists(st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=30), max_size=6),
)
def test_least_is_the_least_however_rows_come(chunks: list[list[tuple[int, int, int]]]) -> None:
    def columns(rows: list[tuple[int, int, int]]) -> dict[str, np.ndarray]:
        table = np.array(rows, np.uint64).reshape(-1, 3)
        return dict(zip(("key", "high", "low"), table.T, strict=True))

    found = least("key", ("high", "low"), (columns(c) for c in chunks))
    rows = [row for chunk in chunks for row in chunk]
    expected = {
        key: (min(r[1:] for r in rows if r[0] == key), sum(r[0] == key for r in rows))
        for key in sorted({r[0] for r in rows})
    }
    got = zip(*(found.rows[n].tolist() for n in ("key", "high", "low")), found.counts, strict=True)
    assert {k: ((h, low), n) for k, h, low, n in got} == expected
