"""Every argument of the loader: told by name when it can't be meant, before any row is read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate import open_shards
from curate.schemas.errors import UsageError
from curate.training.arguments import MOST_EPOCHS, MOST_ROWS, shown
from curate.training.loading.loader import ShardLoader
from curate.training.loading.mixture import Mixture
from curate.training.loading.opened import OpenShards
from curate.training.loading.order import GlobalOrder, SourceOrder, Stream
from curate.training.loading.reader import LoaderOptions, ShardReader
from curate.training.loading.shard_set import ShardSet
from tests.training.loading.test_loader import options
from tests.training.shard_sets import CAPTIONS, pair, write_shards

NO_NUMBERS = [None, "1", 1.0, float("nan"), float("inf"), True, [1], b"1", np.array([1, 2])]


def wrong(name: str, *values: Any) -> list[Any]:
    return [pytest.param(name, value, id=f"{name}={shown(value)}"[:40]) for value in values]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *wrong("rank", -1, 1, 3, 10**30, *NO_NUMBERS),
        *wrong("world", 0, -1, 10**30, *NO_NUMBERS),
        *wrong("batch_rows", 0, -1, 10**30, *NO_NUMBERS),
        *wrong("image_size", 0, -1, 10**30, *NO_NUMBERS[1:]),
        *wrong("seed", 2**63, 10**5000, *NO_NUMBERS[1:]),
        *wrong("path", "", None, 5, b"run"),
        *wrong("cache", "", 5, b"run"),
        *wrong("source", "", "x", 5, ["web"]),
    ],
)
def test_a_wrong_argument_of_open_shards_is_named(
    shard_set: ShardSet, name: str, value: Any
) -> None:
    arguments = {"path": shard_set.root, name: value}
    with pytest.raises(UsageError) as told:
        open_shards(**arguments)
    assert name in str(told.value)
    assert "got" in str(told.value) or name == "source"
    assert len(str(told.value)) < 300


def test_numbers_of_numpy_are_numbers(shard_set: ShardSet) -> None:
    plain = open_shards(shard_set.root, batch_rows=6, rank=1, world=2, image_size=32, seed=3)
    made = {"batch_rows": 6, "rank": 1, "world": 2, "image_size": 32, "seed": 3}
    other = open_shards(shard_set.root, **{name: np.int64(v) for name, v in made.items()})  # type: ignore[arg-type]
    np.testing.assert_array_equal(next(plain.batches()).images, next(other.batches()).images)


def test_the_last_rank_of_a_world_has_rows(shard_set: ShardSet) -> None:
    opened = open_shards(shard_set.root, rank=2, world=3)
    assert [place.number for place, _ in itertools.islice(opened.rows(), 3)] == [2, 5, 8]
    with pytest.raises(UsageError, match=r"rank .* from 0 to 2, for world is 3 \(got 3\)"):
        open_shards(shard_set.root, rank=3, world=3)


def test_no_rank_is_left_without_rows(shard_set: ShardSet) -> None:
    for rank in (0, 15):
        opened = open_shards(shard_set.root, batch_rows=4, rank=rank, world=16)
        assert next(opened.rows())[0].number == rank
        with pytest.raises(UsageError, match=r"batch_rows must be at least world=16.*\(got 4\)"):
            opened.batches()
        with pytest.raises(UsageError, match=r"batch_rows must be at least world=16.*\(got 4\)"):
            opened.dataset()


def test_what_is_no_run_is_told(shard_set: ShardSet, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("{}")
    for path in (str(file), file, tmp_path / "absent", "memory://absent"):
        with pytest.raises(UsageError, match="holds no finished shards"):
            open_shards(path)
    for address in ("nothing://x", "run\0"):
        with pytest.raises(UsageError, match="can't be opened"):
            open_shards(address)
    manifest = tmp_path / "run" / "shards" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    for content in (b"", b"\xff", b"[]", b"{}", b"[" * 100_000):
        manifest.write_bytes(content)
        with pytest.raises(UsageError, match="is no manifest"):
            open_shards(tmp_path / "run")


def test_a_cache_that_is_no_folder_is_told(shard_set: ShardSet, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for cache in (str(file), f"{file}/below", "a\0b"):
        with pytest.raises(UsageError, match="the cache must be a folder"):
            assert ShardSet("memory://run", cache).cache_folder is None


def test_a_source_without_rows_is_told(shard_set: ShardSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'web' has no rows"):
        SourceOrder("web", [0, 0], seed=0)
    shards = write_shards(
        tmp_path, {"captions": ("pairs", [pair(CAPTIONS[0])]), "none": ("text", [])}
    )
    with pytest.raises(UsageError, match="'none' has no rows"):
        open_shards(shards.root)
    assert next(open_shards(shards.root, source="captions").rows())[0].number == 0


WRONG_STATES = [
    {}, [], 0, "", "web", 5, float("nan"), {"x": 1}, {"captions": 1, "x": 1}, {5: 1},
    [("captions", 1)],
    *({"captions": value} for value in (-1, 8e30, 10**31, 10**5000, MOST_ROWS, 10**9, *NO_NUMBERS)),
]  # fmt: skip


@pytest.mark.parametrize("state", WRONG_STATES, ids=lambda state: shown(state)[:40])
def test_what_is_no_state_is_refused(shard_set: ShardSet, state: Any) -> None:
    with pytest.raises(UsageError, match="the loader's state"):
        open_shards(shard_set.root, source="captions", state=state)
    stream = Stream(name="captions", sources=("captions",), shares=(1.0,), step_rows=5)
    made = LoaderOptions(streams=(stream,), micro_rows={"captions": 5}, image_size=32)
    loader = ShardLoader(shard_set, made)
    with pytest.raises(UsageError, match="the loader's state"):
        loader.resume(state)
    assert loader.step == 0


def test_a_state_after_many_epochs_is_one(shard_set: ShardSet) -> None:
    """A hundred rows, gone through a million times: at once, and not one by one."""
    number = MOST_EPOCHS * len(CAPTIONS)
    opened = open_shards(shard_set.root, source="captions", state={"captions": number})
    assert next(opened.rows())[0].counter == number
    with pytest.raises(UsageError, match=r"from 0 to 100,000,000, for the source has 100 rows"):
        open_shards(shard_set.root, source="captions", state={"captions": number + 1})


def test_a_state_that_no_mixture_has_is_refused_at_once(shard_set: ShardSet) -> None:
    """Ten billion rows of made-up shares: going through them would take minutes."""
    streams = (
        Stream(name="all", sources=("a", "b", "c"), shares=(0.3, 0.3, 0.4001), step_rows=7),
        Stream(name="own", sources=("d",), shares=(1.0,), step_rows=1),
    )
    order = GlobalOrder(streams, {name: SourceOrder(name, [10**6], seed=0) for name in "abcd"})
    for state in (
        {"a": 10**9, "b": 0, "c": 0, "d": 10**9},
        {"a": 10**9, "b": 10**9, "c": 10**9, "d": 10**9},
        {"a": 10**9, "b": 10**9, "c": 10**9 + 10**9 // 3, "d": 0},
    ):
        with pytest.raises(UsageError, match="is none of this mixture"):
            order.number(state)
    with pytest.raises(UsageError, match="rows of the loader's state must be"):
        order.number(dict.fromkeys("abcd", MOST_ROWS))
    assert len(order._mixtures[0]._fillings) == 0


@given(
    st.lists(st.floats(0.0005, 1.0), min_size=1, max_size=6),
    st.integers(0, 300_000),
)
@settings(max_examples=30, deadline=None)
def test_a_true_count_is_always_near(shares: list[float], rows: int) -> None:
    mixture = Mixture(shares)
    assert mixture.is_near(mixture.counts(rows).tolist())


def test_without_open_places_far_rows_are_found_at_once() -> None:
    mixture = Mixture([0.25, 0.75])
    source, counter = mixture.locate(10**15 + 3)
    assert mixture.counts(10**15 + 3)[source] == counter
    assert mixture.counts(10**15).tolist() == [25 * 10**13, 75 * 10**13]


@pytest.mark.parametrize("number", [-1, MOST_ROWS + 1, 8e30, 10**31, *NO_NUMBERS])
def test_what_is_no_number_of_rows_is_refused(shard_set: ShardSet, number: Any) -> None:
    opened = open_shards(shard_set.root)
    with pytest.raises(UsageError, match="number must be a whole number from 0"):
        opened.state_after(number)
    with pytest.raises(UsageError, match="start must be a whole number from 0"):
        opened.reader.rows(number)


@pytest.mark.parametrize("workers", [-1, 10**9, *NO_NUMBERS])
def test_what_is_no_number_of_workers_is_refused(shard_set: ShardSet, workers: Any) -> None:
    with pytest.raises(UsageError, match="workers must be a whole number from 0"):
        open_shards(shard_set.root).batches(workers=workers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *wrong("start", -1, 10**30, *NO_NUMBERS),
        *wrong("workers", -1, 10**30, *NO_NUMBERS),
        *wrong("prefetch", 0, -1, 65, 10**30, *NO_NUMBERS),
    ],
)
def test_a_wrong_argument_of_the_loader_is_named(
    shard_set: ShardSet, name: str, value: Any
) -> None:
    with pytest.raises(UsageError, match=rf"{name} must be .*\(got "):
        ShardLoader(shard_set, options(shard_set), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *wrong("image_size", 0, -1, 10**6, *NO_NUMBERS),
        *wrong("seed", 2**64, *NO_NUMBERS),
        *wrong("held_out", -1, 10**30, *NO_NUMBERS),
        *wrong("rank", -1, 1, *NO_NUMBERS),
        *wrong("world", 0, -1, 10**30, *NO_NUMBERS),
        *wrong("window", 0, -1, 10**30, *NO_NUMBERS),
        *wrong(
            "micro_rows", {}, *({"text": v, "pairs": 1, "interleaved": 1} for v in (0, -1, 0.5))
        ),
    ],
)
def test_a_wrong_option_is_named(shard_set: ShardSet, name: str, value: Any) -> None:
    made = options(shard_set)
    with pytest.raises(UsageError, match=rf"{name}.* must be .*\(got "):
        replace(made, **{name: value})


@pytest.mark.parametrize("rows", [0, -1, 10**30, *NO_NUMBERS])
def test_a_stream_has_rows_in_every_step(rows: Any) -> None:
    with pytest.raises(UsageError, match="stream 'web': step_rows must be"):
        Stream(name="web", sources=("web",), shares=(1.0,), step_rows=rows)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
)
SOME_STATE = st.one_of(
    ANYTHING,
    st.dictionaries(
        st.sampled_from(["captions", "documents", "books", "web", "x"]),
        st.one_of(st.integers(0, 500), st.integers(), ANYTHING),
        max_size=5,
    ),
)


@settings(
    max_examples=150, deadline=5_000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "batch_rows": ANYTHING,
            "source": st.one_of(st.sampled_from(["captions", "web"]), ANYTHING),
            "image_size": ANYTHING,
            "seed": ANYTHING,
            "rank": ANYTHING,
            "world": ANYTHING,
            "state": SOME_STATE,
        },
    )
)
def test_any_arguments_open_or_are_refused_in_words(
    shard_set: ShardSet, arguments: dict[str, Any]
) -> None:
    """Never a hang, never another error, and what opens has a row."""
    opened = _opened(shard_set, arguments)
    if opened is not None:
        place, row = next(opened.rows())
        assert place.number >= arguments.get("rank", 0)
        assert row.input_ids.size > 1


def _opened(shards: ShardSet, arguments: dict[str, Any]) -> OpenShards | None:
    try:
        return open_shards(shards.root, **arguments)
    except UsageError:
        return None


@settings(max_examples=30, deadline=5_000)
@given(number=st.integers(0, 10**6))
def test_any_place_is_found_again(shard_set: ShardSet, number: int) -> None:
    reader = ShardReader(shard_set, options(shard_set))
    assert reader.order.number(reader.order.state(number)) == number
