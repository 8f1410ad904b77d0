"""Text to words, and words to numbers: what every comparison of texts starts from."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt
import xxhash

NORMALIZATION = "words-1"
"""Version of this module's reading of text; signatures of different versions don't compare."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f"
)
_WORD = re.compile(r"[^\W_]+(?:['’]+[^\W_]+)*")
_WORD_OR_CHARACTER = re.compile(
    rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+(?:['’]+(?:(?![{_UNSPACED}])[^\W_])+)*"
)
_APOSTROPHES = re.compile("['’]+")
_TYPOGRAPHIC = (("’", "'"), ("“", " "), ("”", " "), ("–", " "), ("—", " "), ("…", " "))
"""The marks that stand in most English text: with these replaced, it is ASCII."""
_FOLDED = bytes(
    byte if byte >= 0x80 else ord(chr(byte).lower()) if chr(byte).isalnum() else 0x20
    for byte in range(256)
)
_CACHED_WORDS = 400_000

Hashes = npt.NDArray[np.uint64]


class _WordHashes(dict[bytes, int]):
    """Hash by word; full, it is emptied, so that its memory is bounded."""

    def __missing__(self, word: bytes) -> int:
        if len(self) >= _CACHED_WORDS:
            self.clear()
        value = self[word] = xxhash.xxh3_64_intdigest(word)
        return value


_hashes = _WordHashes()


def word_pattern(text: str) -> re.Pattern[str]:
    """What a word of the text is: letters and digits, with apostrophes between them.

    In scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) each
    character counts as a word.
    """
    return _WORD if text.isascii() else _WORD_OR_CHARACTER


def words(text: str) -> list[str]:
    """The words as they are written."""
    return word_pattern(text).findall(text)


def normalized_word(word: str) -> str:
    """Without case, apostrophes and variants of form: `Don't` and `DONT` are one word."""
    return _APOSTROPHES.sub("", unicodedata.normalize("NFKC", word).casefold())


def word_hashes(text: str) -> Hashes:
    """64-bit hashes of the normalised words, shape (words,)."""
    found = normalized_words(text)
    return np.fromiter(map(_hashes.__getitem__, found), np.uint64, len(found))


def normalized_words(text: str) -> list[bytes]:
    """`normalized_word` of each of `words`, in UTF-8: a fifth of the time by way of bytes.

    What is no ASCII letter or digit ends a word in both, so that only the pieces with other
    characters in them have to be read as `words` reads them.
    """
    for mark, plain in _TYPOGRAPHIC:
        text = text.replace(mark, plain)
    pieces = text.encode("utf-8", "surrogatepass").translate(_FOLDED, b"'").split()
    if text.isascii():
        return pieces
    found = []
    for piece in pieces:
        if piece.isascii():
            found.append(piece)
        else:
            for word in _WORD_OR_CHARACTER.findall(piece.decode("utf-8", "surrogatepass")):
                found.append(normalized_word(word).encode("utf-8", "surrogatepass"))
    return found


def mix(values: Hashes) -> Hashes:
    """Spread 64-bit values over all their bits (the finalizer of MurmurHash3)."""
    mixed = values ^ (values >> np.uint64(33))
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed


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
