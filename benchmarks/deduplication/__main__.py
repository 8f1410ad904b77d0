"""Measure `curate dedup`.

    python -m benchmarks.deduplication scale TEXTS     memory, time: 100k, 300k and 1M documents
    python -m benchmarks.deduplication rival TEXTS     50k documents, with datatrove beside it

TEXTS is a folder of JSON lines files (.jsonl.gz) with real texts, whose sentences are used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.deduplication.corpus import COPY_EVERY, copies_left, real_sentences, write_corpus

SCALE = (100_000, 300_000, 1_000_000)
DOCUMENTS_PER_FILE = 10_000
RIVAL_DOCUMENTS = 50_000
DATATROVE_PYTHON = ".venv-datatrove/bin/python"


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in ("scale", "rival"):
        sys.exit(__doc__)
    sentences = real_sentences(Path(sys.argv[2]))
    print(f"{len(sentences):,} sentences")
    with tempfile.TemporaryDirectory() as scratch:
        if sys.argv[1] == "scale":
            measure_scale(Path(scratch), sentences)
        else:
            measure_rival(Path(scratch), sentences)


def measure_scale(scratch: Path, sentences: list[str]) -> None:
    heads = ("documents", "wall s", "CPU s", "per 1M", "peak MB", "pairs left")
    print("".join(f"{head:>12}" for head in heads), flush=True)
    for count in SCALE:
        files = count // DOCUMENTS_PER_FILE
        source = write_corpus(scratch / f"in-{count}", sentences, count, files=files)
        wall, cpu, peak, left = _run_ours(source, scratch / f"out-{count}", workers=2)
        print(
            f"{count:>12,}{wall:>12.0f}{cpu:>12.0f}{cpu * 1e6 / count:>12.0f}{peak:>12.0f}"
            f"{left:>12,}",
            flush=True,
        )


def measure_rival(scratch: Path, sentences: list[str]) -> None:
    source = write_corpus(scratch / "in", sentences, RIVAL_DOCUMENTS, files=1)
    planted = RIVAL_DOCUMENTS // COPY_EVERY
    # datatrove takes every pair that shares a band: the same here.
    every_pair = ("--min-similarity", "0")
    _, cpu, _, left = _run_ours(source, scratch / "ours", workers=1, options=every_pair)
    print(f"curate     {cpu:8.1f} CPU s, recall {1 - left / planted:.4f}", flush=True)
    out = scratch / "theirs"
    command = [DATATROVE_PYTHON, "benchmarks/deduplication/datatrove_stages.py", source, out]
    before = _children_seconds()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    theirs = _children_seconds() - before
    kept = (json.loads(line)["id"] for p in (out / "kept").rglob("*.jsonl") for line in p.open())
    recall = 1 - copies_left(kept) / planted
    print(f"datatrove  {theirs:8.1f} CPU s, recall {recall:.4f}, {theirs / cpu:.1f} times as much")
    print(done.stdout)


def _run_ours(
    source: Path, out: Path, workers: int, options: tuple[str, ...] = ()
) -> tuple[float, float, float, int]:
    """Wall seconds, CPU seconds, peak MB of the largest process, planted pairs left."""
    command = [sys.executable, "-m", "benchmarks.peak_memory", "dedup", "--input", str(source)]
    command += ["--out", str(out), "--workers", str(workers), *options]
    before, started = _children_seconds(), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, cpu = time.perf_counter() - started, _children_seconds() - before
    peak = float(done.stderr.strip().rsplit(" ", 1)[-1])
    return wall, cpu, peak, copies_left(_ids(out / "documents.jsonl"))


def _ids(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["id"]


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


main()
