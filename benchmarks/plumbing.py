"""What Beam and the run directory cost beside the work, and whether memory grows with the input.

Runs `kosmos1` without network, on the archives and on several times as many (under other names).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COPIES = (1, 4)


def run(warcs: list[Path]) -> None:
    heads = ("archives", "workers", "wall s", "stages s", "work s", "beside", "peak MB")
    print("".join(f"{head:>9}" for head in heads))
    with tempfile.TemporaryDirectory() as scratch:
        for copies in COPIES:
            folder = Path(scratch, f"x{copies}")
            folder.mkdir()
            for copy in range(copies):
                for path in warcs:
                    (folder / f"{copy}-{path.name}").symlink_to(path)
            for workers in (1, 2):
                _measure(folder, Path(scratch, f"out-{copies}-{workers}"), workers)


def _measure(folder: Path, out: Path, workers: int) -> None:
    command = [sys.executable, "-m", "benchmarks.peak_memory", "build-shards", "kosmos1"]
    command += ["--input", f"{folder}/*.warc.gz", "--out", str(out), "--offline"]
    command += ["--workers", str(workers)]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - started
    peak = float(done.stderr.strip().rsplit(" ", 1)[-1])
    stages = json.loads((out / "run.json").read_text())["stages"]
    spent = sum(s["seconds"] for s in stages)
    work = sum(s["work_seconds"] for s in stages)
    beside = 1 - work / workers / spent
    archives = len(list(folder.iterdir()))
    print(
        f"{archives:>9}{workers:>9}{wall:>9.1f}{spent:>9.1f}{work:>9.1f}{beside:>9.1%}{peak:>9.0f}"
    )


def peak_megabytes() -> float:
    """Largest resident memory of this process and of any of its children, in MB."""
    own, children = (
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return max(own, children) / 1024
