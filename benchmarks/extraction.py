"""HTML extraction: quality on pages with known content, speed, time by step and memory.

Ours is judged by models that did not see the page's site in training; the model that ships is
trained on all of them.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.html.pages import pages_of
from benchmarks.html.quality import compare_quality
from benchmarks.html.speed import compare_speed, peak_of, time_by_step


def run(warcs: list[Path]) -> None:
    pages = pages_of(warcs)
    print(f"{len(pages)} pages of all kinds\n")
    compare_speed(pages)
    print("\nOurs by step, ms a page")
    time_by_step(pages)
    print("\nPeak memory of a process that extracts them, MB")
    context = get_context("spawn")
    for name in ("nothing", "curate", "trafilatura fast", "resiliparse", "readability-lxml"):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            print(f"{name:<24} {pool.submit(peak_of, name, warcs).result():6.0f}")
    data = warcs[0].parents[1]
    if os.path.exists(data / "truth.jsonl.gz"):
        compare_quality(data)
    else:
        print(f"\nNo truth.jsonl.gz in {data}: quality is not compared.")
