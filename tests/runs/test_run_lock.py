"""Two commands in one run directory: one wins, the other says who holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from curate.runs import run_lock
from curate.runs.run_directory import RunDirectory
from curate.runs.run_lock import RunInUseError, only_one
from curate.schemas.errors import CurateError
from tests.counting_store import CountingStore


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDirectory]:
    monkeypatch.setattr(run_lock, "_SIGN_SECONDS", 0.2)
    monkeypatch.setattr(run_lock, "_SILENCE_SECONDS", 1.5)
    monkeypatch.setattr(run_lock, "_LOOK_SECONDS", 0.05)
    yield RunDirectory("counting://run")
    CountingStore.empty()


def held_by(run: RunDirectory, number: int, **changes: object) -> None:
    """The lease that a killed command leaves."""
    holder = {
        "host": "far", "pid": 7, "since": "2026-01-02 03:04:05 UTC", "place": "elsewhere 1",
        "token": "t", "signs_of_life": 3, **changes,
    }  # fmt: skip
    run.write_json(holder, f"lease/{number:08d}.json")


def test_on_this_machine_the_holder_is_named(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path / "out"))
    with (
        only_one(run),
        pytest.raises(RunInUseError, match=rf"out is in use by .*process {os.getpid()} on"),
        only_one(run),
    ):
        raise AssertionError
    with only_one(run):
        assert json.loads((tmp_path / "out/.lock").read_text())["pid"] == os.getpid()


def test_a_killed_holder_leaves_nothing_behind_on_this_machine(tmp_path: Path) -> None:
    code = (
        "import sys, time; from curate.runs.run_directory import RunDirectory\n"
        "from curate.runs.run_lock import only_one\n"
        "with only_one(RunDirectory(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(RunInUseError, match=rf"process {process.pid} on .*, since 20"),
            only_one(RunDirectory(str(tmp_path))),
        ):
            raise AssertionError
        process.kill()
    with only_one(RunDirectory(str(tmp_path))):
        pass


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CurateError, match=r"--out .*file/out can't be written"),
        only_one(RunDirectory(str(tmp_path / "file" / "out"))),
    ):
        raise AssertionError


def test_on_an_object_store_a_living_holder_is_named(store: RunDirectory) -> None:
    with only_one(store) as hold:
        with (
            pytest.raises(RunInUseError, match=rf"in use by .*process {os.getpid()} on"),
            only_one(store),
        ):
            raise AssertionError
        hold.require_held()
    assert store.files("lease") == []
    with only_one(store):
        assert store.files("lease") == ["lease/00000001.json"]


def test_a_holder_that_gives_no_sign_is_followed(
    store: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    held_by(store, 4)
    with only_one(store) as hold:
        assert store.files("lease") == ["lease/00000005.json"]
        hold.require_held()
    (told,) = (r.getMessage() for r in caplog.records)
    assert "is held by process 7 on far, since 2026-01-02 03:04:05 UTC: seeing for up to" in told
    assert store.files("lease") == []


def test_a_holder_known_to_be_gone_is_not_waited_for(store: RunDirectory) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    held_by(store, 1, pid=process.pid, place=run_lock._place())
    started = time.monotonic()
    with only_one(store):
        assert time.monotonic() - started < 1


def test_a_holder_that_lives_elsewhere_is_left_alone(store: RunDirectory) -> None:
    held_by(store, 1)
    sign = threading.Timer(0.5, lambda: held_by(store, 1, signs_of_life=4))
    sign.start()
    with pytest.raises(RunInUseError, match="process 7 on far"), only_one(store):
        raise AssertionError
    sign.join()
    assert store.files("lease") == ["lease/00000001.json"]


def test_a_holder_that_was_taken_for_gone_stops(store: RunDirectory) -> None:
    with only_one(store) as hold:
        held_by(store, 2)
        with pytest.raises(RunInUseError, match="process 7 on far"):
            hold.require_held()


def test_of_many_at_once_one_wins(store: RunDirectory) -> None:
    held_by(store, 1)
    won: list[int] = []
    refused: list[str] = []

    def try_it(number: int) -> None:
        try:
            with only_one(RunDirectory(store.root)):
                won.append(number)
                time.sleep(4)
        except RunInUseError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == 7
    assert fsspec.filesystem("counting").find("/run/lease") == []
