"""Normal forms are Unicode's, however many marks stand in a row."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.schemas.text.normal_form import Form, class_of, normalized

MARKS = "\u0301\u0316\u0344\u0345\u0334\u3099\uff9e\u0f73\u0323\u1161\u302e"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@given(
    st.text(st.characters() | st.sampled_from("aéカ한ﾞ"), max_size=5),
    st.text(st.sampled_from(MARKS), min_size=60, max_size=90),
    st.text(st.characters() | st.sampled_from(MARKS), max_size=5),
)
def test_the_form_is_unicodes(form: Form, before: str, marks: str, after: str) -> None:
    text = before + marks + after
    assert normalized(form, text) == unicodedata.normalize(form, text)


def test_a_class_of_characters() -> None:
    assert class_of(map(ord, "abcdxz")) == "a-dx-xz-z"
