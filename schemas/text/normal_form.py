"""Unicode's normal forms in time that grows with the text, as n log n at most.

`unicodedata.normalize` sorts the marks behind a letter by insertion, which is quadratic.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

_DECOMPOSED: dict[Form, Form] = {"NFC": "NFD", "NFD": "NFD", "NFKC": "NFKD", "NFKD": "NFKD"}
_LONG_RUN = 64
"""Marks in a row that are sorted here."""
MARKS = range(0x300, 0x20000)
"""Where Unicode has its marks, and all that is composed with what stands before it."""


def normalized(form: Form, text: str) -> str:
    """The text in a normal form."""
    if len(text) >= _LONG_RUN:
        decomposed = _DECOMPOSED[form]
        text = _long_run(decomposed).sub(lambda run: _sorted(decomposed, run[0]), text)
    return unicodedata.normalize(form, text)


def class_of(codes: Iterable[int]) -> str:
    """What stands between the brackets of a regular expression for characters in their order."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@cache
def _long_run(decomposed: Form) -> re.Pattern[str]:
    return re.compile(rf"[{class_of(_marks(decomposed))}]{{{_LONG_RUN},}}")


def _marks(decomposed: Form) -> Iterator[int]:
    """Characters that the form makes marks alone, which it may have to reorder."""
    for code in MARKS:
        given = chr(code)
        if unicodedata.combining(given) or (
            unicodedata.decomposition(given)
            and all(map(unicodedata.combining, unicodedata.normalize(decomposed, given)))
        ):
            yield code


def _sorted(decomposed: Form, run: str) -> str:
    """Marks in canonical order: a stable sort by class, as Unicode defines it."""
    marks = (mark for given in run for mark in unicodedata.normalize(decomposed, given))
    return "".join(sorted(marks, key=unicodedata.combining))
