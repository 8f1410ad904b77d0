"""The mixture is exact over every window, and over the long run."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.training.loading.mixture import CYCLE, Mixture

shares = st.lists(st.floats(0.0005, 1.0), min_size=1, max_size=14)


def sequence(mixture: Mixture, rows: int) -> np.ndarray:
    return np.array([mixture.locate(n)[0] for n in range(rows)])


@settings(max_examples=12, deadline=None)
@given(shares)
def test_every_window_of_10000_rows_is_exact_to_one_row(weights: list[float]) -> None:
    chosen = sequence(Mixture(weights), 4 * CYCLE)
    exact = np.array(weights) / sum(weights) * CYCLE
    for source in range(len(weights)):
        before = np.concatenate([[0], np.cumsum(chosen == source)])
        windows = before[CYCLE:] - before[:-CYCLE]
        assert np.abs(windows - exact[source]).max() < 1 + 1e-6


@settings(max_examples=10, deadline=None)
@given(shares)
def test_shares_are_exact_in_the_long_run(weights: list[float]) -> None:
    mixture, rows = Mixture(weights), 300 * CYCLE
    exact = np.array(weights) / sum(weights) * rows
    assert np.abs(mixture.counts(rows) - exact).max() < 3


def test_kosmos1_corpora_keep_their_weights() -> None:
    weights = [21.8, 17.7, 16.2, 14.7, 10.6, 10.2, 5.4, 1.1, 1.0, 1.0, 0.2]
    mixture = Mixture(weights)
    counts = mixture.counts(1_000 * CYCLE) / (1_000 * CYCLE)
    assert np.allclose(counts, np.array(weights) / 99.9, atol=2e-7)


@given(shares, st.integers(0, 5 * CYCLE))
@settings(max_examples=30, deadline=None)
def test_counts_say_how_many_rows_of_a_source_came_before(weights: list[float], rows: int) -> None:
    mixture = Mixture(weights)
    source, counter = mixture.locate(rows)
    before, after = mixture.counts(rows), mixture.counts(rows + 1)
    assert before[source] == counter
    assert after[source] == counter + 1
    assert before.sum() == rows
    assert after.sum() == rows + 1


def test_sources_are_spread_evenly() -> None:
    chosen = sequence(Mixture([0.5, 0.3, 0.2]), 1_000)
    for start in range(0, 1_000, 10):
        counts = np.bincount(chosen[start : start + 10], minlength=3)
        assert np.abs(counts - [5, 3, 2]).max() <= 1
