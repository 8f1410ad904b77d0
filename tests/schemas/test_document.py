from __future__ import annotations

import pyarrow as pa

from curate.schemas.document import (
    DOCUMENT_SCHEMA,
    Document,
    ImageSegment,
    StoredImage,
    TextSegment,
    document_from_row,
    document_to_row,
    join_adjacent_text,
)
from curate.schemas.page import Origin

DOCUMENT = Document(
    id="ab",
    source="web",
    url="http://h/p",
    origin=Origin(warc_file="a.warc.gz", offset=3, length=9),
    date="2024-01-01T00:00:00Z",
    title="T",
    scores={"b": 2.0, "a": 1.5},
    segments=(
        TextSegment(text="one\ntwo"),
        ImageSegment(url="http://h/i.png", alt="alt", caption="cap", width=3, height=4),
        TextSegment(text="three", continues=True, prompt=True),
        ImageSegment(
            url="http://h/j.png",
            stored=StoredImage(tar=1, offset=512, size=10, width=224, height=224),
        ),
    ),
)


def test_a_document_survives_arrow() -> None:
    table = pa.Table.from_pylist([document_to_row(DOCUMENT)], DOCUMENT_SCHEMA)
    assert document_from_row(table.to_pylist()[0]) == DOCUMENT


def test_text_around_a_removed_image_is_joined() -> None:
    segments = [TextSegment(text="a"), TextSegment(text=" "), TextSegment(text="b")]
    assert join_adjacent_text(segments) == (TextSegment(text="a\nb"),)
    segments = [TextSegment(text="a"), TextSegment(text="b", continues=True)]
    assert join_adjacent_text(segments) == (TextSegment(text="a b"),)


def test_a_prompt_is_not_joined_with_its_answer() -> None:
    asked = [TextSegment(text="Q1", prompt=True), TextSegment(text="Q2", prompt=True)]
    joined = join_adjacent_text([*asked, TextSegment(text="A1"), TextSegment(text="A2")])
    assert joined == (TextSegment(text="Q1\nQ2", prompt=True), TextSegment(text="A1\nA2"))
