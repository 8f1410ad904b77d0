"""Words are the same however a text is cased, punctuated and typeset."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.words import ngram_hashes, normalized_word, normalized_words, word_hashes, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The boats, the QUAY.", ["the", "boats", "the", "quay"]),
        ("Don't! “Don’t” dont", ["dont", "dont", "dont"]),
        ("well-known snake_case 3.14", ["well", "known", "snake", "case", "3", "14"]),
        ("Straße STRASSE ﬁne", ["strasse", "strasse", "fine"]),
        ("港は静か ok", ["港", "は", "静", "か", "ok"]),
        ("l'été d’hiver", ["lété", "dhiver"]),
        ("?! … —", []),
        ("", []),
    ],
)
def test_normalized_words(text: str, expected: list[str]) -> None:
    assert [w.decode() for w in normalized_words(text)] == expected


@given(st.text(alphabet=st.characters() | st.sampled_from("aB'’_- .。é港“—"), max_size=60))
def test_the_fast_reading_is_the_plain_one(text: str) -> None:
    plain = [normalized_word(w).encode("utf-8", "surrogatepass") for w in words(text)]
    assert normalized_words(text) == plain


def test_ngrams_are_equal_where_their_words_are() -> None:
    one = word_hashes("a b c d e f g")
    other = word_hashes("x b c d e y z")
    assert set(ngram_hashes(one, 4).tolist()) & set(ngram_hashes(other, 4).tolist()) == {
        int(ngram_hashes(word_hashes("b c d e"), 4)[0])
    }
    assert ngram_hashes(one, 8).size == 0
    assert len(np.unique(ngram_hashes(word_hashes("a b b a a b"), 2))) == 4
