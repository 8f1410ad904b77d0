"""Numbers and names that a caller gives: told by name where they can't be meant."""

from __future__ import annotations

import operator
import os
from typing import Any

from curate.schemas.errors import UsageError
from curate.schemas.text.shown import one_line

MOST_WORLD = 1 << 20
"""Ranks."""
MOST_BATCH_ROWS = 1_000_000
MOST_IMAGE_SIZE = 8_192
"""Pixels of a side."""
MOST_WORKERS = 1_024
MOST_PREFETCH = 64
MOST_ROWS = 10**10
"""Rows of a training over all epochs, five times those of KOSMOS-1: the place of the last of them
is found in seconds."""
MOST_EPOCHS = 1_000_000
SEEDS = 1 << 63
"""Seeds lie from minus as many to one below."""
_LONGEST_SHOWN = 80


def whole_number(name: str, value: Any, least: int, most: int, because: str = "") -> int:
    """A whole number of a range, as `int`; NumPy's are taken, too.

    Args:
        because: what the range comes from, for the message.

    Raises:
        UsageError: it is none, or lies outside.
    """
    number = None if isinstance(value, bool) else _index(value)
    if number is None or not least <= number <= most:
        raise UsageError(
            f"{name} must be a whole number from {least:,} to {most:,}{because} "
            f"(got {shown(value)})."
        )
    return number


def seed_number(value: Any) -> int:
    """A seed.

    Raises:
        UsageError: it is no whole number of 64 bits.
    """
    return whole_number("seed", value, -SEEDS, SEEDS - 1)


def rank_of_world(rank: Any, world: Any) -> tuple[int, int]:
    """Both as `int`.

    Raises:
        UsageError: there is no such rank.
    """
    world = whole_number("world", world, 1, MOST_WORLD)
    return whole_number("rank", rank, 0, world - 1, f", for world is {world:,}"), world


def path_text(name: str, value: Any) -> str:
    """A path or address as text.

    Raises:
        UsageError: it is neither text nor a path, or empty.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text:
        raise UsageError(f"{name} must be a path or an address (got {shown(value)}).")
    return text


def shown(value: Any) -> str:
    """A value as an error prints it: on one short line."""
    try:
        return one_line(repr(value), _LONGEST_SHOWN)
    except ValueError:  # Python prints whole numbers of up to 4,300 digits.
        return f"a value of type {type(value).__name__}, too long to print"


def _index(value: Any) -> int | None:
    try:
        return operator.index(value)
    except TypeError:
        return None
