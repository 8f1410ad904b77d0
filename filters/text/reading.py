"""A text as the quality rules read it: words, lines and paragraphs, each found once."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
import numpy.typing as npt

_TOKEN = re.compile(
    r"""(?!cannot\b)[^\W\d_]++(?=[\s,;])                   # most words, found soonest
    |(?:https?://|www\.)\S*[^\s.,;:!?"'”’)\]}>]         # address
    |[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+
    |(?>\d+(?:[.,:/'’–]\d+){0,20})(?![^\W\d_]|[.]\w)|\d+(?=[aApP][mM]\b)   # number; 9am: 9, am
    |(?:[^\W\d_]\.){2,}|[A-Z]\.(?=\s)|(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|Inc|Co|Ltd|Ph\.D)\.
    |[^\W\d_]+(?=n['’]t\b)|can(?=not\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b   # don't: do, n't
    |(?:(?<!\S)[-/.@])?[^\W_](?:[^\W_]|_+(?=[^\W_])|[&([]\w|\.[a-z0-9]|-\d|[=:]['"]?\d
        |['’](?!(?:s|re|ve|ll|d|m)\b)\w)*(?:\+\+|[)\]]*¶)?
    |\.{2,}|-{2,}|~+
    |[^\w\s]|_""",
    re.VERBOSE,
)
"""As spaCy's English tokenizer divides text, which the published thresholds were measured with.

What may fail after a long run is bounded, so that no text takes more than linear time."""

_SENTENCE_END = re.compile(r"(?<![.!?…。！？])[.!?…。！？]++[\"'”’)\]]*+(?=\s|$)")
_ABBREVIATION = re.compile(
    r"(?:^|\s|\()(?:[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Inc)\.$"
)


_LONGEST_ABBREVIATION = 20
"""Characters before the mark that are looked at."""


class Reading:
    """One text; what is asked of it is computed when it is first asked."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def tokens(self) -> list[str]:
        """Words, numbers and marks of punctuation, in order."""
        return _TOKEN.findall(self.text)

    @cached_property
    def words(self) -> list[str]:
        """Tokens with a letter or digit."""
        return [t for t in self.tokens if t[0].isalnum() or any(map(str.isalnum, t))]

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def token_numbers(self) -> npt.NDArray[np.uint64]:
        """A number per token, equal for equal tokens; shape (tokens,)."""
        numbers: dict[str, int] = {}
        found = [numbers.setdefault(t, len(numbers)) for t in self.tokens]
        return np.array(found, np.uint64)

    @cached_property
    def token_ends(self) -> npt.NDArray[np.int64]:
        """Characters in all tokens up to each, itself included; a 0 before the first."""
        return np.concatenate([[0], np.cumsum(list(map(len, self.tokens)), dtype=np.int64)])


def is_abbreviated(line: str, mark: int) -> bool:
    """Whether the point at a position belongs to an abbreviation or an initial."""
    start = max(mark - _LONGEST_ABBREVIATION, 0)
    return _ABBREVIATION.search(line, start, mark + 1) is not None


def count_sentences(line: str) -> int:
    """Sentences of a line: at least one where it has text."""
    ends = 0
    last = 0
    for found in _SENTENCE_END.finditer(line):
        if found.end() < len(line) and is_abbreviated(line, found.start()):
            continue
        ends += 1
        last = found.end()
    return ends + bool(line[last:].strip())


def repeated(items: list[str]) -> tuple[int, int]:
    """How many items occurred before in the list, and their characters."""
    seen: set[str] = set()
    count = characters = 0
    for item in items:
        if item in seen:
            count += 1
            characters += len(item)
        else:
            seen.add(item)
    return count, characters
