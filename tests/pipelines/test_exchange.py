"""Rows from tasks to receivers, over real files and over an object store that counts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.dedup.nodes import MAX_ROWS
from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import CHUNK_ROWS, Exchange, Task, run_step
from curate.pipelines.groups import deliver, delivered, make_groups
from curate.runs.run_directory import RunDirectory
from tests.counting_store import CountingStore

Sends = list[list[list[tuple[int, int]]]]
"""By task and send: receiver and value of each row."""

_ROW = st.tuples(st.integers(0, 6), st.integers(0, 99))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.lists(st.lists(_ROW, max_size=5), max_size=4), max_size=4), st.booleans())
def test_everybody_gets_what_was_sent_in_order(
    store: CountingStore, tmp_path_factory: pytest.TempPathFactory, sends: Sends, remote: bool
) -> None:
    store.empty()
    root = "counting://run" if remote else str(tmp_path_factory.mktemp("run"))
    exchange = Exchange(RunDirectory(root), "step", 7)
    expected = defaultdict(list)
    for number, task in enumerate(sends):
        with exchange.outbox(f"{number:05d}") as outbox:
            for rows in task:
                values = np.array([value for _, value in rows], np.int64)
                columns = {
                    "value": values,
                    "pair": np.stack([values, -values], axis=1),
                    "text": pa.array([f"t{value}" for value in values], pa.string()),
                }
                outbox.send(columns, np.array([to for to, _ in rows], np.int64))
                for to, value in rows:
                    expected[to].append((value, [value, -value], f"t{value}"))
    sent = exchange.seal()
    assert sent.rows == sum(len(rows) for rows in expected.values())
    for receiver in range(7):
        assert list(exchange.receive_rows(receiver)) == expected[receiver]
        found = exchange.receive_all(receiver)
        assert (found is None) == (not expected[receiver])
        if found is not None:
            assert found["pair"].tolist() == [row[1] for row in expected[receiver]]


def test_large_chunks_are_cut_and_small_ones_joined(tmp_path: Path) -> None:
    exchange = Exchange(RunDirectory(str(tmp_path)), "step", 2)
    for task in range(3):
        with exchange.outbox(f"{task}") as outbox:
            for start in range(0, 100_000, 1_000):
                values = np.arange(start, start + 1_000)
                outbox.send({"value": values}, np.zeros(1_000, np.int64))
    exchange.seal()
    chunks = [chunk["value"] for chunk in exchange.receive_numbers(0)]
    assert np.array_equal(np.concatenate(chunks), np.tile(np.arange(100_000), 3))
    assert max(map(len, chunks)) <= CHUNK_ROWS
    assert len(chunks) < 10


def test_nothing_is_written_for_nobody(store: CountingStore) -> None:
    """A row costs the same whether there are two receivers or a hundred thousand."""
    sizes = []
    for receivers in (2, 100_000):
        exchange = Exchange(RunDirectory("counting://run"), f"step-{receivers}", receivers)
        with exchange.outbox("0") as outbox:
            outbox.send({"value": np.array([7])}, np.array([1]))
        sizes.append(store.bytes_below(f"exchange/step-{receivers}"))
    assert sizes[1] == sizes[0]


def test_a_receiver_opens_what_holds_something_for_it(store: CountingStore) -> None:
    exchange = Exchange(RunDirectory("counting://run"), "step", 50)
    for task in range(200):
        with exchange.outbox(f"{task:03d}") as outbox:
            outbox.send({"value": np.array([task])}, np.array([task % 50]))
    exchange.seal()
    store.opened.clear()
    for receiver in range(50):
        assert [value for (value,) in exchange.receive_rows(receiver)] == [
            receiver, receiver + 50, receiver + 100, receiver + 150
        ]  # fmt: skip
    assert store.opened["exchange/step"] == 200 + 50


def test_what_fails_is_not_there(tmp_path: Path) -> None:
    exchange = Exchange(RunDirectory(str(tmp_path)), "step", 2)

    def fail() -> None:
        with exchange.outbox("0") as outbox:
            outbox.send({"value": np.arange(CHUNK_ROWS)}, np.zeros(CHUNK_ROWS, np.int64))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not exchange.run.files("exchange")
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_step_that_is_not_sealed_is_not_received(tmp_path: Path) -> None:
    exchange = Exchange(RunDirectory(str(tmp_path)), "step", 1)
    with exchange.outbox("0") as outbox:
        outbox.send({"value": np.array([1])}, np.array([0]))
    with pytest.raises(FileNotFoundError):
        list(exchange.receive(0))


def test_each_part_gets_its_rows_from_its_groups_file(store: CountingStore) -> None:
    """Delivering opens files by tasks and groups, and a part two of its group's."""
    run, parts = RunDirectory("counting://run"), 60
    groups = make_groups([10] * parts, room=100)
    exchange = Exchange(run, "step", len(groups))
    for task in range(4):
        with exchange.outbox(f"{task}") as outbox:
            numbers = np.arange(task, parts, 4)
            low = numbers.astype(np.uint64) * np.uint64(MAX_ROWS) + np.uint64(task)
            outbox.send({"low": low, "part": numbers}, groups.of_each(numbers))
    exchange.seal()
    with Engine() as engine:
        deliver(engine, exchange, groups.tasks())
    assert store.opened["exchange/step"] <= 4 + 1 + len(groups) * (1 + 4)
    for number in range(parts):
        (batch,) = delivered(run, "step", [groups.of(number)], number)
        assert batch["part"].to_pylist() == [number]
    assert store.opened["exchange/step-by-part"] <= 2 * parts + len(groups)


def make_some(exchange: Exchange, task: Task) -> None:
    with exchange.outbox(task.name) as outbox:
        outbox.send({"value": np.array([task.payload])}, np.array([0]))


def test_a_step_goes_on_where_it_ended(tmp_path: Path) -> None:
    exchange = Exchange(RunDirectory(str(tmp_path)), "step", 1)
    tasks = [Task(name=f"{n}", cost=1, payload=n) for n in range(3)]
    with Engine() as engine:
        make_some(exchange, Task(name="1", cost=1, payload=9))  # before the command was killed
        assert run_step(engine, exchange, tasks, exchange, make_some).rows == 3
        assert run_step(engine, exchange, tasks, exchange, make_some).rows == 3
    assert [value for (value,) in exchange.receive_rows(0)] == [0, 9, 2]
