"""Text to words, and words to numbers: what every comparison of texts starts from."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from schemas.identity import mix

NORMALIZATION = "words-2"
"""Version of this module's reading of text; signatures of different versions don't compare."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f"
)
_SYLLABIC = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese and Khmer: the scripts of these whose characters are letters."""


def _marks() -> str:
    """A class of all combining marks: accents, vowel signs, viramas, and the joiners of Indic."""
    ranges: list[list[int]] = []
    for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)):
        if unicodedata.category(chr(code))[0] == "M" or code in (0x200C, 0x200D):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_MARKS = _marks()
_WORD = re.compile(r"[^\W_]+(?:['’]+[^\W_]+)*")
_LETTER = rf"(?![{_UNSPACED}])[^\W_]"
_WORD_OR_CHARACTER = re.compile(
    rf"(?![{_MARKS}])[{_UNSPACED}][{_MARKS}]*"
    rf"|{_LETTER}(?:{_LETTER}|[{_MARKS}])*(?:['’]+(?:{_LETTER}|[{_MARKS}])+)*"
)
_UNSPACED_WORD = re.compile(rf"[{_UNSPACED}]")
_SYLLABIC_WORD = re.compile(rf"[{_SYLLABIC}]")
CHARACTERS_PER_WORD, SYLLABIC_CHARACTERS_PER_WORD = 2, 4
"""Of scripts without spaces, about: a word of Chinese text has 1.5 to 2 characters and one of
Japanese 2 to 3; one of Thai has some 4 letters, vowel signs above and below not counted."""
_APOSTROPHES = re.compile("['’]+")
_TYPOGRAPHIC = (("’", "'"), ("“", " "), ("”", " "), ("–", " "), ("—", " "), ("…", " "))
"""The marks that stand in most English text: with these replaced, it is ASCII."""
_FOLDED = bytes(
    byte if byte >= 0x80 else ord(chr(byte).lower()) if chr(byte).isalnum() else 0x20
    for byte in range(256)
)
_PIECE_BYTES = 1 << 20

_BASE = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


def word_pattern(text: str) -> re.Pattern[str]:
    """What a word of the text is: letters and digits, with apostrophes between them.

    A combining mark belongs to its letter. In scripts that put no spaces between words (Chinese,
    Japanese, Thai, Lao, Burmese, Khmer) each character is taken for a word; `length_in_words` tells
    how many words such characters are.
    """
    return _WORD if text.isascii() else _WORD_OR_CHARACTER


def words(text: str) -> list[str]:
    """The words as they are written."""
    return word_pattern(text).findall(text)


def length_in_words(found: list[str]) -> float:
    """How many words some of `words` are, where characters stand for parts of one."""
    length = 0.0
    for word in found:
        if word.isascii() or not _UNSPACED_WORD.match(word):
            length += 1
        elif _SYLLABIC_WORD.match(word):
            length += 1 / SYLLABIC_CHARACTERS_PER_WORD
        else:
            length += 1 / CHARACTERS_PER_WORD
    return length


def normalized_word(word: str) -> str:
    """Without case, apostrophes and variants of form: `Don't` and `DONT` are one word.

    Composed and decomposed forms are one, too.
    """
    plain = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", word).casefold())
    return plain.replace(" ", "").replace("\u200c", "").replace("\u200d", "")


def word_hashes(text: str) -> Hashes:
    """64-bit hashes of the normalised words, shape (words,)."""
    data = normalized_text(text)
    if len(data) <= _PIECE_BYTES:
        return _hash_words(data)
    hashes, start = [], 0
    while start < len(data):
        end = data.find(b" ", start + _PIECE_BYTES)
        end = len(data) if end < 0 else end
        hashes.append(_hash_words(data[start:end]))
        start = end
    return np.concatenate(hashes)


def _hash_words(data: bytes) -> Hashes:
    """Polynomial hashes of what stands between spaces, for all words at once.

    A prefix sum of the letters' values times powers of a base gives each word's sum; times the
    inverse of its first power, that no longer depends on where the word stands.
    """
    letters = np.frombuffer(data, np.uint8)
    inside = np.zeros(letters.size + 2, np.bool_)
    np.not_equal(letters, 0x20, out=inside[1:-1])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    if not starts.size:
        return np.empty(0, np.uint64)
    powers, inverses = _powers(max(1 << (len(data) - 1).bit_length(), 1 << 12))
    sums = np.zeros(letters.size + 1, np.uint64)
    values = LETTER_VALUES.take(letters)
    values *= powers[: letters.size]
    np.cumsum(values, out=sums[1:])
    return mix((sums[ends] - sums[starts]) * inverses[starts])


@cache
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Powers of the base and of its inverse modulo 2^64."""
    inverse = np.uint64(pow(int(_BASE), -1, 1 << 64))
    powers = np.cumprod(np.full((count, 2), (_BASE, inverse), np.uint64), axis=0, dtype=np.uint64)
    return powers[:, 0] * inverse, powers[:, 1] * _BASE


def normalized_words(text: str) -> list[bytes]:
    """`normalized_word` of each of `words`, in UTF-8."""
    return normalized_text(text).split()


def normalized_text(text: str) -> bytes:
    """The normalised words in UTF-8, with spaces between them.

    What is no ASCII letter or digit ends a word, so only the pieces with other characters in them
    have to be read as `words` reads them; the rest takes a byte table.
    """
    for mark, plain in _TYPOGRAPHIC:
        text = text.replace(mark, plain)
    data = text.encode("utf-8", "surrogatepass").translate(_FOLDED, b"'")
    if text.isascii():
        return data
    found = []
    for piece in data.split():
        if piece.isascii():
            found.append(piece)
        else:
            for word in _WORD_OR_CHARACTER.findall(piece.decode("utf-8", "surrogatepass")):
                found.append(normalized_word(word).encode("utf-8", "surrogatepass"))
    return b" ".join(found)


def ngram_hashes(hashes: Hashes, length: int) -> Hashes:
    """64-bit hashes of all runs of `length` words, shape (words - length + 1,) or empty."""
    count = hashes.size - length + 1
    if count < 1:
        return np.empty(0, np.uint64)
    total = hashes[:count].copy()
    for step in range(1, length):
        total *= np.uint64(0x9E3779B97F4A7C15)
        total += hashes[step : step + count]
    return mix(total)


LETTER_VALUES = mix(np.arange(1, 257, dtype=np.uint64) * np.uint64(0xD6E8FEB86659FD93))
"""A 64-bit number for every byte."""
