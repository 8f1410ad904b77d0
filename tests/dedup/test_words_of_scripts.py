"""Words in all scripts: marks with their letters, one word for every normal form."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedup.forms import aligned, folded
from curate.dedup.scripts import IDEOGRAPHS, LETTERS, character_class
from curate.dedup.words import length_in_words, normalized_words, word_hashes, word_spans

VIETNAMESE = "Người đánh cá ngồi vá lưới bên bến cảng yên tĩnh"
HINDI = "मछुआरे सुबह नाव पर बैठकर जाल ठीक करते हैं"
TAMIL = "மீனவர்கள் காலையில் வலைகளைச் சரி செய்கிறார்கள்"
KOREAN = "어부들은 아침에 그물을 고친다"
MARKS = "\u0301\u0316\u0344\u0345\u0334\u3099\uff9e\u0f73\u0323\u200d"
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
HEBREW = "הַדַּיָּגִים מְתַקְּנִים אֶת הָרְשָׁתוֹת"


@pytest.mark.parametrize("text", [VIETNAMESE, HINDI, TAMIL, KOREAN, HEBREW, "Café naïve, Ångström"])
def test_a_text_has_the_same_words_in_every_normal_form(text: str) -> None:
    expected = word_hashes(text)
    assert expected.size == len(text.split())
    for form in FORMS:
        assert np.array_equal(word_hashes(unicodedata.normalize(form, text)), expected)


@given(
    st.text(
        st.characters()
        | st.sampled_from(
            "aBé'’ ½ﬁﷺㄱᄒ\uffa1\uffc2\u1161한ｶﾞﾊﾟガＡ＇①™℃´\u0301\u0316\u0345ΐΪกำ漢\u200d"
        )
        | st.characters(min_codepoint=0xF900, max_codepoint=0xFFEF),
        max_size=30,
    )
)
def test_any_text_has_the_same_words_in_every_normal_form(text: str) -> None:
    expected = normalized_words(text)
    for form in FORMS:
        assert normalized_words(unicodedata.normalize(form, text)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ｶﾞｰﾄﾞﾚｰﾙの上", "ガードレールの上"),
        ("ﾊﾟﾋﾟﾌﾟ ﾜｯ", "パピプ ワッ"),
        ("Ｔｈｅ　ｑｕａｙ，１２", "The quay,12"),
        ("ﬁsh oﬃce ﬂoﬀ", "fish office floff"),
        ("ﺍﻟﻤﺮﻓﺄ ﻫﺎﺩﺉ", "المرفأ هادئ"),
        ("\uffa1\uffc2\uffa4", "\u1100\u1161\u1102"),
        ("㍿ ㌔ 5㎏", "株式会社 キロ 5kg"),
        ("x² ①② Ⅳ ½", "x2 12 IV 1⁄2"),
        ("豈更", "\u8c48\u66f4"),
        ("ㄅㄆㄇ", "ㄅ ㄆ ㄇ"),
    ],
)
def test_forms_of_one_text(one: str, other: str) -> None:
    assert normalized_words(one) == normalized_words(other)
    assert np.array_equal(word_hashes(one), word_hashes(other))


@pytest.mark.parametrize(
    "text",
    [
        "ㄅㄆㄇㄈ",
        "ꀀꀁꀂꀃ",
        "ꦲꦤꦕꦫ",
        "ꨀꨆꨊꨎ",
        "ᥐᥑᥒᥓ",
        "ᦀᦁᦂᦃ",
        "ᨠᨡᨢᨣ",
        "ꪀꪂꪄꪆ",
        "ᬅᬆᬇᬈ",
        "กขคง",
        "ກຂຄງ",
        "ကခဂဃ",
        "កខគឃ",
        "𗀀𗀁𗀂𗀃",
        "人々〆〇",
        "カヾーン",
    ],
)
def test_scripts_without_spaces_have_a_word_a_character(text: str) -> None:
    assert [word.decode() for word in normalized_words(text)] == list(text)
    assert word_spans(text) == [(i, i + 1) for i in range(4)]


def test_scripts_without_spaces_are_those_of_the_line_break_classes() -> None:
    """Of the characters that this Python knows: the list is of a later Unicode."""
    regex = pytest.importorskip("regex")
    for listed, classes in ((LETTERS, "SA AK AP AS"), (IDEOGRAPHS, "ID CJ NS")):
        wanted = regex.compile("[" + "".join(rf"\p{{lb={name}}}" for name in classes.split()) + "]")
        held = regex.compile(f"[{character_class(listed)}]")
        for code in range(0x80, 0x110000):
            letter = chr(code)
            if unicodedata.category(letter)[0] == "L" and folded(letter) == letter:
                assert bool(held.match(letter)) == bool(wanted.match(letter)), hex(code)


@given(
    st.text(
        st.characters() | st.sampled_from("aé½ﬁﷺᄒ\u1161한ｶﾞ\u0301\u0316\u0345กำ\u200d"), max_size=30
    )
)
def test_a_text_folds_cluster_by_cluster(text: str) -> None:
    plain, starts, ends = aligned(text)
    assert plain == folded(text)
    assert len(starts) == len(ends) == len(plain)


@given(
    st.lists(
        st.sampled_from("\u0301\u0316\u0344\u0334\u3099\uff9e\u0f73\u0323"),
        min_size=64,
        max_size=90,
    )
)
def test_long_runs_of_marks_are_sorted_as_normalization_sorts_them(marks: list[str]) -> None:
    text = f"é{''.join(marks)}b"
    folds = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    assert folded(text) == folds.replace("\u200d", "")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("ﾊﾞｽ停", ["ﾊﾞ", "ｽ", "停"]),
        ("ａ½ ok", ["ａ½", "½", "ok"]),
        ("㍿港", ["㍿", "㍿", "㍿", "㍿", "港"]),
        ("ﷺ.", ["ﷺ"] * 4),
        ("Ｄｏｎ＇ｔ go", ["Ｄｏｎ＇ｔ", "go"]),
    ],
)
def test_places_are_in_the_text_as_written(text: str, places: list[str]) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == places


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
    assert [text[start:end] for start, end in word_spans(text)] == expected
    assert len(normalized_words(text)) == len(expected)


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
    assert length_in_words(text) == pytest.approx(length, abs=0.5)
