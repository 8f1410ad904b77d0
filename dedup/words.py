"""Text to words, and words to numbers: what every comparison of texts starts from."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from curate.dedup.forms import aligned, folded
from curate.dedup.scripts import IDEOGRAPHS, LETTERS, character_class
from curate.schemas.identity import mix
from curate.schemas.text.normal_form import MARKS, class_of

NORMALIZATION = "words-3"
"""Version of this module's reading of text; signatures of different versions don't compare."""

_SYLLABIC = character_class(LETTERS)
_UNSPACED = _SYLLABIC + character_class(IDEOGRAPHS)
_MARKS = class_of(
    code
    for code in (*MARKS, *range(0xE0100, 0xE01F0))
    if unicodedata.category(chr(code))[0] == "M" or code in (0x200C, 0x200D)
)
"""All combining marks (accents, vowel signs, viramas) and the joiners of Indic."""
_LETTER = rf"[^\W_{_UNSPACED}]"
_IN_WORD = rf"(?:{_LETTER}|[{_MARKS}])"
_WORD = re.compile(r"[^\W_]+(?:['’]+[^\W_]+)*")
_WORD_OR_CHARACTER = re.compile(
    rf"[{_UNSPACED}][{_MARKS}]*|{_LETTER}{_IN_WORD}*(?:['’]+{_IN_WORD}+)*"
)
_UNSPACED_WORD = re.compile(rf"[{_UNSPACED}]")
_SYLLABIC_WORD = re.compile(rf"[{_SYLLABIC}]")
CHARACTERS_PER_WORD, SYLLABIC_CHARACTERS_PER_WORD = 2, 4
"""Of scripts without spaces, about: a word of Chinese text has 1.5 to 2 characters and one of
Japanese 2 to 3; one of Thai has some 4 letters, vowel signs above and below not counted."""
_TYPOGRAPHIC = (("’", "'"), ("“", " "), ("”", " "), ("–", " "), ("—", " "), ("…", " "))
"""The marks that stand in most English text: with these replaced, it is ASCII."""
_FOLDED = bytes(
    byte if byte >= 0x80 else ord(chr(byte).lower()) if chr(byte).isalnum() else 0x20
    for byte in range(256)
)
_PIECE_BYTES = 1 << 20

_BASE = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end, in characters, of each word of `word_hashes` in the text as it is written.

    A word is letters and digits, with apostrophes between them; a combining mark belongs to its
    letter. In scripts that put no spaces between words (`dedup.scripts`) each character is taken
    for a word; `length_in_words` tells how many words such characters are. Words that one character
    stands for (½, ㍿) have one place.
    """
    if text.isascii():
        return [found.span() for found in _WORD.finditer(text)]
    plain, starts, ends = aligned(text)
    return [
        (starts[found.start()], ends[found.end() - 1])
        for found in _WORD_OR_CHARACTER.finditer(plain)
    ]


def length_in_words(text: str) -> float:
    """How many words a text has, where characters of scripts without spaces are parts of one."""
    length = 0.0
    for word in normalized_text(text).decode("utf-8", "surrogatepass").split(" "):
        if not word:
            continue
        if word.isascii() or not _UNSPACED_WORD.match(word):
            length += 1
        elif _SYLLABIC_WORD.match(word):
            length += 1 / SYLLABIC_CHARACTERS_PER_WORD
        else:
            length += 1 / CHARACTERS_PER_WORD
    return length


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
    """The words of `normalized_text`."""
    return normalized_text(text).split()


def normalized_text(text: str) -> bytes:
    """The normalised words in UTF-8, with spaces between them.

    Without case, apostrophes and variants of form: `Don't` and `DONT` are one word. Texts of equal
    NFKC have the same words.

    What is no ASCII letter or digit ends a word, so only the pieces with other characters in them
    have to be read with a regular expression; the rest takes a byte table.
    """
    for mark, plain in _TYPOGRAPHIC:
        text = text.replace(mark, plain)
    if text.isascii():
        return text.encode().translate(_FOLDED, b"'")
    found = []
    for piece in text.encode("utf-8", "surrogatepass").translate(_FOLDED, b"'").split():
        if piece.isascii():
            found.append(piece)
            continue
        words = _WORD_OR_CHARACTER.findall(folded(piece.decode("utf-8", "surrogatepass")))
        if words:
            found.append(" ".join(words).replace("'", "").encode("utf-8", "surrogatepass"))
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
