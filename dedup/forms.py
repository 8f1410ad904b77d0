"""One form for texts that Unicode holds for the same, and where its characters come from.

Words are cut from the folded text: a full-width letter, a ligature or half-width katakana is what
NFKC makes of it, whatever the form of the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from curate.schemas.text.normal_form import MARKS, class_of, normalized

_HANGUL_VOWELS, _HANGUL_FINALS = range(0x1161, 0x1176), range(0x11A8, 0x11C3)


def folded(text: str) -> str:
    """The text in NFKC, without case and without the joiners of Indic and Arabic.

    Equal for texts of equal NFKC.
    """
    plain = normalized("NFKC", normalized("NFKC", text).casefold())
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


@cache
def _cluster() -> re.Pattern[str]:
    """A character with all behind it that may be composed with it."""
    seconds = {*_HANGUL_VOWELS, *_HANGUL_FINALS}
    for code in range(MARKS.stop):
        decomposed = unicodedata.decomposition(chr(code))
        if decomposed and decomposed[0] != "<" and " " in decomposed:
            seconds.add(int(decomposed.split()[1], 16))
    joined = [
        code
        for code in MARKS
        if ord(first := unicodedata.normalize("NFKD", chr(code))[0]) in seconds
        or unicodedata.combining(first)
    ]
    return re.compile(rf"[\s\S][{class_of(joined)}]*")
