"""How long a function takes on n, 2n and 4n of an input, against n log n."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from math import log

from tests.abuse.conftest import WHOLE

LEAST_SECONDS = 0.02 if WHOLE else 0.004
"""The input grows until the function takes so long on n."""
LARGEST = (8 if WHOLE else 2) << 20
"""Characters of 4n, at most. What is fast on so many is fast enough."""
SMALLEST = 1 << 10
MARGIN = 1.7
"""What n log n may be exceeded by, for caches and allocators.

On 4n of 100,000 characters n log n takes 4.5 times as long as on n, a quadratic step 16 times: 3.5
times too much. From 2n to 4n it is 2.1 times, and 4: 1.9 times too much.
"""
REPEATS = 3
TRIES = 4


def check(function: Callable[[str], object], make: Callable[[int], str]) -> None:
    """Fail where the function takes longer than n log n allows, each time that it is tried.

    Each time n takes three times as long: what happens once on the way (a cache that is too small,
    a page that is looked at more closely from some size on) is behind it then, and other work of
    the machine, too.
    """
    found: list[float] = []
    for attempt in range(TRIES):
        found.append(excess(function, make, LEAST_SECONDS * 3**attempt))
        if found[-1] <= MARGIN:
            return
    told = ", ".join(f"{times:.2f}" for times in found)
    raise AssertionError(f"{told} times what n log n allows, {MARGIN} at most")


def excess(function: Callable[[str], object], make: Callable[[int], str], least: float) -> float:
    """How many times longer than by n log n the function takes as its input grows.

    The greater one of n to 4n and of 2n to 4n; 0 where 4n would be more than `LARGEST`.

    Args:
        least: processor seconds that n has to take.
    """
    size = SMALLEST
    while (first := _seconds(function, make(size), 1)) < least:
        size *= 2 if first > least / 4 else 4
        if 4 * size > LARGEST:
            return 0.0
    first = min(first, _seconds(function, make(size), REPEATS - 1))
    twice = _seconds(function, make(2 * size), REPEATS)
    fourfold = _seconds(function, make(4 * size), REPEATS)
    logs = log(4 * size) / log(size), log(4 * size) / log(2 * size)
    return max(fourfold / first / 4 / logs[0], fourfold / twice / 2 / logs[1])


def _seconds(function: Callable[[str], object], text: str, repeats: int) -> float:
    """The least processor time of this process, of some runs; one that takes a second is alone."""
    least = float("inf")
    for _ in range(repeats):
        gc.collect(0)
        gc.disable()
        started = time.process_time()
        function(text)
        least = min(least, time.process_time() - started)
        gc.enable()
        if least > 1:
            break
    return least
