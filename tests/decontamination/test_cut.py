"""Cutting, against the reference's way with text and on whole documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.decontamination.cut import cut_document, kept_pieces
from curate.schemas.document import Document, Heading, ImageSegment, TextSegment
from curate.schemas.page import Origin


def split_text(text: str, start: int, each_side: int, length: int) -> tuple[str, str]:
    """What Megatron-LM's tools/openwebtext/filter_ngrams.py keeps before and after a match."""
    position = start - each_side
    while position > 0 and text[position] not in ".!?":
        position -= 1
    before = text[: position + 1] if position > 0 else ""
    position = start + length + each_side
    while position < len(text) and text[position] not in ".!?":
        position += 1
    return before, text[position + 1 :]


@given(
    st.text(alphabet="ab .!?", min_size=30, max_size=200), st.integers(0, 29), st.integers(0, 20)
)
def test_one_match_is_cut_as_the_reference_cuts_it(text: str, start: int, each_side: int) -> None:
    expected = [piece for piece in split_text(text, start, each_side, 5) if len(piece) > 3]
    pieces = kept_pieces(text, [(start, start + 5)], each_side, 3)
    assert [text[a:b] for a, b in pieces] == expected


TEXT = "Aaaa. Bbbb bb. ITEM one here. Cccc c. Dddd. ITEM two. Eeee ee."


@pytest.mark.parametrize(
    ("matches", "around", "min_piece", "expected"),
    [
        ([], 0, 0, [TEXT]),
        ([(15, 23)], 0, 0, ["Aaaa. Bbbb bb.", " Cccc c. Dddd. ITEM two. Eeee ee."]),
        ([(15, 23)], 8, 0, ["Aaaa.", " Dddd. ITEM two. Eeee ee."]),
        ([(15, 19), (18, 23), (44, 48)], 0, 0, ["Aaaa. Bbbb bb.", " Cccc c. Dddd.", " Eeee ee."]),
        ([(15, 23), (44, 48)], 0, 13, ["Aaaa. Bbbb bb.", " Cccc c. Dddd."]),
        ([(0, 62)], 0, 0, []),
        ([(44, 48)], 100, 0, []),
    ],
    ids=["none", "to sentence ends", "sides", "overlapping", "short piece", "all", "wide"],
)
def test_pieces(matches: list, around: int, min_piece: int, expected: list[str]) -> None:
    assert [TEXT[a:b] for a, b in kept_pieces(TEXT, matches, around, min_piece)] == expected


def test_a_document_is_cut_in_its_segments_and_images_stay() -> None:
    first = TextSegment(
        text="Title\nOne line. Another line.\nSub\nThird.",
        headings=(Heading(line=0, level=1), Heading(line=2, level=2)),
    )
    images = [ImageSegment(url=f"http://h/{n}.png") for n in range(2)]
    second = TextSegment(text="goes on. ITEM is here. The end.", continues=True)
    document = Document(
        id="d",
        source="s",
        url="",
        segments=(first, images[0], second, images[1]),
        origin=Origin(warc_file="f", offset=0),
    )
    text = document.text
    start = text.index("Another")
    pieces = kept_pieces(text, [(start, start + 7), (text.index("ITEM"), text.index(" is"))], 0, 0)
    cut = cut_document(document, pieces)
    assert cut.segments == (
        TextSegment(
            text="Title\nOne line.\nSub\nThird.",
            headings=(Heading(line=0, level=1), Heading(line=2, level=2)),
        ),
        images[0],
        TextSegment(text="goes on.\nThe end.", continues=True),
        images[1],
    )
    assert cut_document(document, [(0, len(text))]).segments == document.segments
    gone = cut_document(document, [(0, 5)])
    assert [s.text for s in gone.segments if isinstance(s, TextSegment)] == ["Title", ""]
