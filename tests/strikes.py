"""A run that has work for every stage but CLIP's, and what is done to it meanwhile."""

from __future__ import annotations

import os
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

from tests.commands import ended, start
from tests.conftest import write_warc
from tests.curate.conftest import crawl

_STAGE_SECONDS = 300


def write_input(folder: Path) -> tuple[str, ...]:
    """Two archives for three sources, and a recipe that has work for every stage but CLIP's."""
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
    found = processes(b"curate.pipelines.worker")
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


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Callable[[str], bool]]:
    """A file system of its own, of some `mount` options; yields what mounts it anew with others."""
    folder.mkdir()
    if os.getuid() != 0 or sys.platform != "linux":
        pytest.skip("only root on Linux can mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)

    def again(others: str) -> bool:
        command = ["mount", "-o", f"remount,{others}", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    try:
        yield again
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
