"""Words in all scripts: marks with their letters, one word for every normal form."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.words import length_in_words, normalized_words, word_hashes, word_pattern, words

VIETNAMESE = "Người đánh cá ngồi vá lưới bên bến cảng yên tĩnh"
HINDI = "मछुआरे सुबह नाव पर बैठकर जाल ठीक करते हैं"
TAMIL = "மீனவர்கள் காலையில் வலைகளைச் சரி செய்கிறார்கள்"
KOREAN = "어부들은 아침에 그물을 고친다"
HEBREW = "הַדַּיָּגִים מְתַקְּנִים אֶת הָרְשָׁתוֹת"


@pytest.mark.parametrize("text", [VIETNAMESE, HINDI, TAMIL, KOREAN, HEBREW, "Café naïve, Ångström"])
def test_a_text_has_the_same_words_in_every_normal_form(text: str) -> None:
    expected = word_hashes(text)
    assert expected.size == len(text.split())
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert np.array_equal(word_hashes(unicodedata.normalize(form, text)), expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [("कि", "की"), ("कल", "काल"), ("மீன்", "மான்"), ("สี", "สู"), ("מֶלֶךְ", "מַלְכָּה"), ("ma", "má")],
)
def test_signs_tell_words_apart(one: str, other: str) -> None:
    assert normalized_words(one) != normalized_words(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("कि की", ["कि", "की"]),
        ("cafe\u0301 o'clock", ["cafe\u0301", "o'clock"]),
        ("ภาษาไทย", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("か\u3099く", ["か\u3099", "く"]),
        ("\u0301 a", ["a"]),
    ],
)
def test_marks_belong_to_their_letters(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert len(normalized_words(text)) == len(expected)


@given(st.text(st.sampled_from("ab'’\u0301\u0308कि्ी한ᄒ漢ท่ี \n-_ﷺ½\u200d\ud800"), max_size=40))
def test_each_word_as_written_is_one_normalised_word(text: str) -> None:
    assert len(words(text)) == word_hashes(text).size == len(normalized_words(text))
    spans = [found.span() for found in word_pattern(text).finditer(text)]
    assert [text[a:b] for a, b in spans] == words(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("which of the following is true", 6),
        ("下列说法正确的是", 4),
        ("次のうち正しいもの", 4.5),
        ("ข้อใดถูกต้อง", 2),
        ("GPT 模型 is 好", 3.5),
        ("मछुआरे जाल", 2),
    ],
)
def test_lengths_in_words(text: str, length: float) -> None:
    assert length_in_words(words(text)) == pytest.approx(length, abs=0.5)
