"""Faults of the machine under a build: told in words, and the same bytes in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.abuse.conftest import only_whole
from tests.commands import curate, run_command, run_curate, shard_sums
from tests.strikes import (
    require_whole_files,
    run_and_strike,
    small_disk,
    workers_of,
    write_input,
)

_MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return "build-shards", *write_input(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def whole(build: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shards of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run_curate(*build, "--out", out)
    return shard_sums(out)


@pytest.mark.parametrize("stage", ["documents", pytest.param("images", marks=only_whole)])
def test_a_worker_is_stopped_for_a_while(
    build: tuple[str, ...], whole: dict[str, str], stage: str, tmp_path: Path
) -> None:
    def stop(process: subprocess.Popen[str]) -> None:
        worker = workers_of(process.pid)[0]
        os.kill(worker, signal.SIGSTOP)
        time.sleep(4)
        assert process.poll() is None
        os.kill(worker, signal.SIGCONT)

    command = curate(*build, "--out", tmp_path / "out", "--workers", "2")
    told = run_and_strike(command, tmp_path / "out", stage, stop)
    assert told is not None
    assert told[0] == 0, told[1]
    assert shard_sums(tmp_path / "out") == whole


@only_whole
def test_the_command_is_stopped_and_killed(
    build: tuple[str, ...], whole: dict[str, str], tmp_path: Path
) -> None:
    """Stopped for good, as a terminal does with Ctrl-Z: its workers end with it."""
    out = tmp_path / "out"
    workers: list[int] = []

    def stop(process: subprocess.Popen[str]) -> None:
        workers.extend(workers_of(process.pid))
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(process.pid, signal.SIGKILL)

    command = curate(*build, "--out", out, "--workers", "2")
    told = run_and_strike(command, out, "signatures", stop)
    assert told is not None
    assert told[0] == -signal.SIGKILL
    assert len(workers) == 2
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{number}").exists() for number in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run_command(command)
    assert shard_sums(out) == whole


@contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A control group whose processes the kernel kills when they take more memory."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.split(":", 2)[2] for line in lines if ":memory:" in line), None)
    if own is None or os.getuid() != 0 or not _MEMORY_GROUPS.is_dir():
        pytest.skip("only root, where control groups limit memory, can have a process run out")
    group = Path(f"{_MEMORY_GROUPS}{own}/curate-test-{os.getpid()}")
    try:
        group.mkdir(parents=True)
        (group / "memory.limit_in_bytes").write_text(str(limit))
    except OSError as error:
        pytest.skip(f"no control group of memory can be made: {error}")
    try:
        yield group
    finally:
        deadline = time.monotonic() + 30
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()


def test_the_kernel_kills_a_worker_for_its_memory(
    build: tuple[str, ...], whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = curate(*build, "--out", out, "--workers", "2")
    with memory_group(4 << 20) as group:

        def starve(process: subprocess.Popen[str]) -> None:
            # What it holds stays where it was counted; what it takes from now on does not.
            (group / "cgroup.procs").write_text(str(workers_of(process.pid)[0]))

        told = run_and_strike(command, out, "documents", starve)
    assert told is not None
    assert told[0] == 1, told[1]
    assert "ended with status -9 (-9 is usually the system running out of memory)" in told[1]
    assert "run the same command again, with fewer --workers" in told[1]
    require_whole_files(out)
    run_command(command)
    assert shard_sums(out) == whole


@pytest.mark.parametrize("workers", ["2", pytest.param("1", marks=only_whole)])
def test_no_inodes_are_left(
    build: tuple[str, ...], whole: dict[str, str], workers: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "nr_inodes=60") as again:
        command = curate(*build, "--out", disk / "out", "--workers", workers)
        said = run_command(command, code=1)
        assert "No space left on device" in said
        assert "run the same command again" in said
        assert "Traceback" not in said
        require_whole_files(disk / "out")
        assert again("nr_inodes=100k")
        run_command(command)
        assert shard_sums(disk / "out") == whole


def test_the_clock_is_set_back(
    build: tuple[str, ...], whole: dict[str, str], tmp_path: Path
) -> None:
    """In the command and its workers by a day; then again in a run that goes on."""
    library = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock_set_back.c")
    if sys.platform != "linux":
        pytest.skip("a clock of one's own is made for Linux")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", source, "-o", library, "-ldl"], check=True)
    set_back = {"LD_PRELOAD": str(library)}
    asks = "import time; begun = time.time(); time.sleep(4); print(time.time() - begun)"
    clock = [sys.executable, "-c", asks]
    assert -86_400 < float(run_command(clock, environment=set_back)) < -86_000
    out = tmp_path / "out"
    command = curate(*build, "--out", out, "--workers", "2")
    run_command([*command, "--until", "repeats"], environment=set_back)
    run_command(command)
    assert shard_sums(out) == whole


@only_whole
def test_many_more_workers_than_cores(
    build: tuple[str, ...], whole: dict[str, str], tmp_path: Path
) -> None:
    run_curate(*build, "--out", tmp_path / "out", "--workers", 64)
    assert shard_sums(tmp_path / "out") == whole
