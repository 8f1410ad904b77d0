from __future__ import annotations

import pytest

from curate.filters.text.sentences import sentence_starts, trim_around_images
from curate.schemas.document import Document, Heading, ImageSegment, Segment, TextSegment
from curate.schemas.page import Origin


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("", []),
        ("   ", []),
        ("No mark at all", ["No mark at all"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('"Yes." She left (at once.) Then', ['"Yes."', "She left (at once.)", "Then"]),
        ("Mr. Smith and Dr. No came. They left.", ["Mr. Smith and Dr. No came.", "They left."]),
        ("It is 3.14 at example.org. Yes...", ["It is 3.14 at example.org.", "Yes..."]),
        ("船が来た。橋は静か！誰？", ["船が来た。", "橋は静か！", "誰？"]),
        ("नाव आई। घाट शांत है।", ["नाव आई।", "घाट शांत है।"]),
        ("ما هذا؟ لا شيء.", ["ما هذا؟", "لا شيء."]),
        ("  Spaces.  Around.  ", ["Spaces.", "Around."]),
    ],
)
def test_sentences(line: str, sentences: list[str]) -> None:
    starts = sentence_starts(line)
    ends = [*starts[1:], len(line)][: len(starts)]
    assert [line[a:b].strip() for a, b in zip(starts, ends, strict=True)] == sentences


IMAGE = ImageSegment(url="http://h/i.png")


def document(*segments: Segment) -> Document:
    return Document(
        id="d", source="web", url="u", segments=segments, origin=Origin(warc_file="w", offset=0)
    )


def test_the_nearest_sentences_stay_and_all_between_images() -> None:
    shown = document(
        TextSegment(text="Title\nOne. Two.\nThree. Four.", headings=(Heading(line=0, level=1),)),
        IMAGE,
        TextSegment(text="Ah. Be. Ce. De. Eh."),
        IMAGE,
        TextSegment(text="Five. Six.\nHead\nSeven.", headings=(Heading(line=1, level=2),)),
    )
    trimmed = trim_around_images(shown, 3)
    assert trimmed.document.segments == (
        TextSegment(text="Two.\nThree. Four."),
        IMAGE,
        TextSegment(text="Ah. Be. Ce. De. Eh."),
        IMAGE,
        TextSegment(text="Five. Six.\nHead", headings=(Heading(line=1, level=2),)),
    )
    assert (trimmed.before, trimmed.behind) == (2, 1)


def test_a_line_is_cut_behind_its_sentence() -> None:
    trimmed = trim_around_images(document(IMAGE, TextSegment(text="Ah. Be. Ce. De. Eh.")), 2)
    assert trimmed.document.segments == (IMAGE, TextSegment(text="Ah. Be."))
    assert (trimmed.before, trimmed.behind) == (0, 3)


@pytest.mark.parametrize(
    "shown", [document(TextSegment(text="Ah. Be. Ce.")), document(TextSegment(text="Ah."), IMAGE)]
)
def test_what_stays_as_it_is(shown: Document) -> None:
    trimmed = trim_around_images(shown, 1)
    assert (trimmed.document, trimmed.before, trimmed.behind) == (shown, 0, 0)
