"""Timing side by side: candidates in turn, best of several rounds, as ratios to the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def compare(
    candidates: Mapping[str, Callable[[], int]], unit: str, rounds: int = 3
) -> dict[str, float]:
    """CPU seconds of each candidate; prints its rate and its ratio to the first one's.

    A candidate does its work and returns the number of units it did.
    """
    best: dict[str, tuple[float, int]] = {}
    for _ in range(rounds):
        for name, work in candidates.items():
            started = time.process_time()
            done = work()
            seconds = time.process_time() - started
            if name not in best or seconds < best[name][0]:
                best[name] = (seconds, done)
    rates = {name: done / seconds for name, (seconds, done) in best.items()}
    first = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"{name:<32} {rate:>12,.0f} {unit}/CPU s   {rate / first:5.2f}x")
    return {name: seconds for name, (seconds, _) in best.items()}
