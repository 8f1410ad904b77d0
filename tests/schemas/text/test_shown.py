from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from curate.schemas.text.shown import ShownStream, json_text, visible, visible_line

FORBIDDEN = {chr(c) for c in [*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x2028, 0x2029, 0x61C]}
FORBIDDEN |= {chr(c) for c in [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xD800, 0xE0041]}
ANY = st.text(st.characters() | st.sampled_from(sorted(FORBIDDEN)))


def test_what_steers_a_terminal_is_an_escape() -> None:
    assert visible("\x1b]0;x\x07 \u202ea\x9b\ud800\U000e0041") == (
        "\\x1b]0;x\\x07 \\u202ea\\x9b\\ud800\\U000e0041"
    )
    assert visible("a\tb\nc") == "a\tb\nc"
    assert visible_line("a\tb\nc") == "a\\x09b\\x0ac"


@given(ANY)
def test_nothing_forbidden_is_left(text: str) -> None:
    assert not FORBIDDEN & set(visible_line(text))
    stream = io.StringIO()
    ShownStream(stream, masks=False).write(text)
    assert not (FORBIDDEN - {"\n", "\t"}) & set(stream.getvalue())


@given(ANY)
def test_json_is_the_same_data(text: str) -> None:
    for ascii_only in (True, False):
        told = json_text([text], ascii_only=ascii_only)
        assert not FORBIDDEN & set(told)
        assert json.loads(told) == [text]
