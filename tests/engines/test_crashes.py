"""Killed, starved and refused at any stage: told in words, and the same bytes after a restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.stages import STAGE_NAMES
from tests.conftest import write_warc
from tests.curate.conftest import crawl
from tests.engines.conftest import (
    Input,
    Started,
    curate,
    ended,
    run_command,
    run_curate,
    shard_sums,
    start,
)

_STAGE_SECONDS = 300


@pytest.fixture(scope="module")
def crash_input(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Two archives for three sources, and a recipe that has work for every stage but CLIP's."""
    folder = tmp_path_factory.mktemp("crashes")
    for part in range(2):
        write_warc(folder / f"crawl-{part}.warc.gz", crawl(part))
    (folder / "benchmark.jsonl").write_text('{"id": "one", "text": "no page says these words"}\n')
    recipe = {
        "name": "crashes",
        "sources": {
            "web": {"format": "interleaved"},
            "prose": {"format": "text"},
            "captions": {"format": "pairs"},
        },
        "dedup": {"repeated": {}},
        "decontamination": {"benchmarks": [f"{folder}/benchmark.jsonl"]},
        "images": {"size": 64, "fetch": {"enabled": False}, "duplicates": {}},
        "tokenization": {"vocabulary": 300, "block": 256, "image_slots": 16, "shard_documents": 9},
    }
    (folder / "crashes.yaml").write_text(yaml.safe_dump(recipe))
    return f"{folder}/crashes.yaml", "--input", f"{folder}/*.warc.gz"


@pytest.fixture(scope="module")
def whole(crash_input: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shards of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    run_curate("build-shards", *crash_input, "--out", out / "run")
    return shard_sums(out / "run")


def written_by(out: Path, stage: str) -> set[Path]:
    """The files of a stage, finished or not."""
    # os.walk passes over a folder that goes away under it: exchanges do.
    return {
        Path(folder, name)
        for kind in ("ledger", "stages", "exchange")
        for folder, _, names in os.walk(out / kind / stage)
        for name in names
    }


def require_whole_files(out: Path) -> None:
    """Every file that can be seen can be read to its end."""
    for path in out.rglob("*"):
        if path.suffix == ".parquet" and not path.name.startswith("."):
            pq.read_table(path)
        elif path.suffix == ".arrow" and not path.name.startswith("."):
            with pa.memory_map(str(path)) as source:
                # What tasks send is a stream; shards and indexes are files.
                is_file = source.read(6) == b"ARROW1"
                source.seek(0)
                (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()


def processes(word: bytes) -> Iterator[tuple[int, str]]:
    """Number and status of the processes whose command line has a word."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if word in (entry / "cmdline").read_bytes():
                    yield int(entry.name), (entry / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue


def workers_of(pid: int) -> list[int]:
    """The local worker processes of a command."""
    found = processes(b"pipelines.worker")
    return [number for number, status in found if f"PPid:\t{pid}\n" in status]


def run_and_strike(
    command: list[str], out: Path, stage: str, strike: Callable[[subprocess.Popen[str]], None]
) -> tuple[int, str] | None:
    """Start a run and strike it as soon as it writes something of a stage.

    Returns:
        Its exit code and what it said; None if the stage was done before.
    """
    if (out / "stages" / stage / "_SUCCESS.json").exists():
        return None
    # An earlier run may have got that far before it saw that it was struck.
    before = written_by(out, stage)
    process = start(command, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + _STAGE_SECONDS
    while written_by(out, stage) <= before:
        assert time.monotonic() < deadline, f"{stage} has not begun"
        assert process.poll() is None, ended(process, _STAGE_SECONDS)[0]
        time.sleep(0.001)
    strike(process)
    said, _ = ended(process, _STAGE_SECONDS)
    return process.returncode, said


def kill_all(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_a_worker(process: subprocess.Popen[str]) -> None:
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)


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
    for stage in STAGE_NAMES:
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
    assert len(struck) >= 8, struck
    run_curate(*command[3:])
    assert shard_sums(out) == whole
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("where", ["flink-server-process", "spark-server-process"])
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


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], bool]]:
    """A file system of its own; yields what mounts it anew with other options."""
    folder.mkdir()
    if os.getuid() != 0 or sys.platform != "linux":
        pytest.skip("only root on Linux can mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)

    def again(options: str) -> bool:
        command = ["mount", "-o", f"remount,{options}", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    try:
        yield again
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("where", ["direct-1", "direct-2", "flink", "spark"])
def test_a_full_disk(
    engines: Started,
    crash_input: tuple[str, ...],
    whole: dict[str, str],
    where: str,
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "700k") as again:
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
    with small_disk(disk, "200m") as again:
        arguments = ["build-shards", *crash_input, "--out", disk / "out"]
        arguments += engines.place(where).arguments()

        def turn(process: subprocess.Popen[str]) -> None:
            while not again("ro"):  # busy while a file is open
                assert process.poll() is None

        told = run_and_strike(curate(*arguments), disk / "out", "images", turn)
        assert told is not None
        code, said = told
        assert code == 1
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
        "from pipelines.engine import Engine\n"
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
