"""Rows of a source, and the global order of all."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.schemas.errors import UsageError
from curate.training.loading.order import GlobalOrder, SourceOrder, Stream

sizes = st.lists(st.integers(0, 40), min_size=1, max_size=9).filter(lambda rows: sum(rows) > 0)


@settings(deadline=None)
@given(sizes, st.integers(1, 4), st.integers(0, 6))
def test_every_epoch_holds_every_row_once(rows: list[int], window: int, held_out: int) -> None:
    order = SourceOrder("web", rows, seed=1, window=window, held_out=held_out)
    everything = {(shard, row) for shard, count in enumerate(rows) for row in range(count)}
    assert len(order.held_out) == len(set(order.held_out)) == min(held_out, sum(rows) // 10)
    for epoch in range(3):
        first = epoch * order.total
        seen = Counter(order.locate(first + n) for n in range(order.total))
        assert set(seen.values()) == {1}
        assert seen.keys() == everything - set(order.held_out)


def test_epochs_differ_and_seeds_differ() -> None:
    order = SourceOrder("web", [50, 50], seed=1)
    first = [order.locate(n) for n in range(100)]
    assert first != [order.locate(100 + n) for n in range(100)]
    assert first != [SourceOrder("web", [50, 50], seed=2).locate(n) for n in range(100)]
    assert first == [SourceOrder("web", [50, 50], seed=1).locate(n) for n in range(100)]


def epoch_of(order: SourceOrder, number: int) -> list[tuple[int, int]]:
    """Shard and row of all rows of an epoch."""
    return [order.locate(number * order.total + n) for n in range(order.total)]


def test_rows_of_a_shard_come_in_another_order_in_every_epoch() -> None:
    """One shard: what differs between epochs is its rows alone."""
    order = SourceOrder("web", [60], seed=1)
    epochs = [epoch_of(order, number) for number in range(4)]
    for one, other in itertools.combinations(epochs, 2):
        assert one != other
        assert sorted(one) == sorted(other) == [(0, row) for row in range(60)]
        # Not merely turned round: hardly a row keeps its place, or its neighbour.
        assert sum(a == b for a, b in zip(one, other, strict=True)) < 10
        assert len({*itertools.pairwise(one)} & {*itertools.pairwise(other)}) < 10
    again = SourceOrder("web", [60], seed=1)
    assert [epoch_of(again, number) for number in (3, 1)] == [epochs[3], epochs[1]]


def test_a_seed_changes_rows_and_shards_and_what_is_held_out() -> None:
    for rows, window in (([60], 8), ([1] * 60, 1)):
        one, other = (SourceOrder("web", rows, seed, window) for seed in (1, 2))
        assert epoch_of(one, 0) != epoch_of(other, 0)
        named = SourceOrder("books", rows, 1, window)
        assert epoch_of(named, 0) != epoch_of(one, 0)
    for rows in ([60], [1] * 60):
        held = [SourceOrder("web", rows, seed, held_out=6).held_out for seed in (1, 2)]
        assert held[0] != held[1]


def test_shards_come_in_another_order_in_every_epoch() -> None:
    """One shard a window: they are gone through one after the other."""
    order = SourceOrder("web", [3] * 12, seed=1, window=1)
    visited = [
        [shard for shard, _ in itertools.groupby(epoch_of(order, number), lambda at: at[0])]
        for number in range(4)
    ]
    for one, other in itertools.combinations(visited, 2):
        assert one != other
        assert sorted(one) == sorted(other) == list(range(12))
    again = SourceOrder("web", [3] * 12, seed=1, window=1)
    assert epoch_of(again, 3) == epoch_of(order, 3)


def test_rows_are_shuffled_across_the_shards_of_a_window_and_no_further() -> None:
    order = SourceOrder("web", [20] * 6, seed=1, window=3)
    for number in range(2):
        shards = [shard for shard, _ in epoch_of(order, number)]
        first, second = shards[:60], shards[60:]
        assert len(set(first)) == len(set(second)) == 3
        assert not set(first) & set(second)
        assert sum(a != b for a, b in itertools.pairwise(first)) > 20


def test_windows_of_an_epoch_are_shuffled_each_in_its_own_way() -> None:
    order = SourceOrder("web", [50, 50], seed=1, window=1)
    rows = [row for _, row in epoch_of(order, 0)]
    assert rows[:50] != rows[50:]


@given(sizes, st.integers(0, 200))
def test_the_next_rows_lie_in_the_shards_that_are_near(rows: list[int], counter: int) -> None:
    order = SourceOrder("web", rows, seed=0, window=2)
    near = order.shards_near(counter)
    assert order.locate(counter)[0] in near
    assert order.locate(counter + 1)[0] in near


def make_order() -> GlobalOrder:
    streams = (
        Stream(name="text", sources=("books", "web"), shares=(0.7, 0.3), step_rows=5),
        Stream(name="pairs", sources=("captions",), shares=(1.0,), step_rows=3),
    )
    sources = {name: SourceOrder(name, [20, 13], seed=0) for name in ("books", "web", "captions")}
    return GlobalOrder(streams, sources)


@given(st.integers(0, 5_000))
def test_a_state_is_one_integer_per_source_and_names_one_row(number: int) -> None:
    order = make_order()
    state = order.state(number)
    assert set(state) == {"books", "web", "captions"}
    assert order.number(state) == number
    place = order.place(number)
    assert place.counter == state[place.source]


def test_every_step_holds_the_same_rows_of_each_stream() -> None:
    order = make_order()
    for step in range(20):
        streams = [order.place(step * 8 + n).stream for n in range(8)]
        assert streams == ["text"] * 5 + ["pairs"] * 3


def test_a_state_of_another_mixture_is_refused() -> None:
    with pytest.raises(UsageError, match="none of this mixture"):
        make_order().number({"books": 40, "web": 0, "captions": 0})
