from __future__ import annotations

import os
import signal
from pathlib import Path

import apache_beam as beam
import pytest

from curate.pipelines.engine.engine import Engine, EngineError
from curate.pipelines.engine.tasks import WorkError, working_on


def test_every_item_is_taken_once_costliest_first() -> None:
    with Engine(workers=2) as engine:
        for _ in range(2):
            one, two = map(iter, engine.share([1, 9, 8, 3], lambda cost: cost))
            assert [next(one), next(two), next(two), next(one)] == [9, 8, 3, 1]
            assert [*one, *two] == []
    (alone,) = Engine(workers=1).share([1, 2], lambda cost: cost)
    assert list(alone) == [2, 1]


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_are_checked(workers: int) -> None:
    with pytest.raises(ValueError, match=rf"at least 1 \(got {workers}\)"):
        Engine(workers=workers)
    with pytest.raises(ValueError, match="runner must be one of direct"):
        Engine(runner="nowhere")


def test_workers_are_processes_that_outlive_a_pipeline(tmp_path: Path) -> None:
    folder = str(tmp_path)

    def note(name: str) -> None:
        import time

        time.sleep(0.6)
        Path(folder, f"{name}-{os.getpid()}").touch()

    with Engine(workers=2) as engine:
        for round_name in ("a", "b"):
            lists = engine.share([f"{round_name}{i}" for i in range(4)], lambda _: 1.0)
            engine.run(
                lambda p, lists=lists: (
                    p | beam.Create(lists) | beam.FlatMap(lambda names: names) | beam.Map(note)
                )
            )
    seen = [p.name.split("-") for p in tmp_path.iterdir()]
    assert sorted(name for name, _ in seen) == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]
    first, second = ({pid for name, pid in seen if name[0] == r} for r in "ab")
    assert len(first) == 2
    assert first == second
    assert str(os.getpid()) not in first


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_death_of_a_worker_is_told() -> None:
    def die(_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        Engine(workers=2) as engine,
        pytest.raises(EngineError, match="ended with status -9 .* run the same command again"),
    ):
        engine.run(lambda p: p | beam.Create([1, 2]) | beam.Map(die))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_user_can_mend_is_told_in_words_alone(
    workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> None:
        with working_on("stage x, part y"):
            raise OSError(28, "No space left on device")

    with Engine(workers=workers) as engine, pytest.raises(WorkError) as raised:
        engine.run(lambda p: p | beam.Create([1, 2]) | beam.Map(refuse))
    assert str(raised.value) == (
        "stage x, part y: [Errno 28] No space left on device. Finished parts are kept: mend the "
        "cause and run the same command again."
    )
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_of_the_program_keeps_its_trace(
    workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def divide(number: int) -> float:
        return 1 / (number - 1)

    error = ZeroDivisionError if workers == 1 else RuntimeError
    with Engine(workers=workers) as engine, pytest.raises(error, match="division by zero"):
        engine.run(lambda p: p | beam.Create([1, 2]) | beam.Map(divide))
    assert ("in divide" in capfd.readouterr().err) == (workers == 2)
