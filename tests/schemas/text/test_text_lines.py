"""Lines and paragraphs of documents, and documents without some of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.schemas.document import Document, Heading, ImageSegment, TextSegment
from curate.schemas.page import Origin
from curate.schemas.text.text_lines import Unit, units, without_units


def document(*segments: str | ImageSegment) -> Document:
    made = tuple(TextSegment(text=s) if isinstance(s, str) else s for s in segments)
    return Document(
        id="d", source="s", url="http://h/", origin=Origin(warc_file="f", offset=0), segments=made
    )


PICTURE = ImageSegment(url="http://h/i.png")
MIXED = document("one \n two\n\nthree", PICTURE, "four\n\n\n five\nsix")


@pytest.mark.parametrize(
    ("unit", "found"),
    [
        ("line", ["one", "two", "three", "four", "five", "six"]),
        ("paragraph", ["one\ntwo", "three", "four", "five\nsix"]),
    ],
)
def test_units(unit: Unit, found: list[str]) -> None:
    assert units(MIXED, unit) == found


def test_images_keep_their_places() -> None:
    left = without_units(MIXED, "paragraph", {0, 2})
    assert [s.text if isinstance(s, TextSegment) else s.url for s in left.segments] == [
        "\nthree",
        PICTURE.url,
        "\n\n five\nsix",
    ]


def test_headings_move_with_their_lines() -> None:
    text = TextSegment(text="gone\nTitle\nbody", headings=(Heading(line=1, level=2),))
    left = without_units(document().with_segments([text]), "line", {0})
    assert left.segments == (TextSegment(text="Title\nbody", headings=(Heading(line=0, level=2),)),)


@given(st.lists(st.text(" ab\n"), max_size=4), st.sampled_from(["line", "paragraph"]))
def test_what_is_left_are_the_other_units(texts: list[str], unit: Unit) -> None:
    whole = document(*texts)
    found = units(whole, unit)
    gone = set(range(0, len(found), 2))
    lines = [line for n, text in enumerate(found) if n not in gone for line in text.split("\n")]
    assert units(without_units(whole, unit, gone), "line") == lines
    assert without_units(whole, unit, set(range(len(found)))).segments == ()
