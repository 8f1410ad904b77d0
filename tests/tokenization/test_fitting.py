from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.schemas.document import Document
from curate.schemas.packed import PackedImage
from curate.schemas.page import Origin
from curate.tokenization.fitting import Fitted, fit_images
from curate.tokenization.formats import TokenizedDocument, Unit
from curate.tokenization.vocabulary import EOS

SLOTS = 4
HEAD = SLOTS + 2
"""Tokens of an image: the opening, its slots, the closing."""

DOCUMENT = Document(
    id="d", source="web", url="u", segments=(), origin=Origin(warc_file="w", offset=0)
)


def tokenized(*lengths: int) -> TokenizedDocument:
    """Units of text, or with a minus an image and as many tokens in all; `</s>` is the last."""
    units = []
    token = 100
    for number, length in enumerate(lengths):
        tokens = tuple(range(token, token + abs(length)))
        token += abs(length)
        image = None
        if length < 0:
            image = PackedImage(
                url=f"http://h/{number}", key=b"", tar=0, offset=0, size=0, width=1, height=1
            )
        if number == len(lengths) - 1:
            tokens = (*tokens[:-1], EOS)
        units.append(Unit(tokens, (True,) * len(tokens), image))
    return TokenizedDocument(DOCUMENT, tuple(units))


def shape(fitted: Fitted) -> list[list[int]]:
    """The units of each piece, as `tokenized` takes them."""
    return [
        [len(u.tokens) * (-1 if u.image is not None else 1) for u in piece.units]
        for piece in fitted.pieces
    ]


@pytest.mark.parametrize(
    ("lengths", "block", "cut", "lost", "images"),
    [
        # It fits.
        ([3, -8, 4], 16, [[3, -8, 4]], 0, 0),
        # The text behind goes, `</s>` ends the row.
        ([3, -8, 9], 16, [[3, -8, 4]], 5, 0),
        # The second image does not fit whole, so nothing of it stays.
        ([-8, -8], 14, [[-8, 1]], 7, 1),
        ([-8, -9], 16, [[-8, -7]], 2, 0),
        # Long text before: the row begins later, for a row without an image is none.
        ([20, 3, -8, 4], 16, [[3, -8, 4]], 20, 0),
        ([20, -8, 4], 16, [[-8, 4]], 20, 0),
        ([9, -30, -8], 16, [[-15]], 32, 1),
    ],
)
def test_cut(lengths: list[int], block: int, cut: list[list[int]], lost: int, images: int) -> None:
    document = tokenized(*lengths)
    fitted = fit_images(document, block, SLOTS, split=False)
    assert shape(fitted) == cut
    assert sum(x.tokens for x in fitted.losses) == lost
    assert len(fitted.lost_images) == images
    assert fitted.pieces[0].units[-1].tokens[-1] == EOS
    for loss in fitted.losses:
        assert (loss.rule, loss.value, loss.limit) == (
            "pack.document_too_long", 1 + document.length, block,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "block", "split", "lost"),
    [
        ([3, -8, 4], 16, [[3, -8, 4]], 0),
        ([-8, -8, 2], 14, [[-8], [-8, 2]], 0),
        # The last image takes the text behind it along.
        ([-8, -7, 8], 18, [[-8], [-7, 8]], 0),
        # Text alone has no row: it is told, and `</s>` ends what stays.
        ([-8, 5, 6], 16, [[-8, 6]], 5),
        # Text before the image that no row with an image has room for.
        ([14, 3, -8, 4], 16, [[3, -8, 4]], 14),
        # A line longer than a row goes on, its image in the first part; of the last 5 tokens, 4
        # find no image, and the first row is full.
        ([-20, -8], 16, [[-15], [5, -8]], 0),
        ([-8, 30, -8, 3], 16, [[-8], [-8, 3]], 30),
    ],
)
def test_split(lengths: list[int], block: int, split: list[list[int]], lost: int) -> None:
    fitted = fit_images(tokenized(*lengths), block, SLOTS, split=True)
    assert shape(fitted) == split
    assert sum(x.tokens for x in fitted.losses) == lost
    assert fitted.lost_images == ()
    assert {x.rule for x in fitted.losses} <= {"pack.text_without_image"}


LENGTHS = st.lists(
    st.one_of(st.integers(1, 60), st.integers(-60, -HEAD - 1)), min_size=1, max_size=12
).filter(lambda lengths: min(lengths) < 0)


@given(lengths=LENGTHS, block=st.integers(HEAD + 3, 50), split=st.booleans())
def test_every_token_and_image_is_in_a_piece_or_told(
    lengths: list[int], block: int, split: bool
) -> None:
    document = tokenized(*lengths)
    fitted = fit_images(document, block, SLOTS, split=split)
    assert all(0 < piece.length < block for piece in fitted.pieces)
    assert all(piece.images for piece in fitted.pieces)
    lost = sum(x.tokens for x in fitted.losses)
    assert document.length == sum(piece.length for piece in fitted.pieces) + lost
    wanted = [unit.image for unit in document.units if unit.image is not None]
    held = [image for piece in fitted.pieces for image in piece.images]
    assert [*held, *fitted.lost_images] == wanted
    kept = [t for piece in fitted.pieces for unit in piece.units for t in unit.tokens]
    everything = [t for unit in document.units for t in unit.tokens]
    in_order = iter(everything[:-1])
    assert all(token in in_order for token in kept if token != EOS)
    for piece in fitted.pieces:
        for unit in piece.units:
            if unit.image is not None:
                assert len(unit.tokens) >= HEAD
    if split:
        assert fitted.lost_images == ()
    assert kept[-1] == EOS
