from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.schemas.document import Document, ImageSegment, Segment, StoredImage, TextSegment
from curate.schemas.packed import PackedRow
from curate.schemas.page import Origin
from curate.tokenization.fitting import Fitted, fit_images, fit_lines
from curate.tokenization.formats import Formatter, TokenizedDocument, Unit, document_lines
from curate.tokenization.packing import pack
from curate.tokenization.vocabulary import BOS, EOS, Vocabulary

STORED = StoredImage(tar=0, offset=512, size=9, width=224, height=224)
SLOTS = 4


def document(*parts: str | None, identity: str = "d") -> Document:
    """Text segments, with None for an image."""
    segments: list[Segment] = [
        ImageSegment(url=f"http://h/{i}.png", stored=STORED)
        if part is None
        else TextSegment(text=part)
        for i, part in enumerate(parts)
    ]
    return Document(
        id=identity,
        source="web",
        url=f"http://h/{identity}",
        segments=tuple(segments),
        origin=Origin(warc_file="w", offset=0),
    )


@pytest.fixture(scope="module")
def vocabulary(small_model: bytes) -> Vocabulary:
    return Vocabulary(small_model)


def formatter(vocabulary: Vocabulary, format: str, **changes: bool) -> Formatter:
    return Formatter(
        vocabulary=vocabulary,
        format=format,
        image_slots=SLOTS,
        loss_on_image_token=changes.get("loss_on_image_token", False),
    )


def text_of_lengths(*lengths: int) -> TokenizedDocument:
    units = tuple(Unit((9,) * (n - 1) + (7,), (True,) * n) for n in lengths)
    return TokenizedDocument(document("x"), units)


def packed(
    *documents: TokenizedDocument, block: int = 128, split: bool = True, together: bool = True
) -> list[PackedRow]:
    """Rows of documents: those with images fitted whole, the others by their lines."""
    pieces = [piece for d in documents for piece in fitted(d, block, split).pieces]
    return list(pack(pieces, block, SLOTS, together=together))


def fitted(tokenized: TokenizedDocument, block: int, split: bool) -> Fitted:
    if any(unit.image for unit in tokenized.units):
        return fit_images(tokenized, block, SLOTS, split=split)
    return fit_lines(tokenized, block, split=split)


def test_text_format(vocabulary: Vocabulary) -> None:
    tokenized = formatter(vocabulary, "text").tokenize(document("the boat\n\nthe lamp"))
    one, two = vocabulary.encode(["the boat", "the lamp"])
    assert [u.tokens for u in tokenized.units] == [
        (*one, vocabulary.line_end),
        (*two, EOS),
    ]
    (row,) = packed(tokenized)
    assert row.input_ids == (BOS, *one, vocabulary.line_end, *two, EOS)
    assert row.loss_mask == (False,) + (True,) * (len(row.input_ids) - 1)


def test_an_empty_text_is_a_lone_separator(vocabulary: Vocabulary) -> None:
    tokenized = formatter(vocabulary, "text").tokenize(document())
    assert [u.tokens for u in tokenized.units] == [(EOS,)]


def test_pair_format(vocabulary: Vocabulary) -> None:
    tokenized = formatter(vocabulary, "pairs").tokenize(document(None, "the\nboat"))
    (row,) = packed(tokenized)
    (caption,) = vocabulary.encode(["the boat"])
    image = vocabulary.image
    expected = (BOS, *[image] * (1 + SLOTS), vocabulary.image_end, *caption, EOS)
    assert row.input_ids == expected
    assert row.loss_mask == (False,) * (3 + SLOTS) + (True,) * (len(caption) + 1)
    assert [(s.offset, s.length, s.image) for s in row.image_slots] == [(2, SLOTS, 0)]


@pytest.mark.parametrize("count_image", [False, True])
def test_interleaved_format(vocabulary: Vocabulary, count_image: bool) -> None:
    shown = document(None, "the boat\nthe lamp", None, "the sea")
    tokenized = formatter(vocabulary, "interleaved", loss_on_image_token=count_image).tokenize(
        shown
    )
    (row,) = packed(tokenized)
    boat, lamp, sea = vocabulary.encode(["the boat", "the lamp", "the sea"])
    image = (*[vocabulary.image] * (1 + SLOTS), vocabulary.image_end)
    text = (*boat, vocabulary.line_end, *lamp)
    assert row.input_ids == (BOS, *image, *text, *image, *sea, EOS)
    masked = (False,) * len(image)
    assert row.loss_mask == (
        *(False, *masked, *(True,) * len(text)),
        *(count_image, *masked[1:], *(True,) * (len(sea) + 1)),
    )


def test_instruction_format(vocabulary: Vocabulary) -> None:
    """Loss on the answer and `</s>`; the line end of the prompt is the prompt's."""
    asked = document("x")
    prompt = TextSegment(text="Name the colour.\nA red boat.", prompt=True)
    asked = asked.with_segments([prompt, TextSegment(text="It is red.\nRed.")])
    (unit,) = formatter(vocabulary, "instruction").tokenize(asked).units
    lines = vocabulary.encode(["Name the colour.", "A red boat.", "It is red.", "Red."])
    expected: list[tuple[int, bool]] = []
    for number, ids in enumerate(lines):
        end = EOS if number == 3 else vocabulary.line_end
        expected += [(token, number >= 2) for token in (*ids, end)]
    assert list(zip(unit.tokens, unit.targets, strict=True)) == expected


def test_a_caption_follows_its_image(vocabulary: Vocabulary) -> None:
    shown = document("the sea").with_segments(
        [
            ImageSegment(url="http://h/a.png", caption="the lamp", stored=STORED),
            TextSegment(text="the sea"),
        ]
    )
    (row,) = packed(formatter(vocabulary, "interleaved").tokenize(shown))
    assert vocabulary.decode(row.input_ids) == "the lamp\nthe sea"
    assert document_lines(shown) == ["the lamp", "the sea"]


@pytest.mark.parametrize(
    ("lengths", "cut", "split"),
    [
        ([3, 3, 3], [10], [10]),
        ([4, 5], [10], [10]),
        ([4, 6], [5, 7], [5, 7]),
        ([9, 1], [10, 2], [10, 2]),
        ([10, 3], [10, 4], [10, 5]),
        ([25], [10], [10, 10, 8]),
        ([], [], []),
    ],
)
def test_rows_take_whole_lines_while_they_fit(
    lengths: list[int], cut: list[int], split: list[int]
) -> None:
    """Block of 10: `<s>` and 9 more; a line of 10 and more is cut to 9, or goes on."""
    tokenized = text_of_lengths(*lengths)
    for is_split, rows in ((False, cut), (True, split)):
        made = packed(tokenized, block=10, split=is_split)
        assert [len(r.input_ids) for r in made] == rows
    losses = fitted(tokenized, 10, split=False).losses
    assert [(x.rule, x.value, x.limit, x.tokens) for x in losses] == [
        ("pack.line_too_long", n, 9, n - 9) for n in lengths if n >= 10
    ]
    assert fitted(tokenized, 10, split=True).losses == ()


def test_a_row_may_hold_several_documents_and_part_of_one() -> None:
    documents = [
        TokenizedDocument(document("x", identity=name), text_of_lengths(*lengths).units)
        for name, lengths in (("a", [3]), ("b", [3, 5]), ("c", [2]))
    ]
    spans = [[(d.id, d.start, d.end) for d in r.documents] for r in packed(*documents, block=10)]
    assert spans == [[("a", 1, 4), ("b", 4, 7)], [("b", 1, 6), ("c", 6, 8)]]


@given(
    texts=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), max_size=8),
    together=st.booleans(),
)
@settings(deadline=None)
def test_rows_are_never_too_long_and_nothing_is_lost(
    texts: list[list[int]], together: bool
) -> None:
    block = 24
    documents = [
        TokenizedDocument(document("x", identity=str(i)), text_of_lengths(*lengths).units)
        for i, lengths in enumerate(texts)
    ]
    rows = packed(*documents, block=block, together=together)
    assert all(len(r.input_ids) <= block and r.input_ids[0] == BOS for r in rows)
    assert all(len(r.input_ids) == len(r.loss_mask) for r in rows)
    for row in rows:
        edges = [1, *(e for d in row.documents for e in (d.start, d.end)), len(row.input_ids)]
        assert edges == sorted(edges)
        assert sum(d.end - d.start for d in row.documents) == len(row.input_ids) - 1
    tokens = [t for r in rows for t in r.input_ids[1:]]
    assert tokens == [t for d in documents for u in d.units for t in u.tokens]


PARTS = st.lists(
    st.one_of(st.none(), st.sampled_from(["the boat", "the lamp\nthe sea", "a net"])),
    min_size=1,
    max_size=9,
).filter(lambda parts: None in parts)


@given(parts=PARTS, block=st.integers(12, 40))
@settings(deadline=None)
def test_decoding_rows_gives_back_the_text(
    small_model: bytes, parts: list[str | None], block: int
) -> None:
    vocabulary = Vocabulary(small_model)
    shown = document(*parts)
    tokenized = formatter(vocabulary, "interleaved").tokenize(shown)
    if fitted(tokenized, block, split=True).losses:
        return
    rows = packed(tokenized, block=block)
    decoded = "\n".join(t for r in rows if (t := vocabulary.decode(r.input_ids)))
    if len(rows) == 1:
        assert decoded == "\n".join(document_lines(shown))
    for row in rows:
        for slot in row.image_slots:
            filled = row.input_ids[slot.offset : slot.offset + slot.length]
            assert set(filled) == {vocabulary.image}
            assert row.input_ids[slot.offset + slot.length] == vocabulary.image_end
