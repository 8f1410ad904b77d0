"""Killed, starved and refused at any stage: told in words, and the same bytes after a restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curate.runs.stage_names import STAGE_NAMES
from tests.commands import curate, run_command, run_curate, shard_sums
from tests.engines.conftest import IS_FULL, Input, Started, full
from tests.strikes import (
    kill_a_worker,
    kill_all,
    processes,
    require_whole_files,
    run_and_strike,
    small_disk,
    write_input,
)

_STAGE_SECONDS = 300
ONE_OF_EACH_KIND = ("documents", "duplicates", "images", "image-verdicts", "shards")
"""Parts alone, steps that exchange rows, images, a join of images with documents, packed rows."""


@pytest.fixture(scope="module")
def crash_input(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return write_input(tmp_path_factory.mktemp("crashes"))


@pytest.fixture(scope="module")
def whole(crash_input: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shards of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    run_curate("build-shards", *crash_input, "--out", out / "run")
    return shard_sums(out / "run")


@pytest.mark.parametrize("where", ["direct-2", "flink-server", "spark-server"])
def test_killed_in_every_stage(
    engines: Started,
    crash_input: tuple[str, ...],
    whole: dict[str, str],
    where: str,
    tmp_path: Path,
) -> None:
    """The whole command on `direct`, an SDK worker elsewhere."""
    out = tmp_path / "out"
    command = curate("build-shards", *crash_input, "--out", out, *engines.place(where).arguments())
    struck = []
    stages = STAGE_NAMES if IS_FULL or where == "direct-2" else ONE_OF_EACH_KIND
    for stage in stages:
        if stage == "image-scores":
            continue
        if where == "direct-2":
            told = run_and_strike(command, out, stage, kill_all)
            assert told is None or told[0] == -signal.SIGKILL
        else:
            told = run_and_strike(command, out, stage, kill_a_worker)
            if told is not None:
                code, said = told
                if code == 0 and stage == STAGE_NAMES[-1]:
                    # What it wrote was the last there was to do.
                    assert shard_sums(out) == whole
                    told = None
                else:
                    assert code == 1, said
                    assert "ended with status -9" in said
                    assert "run the same command again" in said
        require_whole_files(out)
        if told is not None:
            struck.append(stage)
    assert len(struck) >= (8 if stages == STAGE_NAMES else 4), struck
    run_curate(*command[3:])
    assert shard_sums(out) == whole
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("where", ["flink-server-process", *full("spark-server-process")])
def test_an_engine_tries_again(
    engines: Started, prose_input: Input, where: str, tmp_path: Path
) -> None:
    """Workers that the engine has started it starts again, and the run goes on."""
    out = tmp_path / "out"
    command = curate("build-shards", *prose_input, "--out", out, *engines.place(where).arguments())

    def kill_harness(process: subprocess.Popen[str]) -> None:
        harnesses = [number for number, _ in processes(b"sdk_worker_main")]
        assert harnesses
        for number in harnesses:
            os.kill(number, signal.SIGKILL)

    told = run_and_strike(command, out, "documents", kill_harness)
    assert told is not None
    assert told[0] == 0, told[1]
    run_curate("build-shards", *prose_input, "--out", tmp_path / "whole")
    assert shard_sums(out) == shard_sums(tmp_path / "whole")


@pytest.mark.parametrize("where", ["direct-2", "flink", *full("direct-1", "spark")])
def test_a_full_disk(
    engines: Started,
    crash_input: tuple[str, ...],
    whole: dict[str, str],
    where: str,
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "size=700k") as again:
        command = ["build-shards", *crash_input, "--out", disk / "out"]
        command += engines.place(where).arguments()
        said = run_curate(*command, code=1)
        assert "No space left on device" in said
        assert "run the same command again" in said
        assert "Traceback" not in said
        require_whole_files(disk / "out")
        assert again("size=200m")
        run_curate(*command)
        assert shard_sums(disk / "out") == whole


@pytest.mark.parametrize("where", ["direct-2", "flink"])
def test_a_disk_that_turns_read_only(
    engines: Started,
    crash_input: tuple[str, ...],
    whole: dict[str, str],
    where: str,
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "size=200m") as again:
        arguments = ["build-shards", *crash_input, "--out", disk / "out"]
        arguments += engines.place(where).arguments()

        def turn(process: subprocess.Popen[str]) -> None:
            while not again("ro"):  # busy while a file is open
                assert process.poll() is None

        told = run_and_strike(curate(*arguments), disk / "out", "images", turn)
        assert told is not None
        code, said = told
        assert code == 1, said
        assert "Read-only file system" in said
        assert "Traceback" not in said
        assert again("rw")
        run_curate(*arguments)
        assert shard_sums(disk / "out") == whole


def test_a_worker_that_raises_keeps_its_trace(engines: Started, tmp_path: Path) -> None:
    """A fault of the program is not dressed up as one of the world's."""
    script = tmp_path / "fault.py"
    script.write_text(
        "import sys, apache_beam as beam\n"
        "from curate.pipelines.engine.engine import Engine\n"
        "def fault(_):\n    return [][1]\n"
        "if __name__ == '__main__':\n"
        "    with Engine(sys.argv[1], 2, beam_options=sys.argv[2:]) as engine:\n"
        "        engine.run(lambda p: p | beam.Create([1]) | beam.Map(fault))\n"
    )
    for where in ("direct-2", "flink", "spark", "prism"):
        place = engines.place(where)
        command = [sys.executable, str(script), place.runner, *place.beam_options]
        said = run_command(command, code=1, environment={"PYTHONPATH": os.getcwd()})
        assert re.search(r"RuntimeError.*IndexError", said, re.S), (where, said)
        assert "in fault" in said
