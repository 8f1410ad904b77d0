"""One form for texts that Unicode holds for the same, and where its characters come from.

Words are cut from the folded text: a full-width letter, a ligature or half-width katakana is what
NFKC makes of it, whatever the form of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

_LONG_RUN = 64
"""Marks in a row. `unicodedata.normalize` sorts them by insertion, which is quadratic."""
_FIRST_MARK, _LAST_CODE = 0x300, 0x10FFFF
_HANGUL_VOWELS, _HANGUL_FINALS = range(0x1161, 0x1176), range(0x11A8, 0x11C3)


def folded(text: str) -> str:
    """The text in NFKC, without case and without the joiners of Indic and Arabic.

    Equal for texts of equal NFKC.
    """
    plain = _nfkc(_nfkc(text).casefold())
    return plain.replace("\u200c", "").replace("\u200d", "")


def aligned(text: str) -> tuple[str, list[int], list[int]]:
    """`folded` with where each of its characters comes from: starts and ends in `text`.

    A letter and its marks have one place.
    """
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    known: dict[str, str] = {}
    for found in _cluster().finditer(text):
        cluster = found[0]
        part = known.get(cluster)
        if part is None:
            part = known[cluster] = folded(cluster)
        parts.append(part)
        starts += [found.start()] * len(part)
        ends += [found.end()] * len(part)
    return "".join(parts), starts, ends


def _nfkc(text: str) -> str:
    if len(text) >= _LONG_RUN:
        text = _long_run().sub(_sorted_run, text)
    return unicodedata.normalize("NFKC", text)


def _sorted_run(run: re.Match[str]) -> str:
    """Marks in canonical order: a stable sort by class, as Unicode defines it."""
    marks = (mark for given in run[0] for mark in unicodedata.normalize("NFKD", given))
    return "".join(sorted(marks, key=unicodedata.combining))


@cache
def _long_run() -> re.Pattern[str]:
    return re.compile(rf"[{_class(_reordered())}]{{{_LONG_RUN},}}")


@cache
def _cluster() -> re.Pattern[str]:
    """A character with all behind it that may be composed with it."""
    seconds = {
        parts[1]
        for code in range(0xC0, 0x20000)
        if (decomposed := unicodedata.decomposition(chr(code))) and decomposed[0] != "<"
        if len(parts := [int(part, 16) for part in decomposed.split()]) == 2
    }
    seconds.update(_HANGUL_VOWELS, _HANGUL_FINALS)
    joined = [
        code
        for code in range(_FIRST_MARK, _LAST_CODE + 1)
        if ord(first := unicodedata.normalize("NFKD", chr(code))[0]) in seconds
        or unicodedata.combining(first)
    ]
    return re.compile(rf"[\s\S][{_class(joined)}]*")


def _reordered() -> Iterable[int]:
    """Characters that decompose to marks alone, which may have to be reordered."""
    for code in range(_FIRST_MARK, _LAST_CODE + 1):
        given = chr(code)
        if unicodedata.combining(given) or (
            unicodedata.decomposition(given)
            and all(map(unicodedata.combining, unicodedata.normalize("NFKD", given)))
        ):
            yield code


def _class(codes: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
