"""Lists of words: the ones that ship, and the user's own files."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

import fsspec

from curate.schemas.errors import UsageError

STOP_WORDS = "english_stop_words"
ADULT_WORDS = "adult_words"
ADULT_SOFT_WORDS = "adult_soft_words"


class ListError(UsageError):
    """A list that a rule names can't be read."""


@lru_cache(maxsize=8)
def shipped_words(name: str) -> frozenset[str]:
    """The words of `filters/lists/NAME.txt`."""
    return frozenset(
        _words(files("curate.filters").joinpath("lists", f"{name}.txt").read_text("utf-8"))
    )


@lru_cache(maxsize=8)
def words_of_file(path: str, key: str) -> frozenset[str]:
    """The words of a text file, apart by spaces or lines, in lower case; `#` starts a comment.

    Args:
        path: where it lies.
        key: of the recipe that names it, for the message.

    Raises:
        ListError: it can't be read.
    """
    return frozenset(_words(_text_of(path, key)))


@lru_cache(maxsize=8)
def phrases_of_files(paths: tuple[str, ...], key: str) -> re.Pattern[str]:
    """What finds the words and phrases of text files, one a line, in text in lower case.

    Args:
        paths: where the files lie; `#` starts a comment in them.
        key: of the recipe that names them, for the message.

    Raises:
        ListError: one can't be read, or there is nothing in any.
    """
    lines = (line.split("#")[0] for path in paths for line in _text_of(path, key).splitlines())
    phrases = sorted({" ".join(line.lower().split()) for line in lines} - {""})
    if not phrases:
        raise ListError(f"{key}: there is no word in {', '.join(paths)}")
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, phrases))})(?!\w)")


def _text_of(path: str, key: str) -> str:
    try:
        with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as stream:
            text: str = stream.read()
            return text
    except (OSError, UnicodeDecodeError) as error:
        raise ListError(f"{key}: the list {path} can't be read: {error}") from error


def _words(text: str) -> list[str]:
    return " ".join(line.split("#")[0] for line in text.lower().splitlines()).split()
