"""Words are the same however a text is cased, punctuated and typeset."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedup.forms import folded
from curate.dedup.scripts import IDEOGRAPHS, LETTERS, character_class
from curate.dedup.words import ngram_hashes, normalized_words, word_hashes, word_spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The boats, the QUAY.", ["the", "boats", "the", "quay"]),
        ("Don't! “Don’t” dont", ["dont", "dont", "dont"]),
        ("well-known snake_case 3.14", ["well", "known", "snake", "case", "3", "14"]),
        ("Straße STRASSE ﬁne", ["strasse", "strasse", "fine"]),
        ("港は静か ok", ["港", "は", "静", "か", "ok"]),
        ("l'été d’hiver", ["lété", "dhiver"]),
        ("ﬁne ½ ㍿ Ⅷ ＡＢＣ１２ Ｄｏｎ＇ｔ", "fine 1 2 株 式 会 社 viii abc12 dont".split()),
        ("ﺍﻟﻜﺘﺎﺏ ﷺ", "الكتاب صلى الله عليه وسلم".split()),
        ("?! … —", []),
        ("", []),
    ],
)
def test_normalized_words(text: str, expected: list[str]) -> None:
    assert [w.decode() for w in normalized_words(text)] == expected


UNSPACED = re.compile(f"[{character_class(LETTERS)}{character_class(IDEOGRAPHS)}]")


def plain_words(text: str) -> list[str]:
    """Character by character, over the whole text: slow, and to be read beside the fast one."""
    found: list[str] = []
    inside = closed = False
    for letter in folded(text.replace("’", "'")):
        if UNSPACED.match(letter):
            found.append(letter)
            inside, closed = True, True
        elif letter.isalnum():
            if inside and not closed:
                found[-1] += letter
            else:
                found.append(letter)
            inside, closed = True, False
        elif unicodedata.category(letter)[0] == "M" and inside:
            found[-1] += letter
        elif letter != "'" or closed:
            inside = False
    return found


@given(st.text(alphabet=st.characters() | st.sampled_from("aB'’_- .。é港“—ก\u0301ｶﾞ"), max_size=60))
def test_the_fast_reading_is_the_plain_one(text: str) -> None:
    assert [w.decode("utf-8", "surrogatepass") for w in normalized_words(text)] == plain_words(text)


@given(
    st.text(alphabet=st.characters() | st.sampled_from("aB'’_- .。é港“—ｶﾞ½㍿ﷺᄒ\u200d"), max_size=60)
)
def test_each_word_has_its_place(text: str) -> None:
    found = normalized_words(text)
    spans = word_spans(text)
    assert len(spans) == len(found) == word_hashes(text).size
    assert spans == sorted(spans)
    for (start, end), word in zip(spans, found, strict=True):
        assert word in normalized_words(text[start:end])


def test_ngrams_are_equal_where_their_words_are() -> None:
    one = word_hashes("a b c d e f g")
    other = word_hashes("x b c d e y z")
    assert set(ngram_hashes(one, 4).tolist()) & set(ngram_hashes(other, 4).tolist()) == {
        int(ngram_hashes(word_hashes("b c d e"), 4)[0])
    }
    assert ngram_hashes(one, 8).size == 0
    assert len(np.unique(ngram_hashes(word_hashes("a b b a a b"), 2))) == 4
