"""What of a document fits into rows: decided before packing, and all that does not is told.

    TokenizedDocument ──fit──▶ pieces, each for one row whole ──packing──▶ rows
                          └──▶ text and images that no row holds ──▶ ledger

A piece of a document with images holds an image, so no row of an interleaved source is without one.
Every token of a document is in one piece or told as lost: `length = pieces + lost tokens`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.schemas.document import Document
from curate.schemas.packed import PackedImage
from curate.tokenization.formats import TokenizedDocument, Unit
from curate.tokenization.vocabulary import EOS


@dataclass(frozen=True, slots=True)
class Piece:
    """Units of one document that packing never parts."""

    document: Document
    units: tuple[Unit, ...]

    @property
    def length(self) -> int:
        """Tokens."""
        return sum(len(u.tokens) for u in self.units)

    @property
    def images(self) -> tuple[PackedImage, ...]:
        return tuple(u.image for u in self.units if u.image is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Text that no row holds."""

    rule: str
    value: int
    """Tokens of what was too long."""
    limit: int
    tokens: int
    """Tokens that are in no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A document's pieces in their order, and what was left out of them."""

    pieces: tuple[Piece, ...]
    losses: tuple[Loss, ...] = ()
    lost_images: tuple[PackedImage, ...] = ()


def fit_lines(tokenized: TokenizedDocument, block: int, *, split: bool) -> Fitted:
    """A text: every line is a piece, for rows take whole lines (spec of full-sentence packing).

    A line of `block` tokens or more is split, or cut to `block` - 1 as the released loader does.
    """
    room = block - 1
    pieces: list[Piece] = []
    losses: list[Loss] = []
    for unit in tokenized.units:
        length = len(unit.tokens)
        if length > room and not split:
            losses.append(
                Loss(rule="pack.line_too_long", value=length, limit=room, tokens=length - room)
            )
            unit = _part(unit, 0, room)
        pieces += [Piece(tokenized.document, (part,)) for part in _parts(unit, room)]
    return Fitted(pieces=tuple(pieces), losses=tuple(losses))


def fit_images(
    tokenized: TokenizedDocument, block: int, image_slots: int, *, split: bool
) -> Fitted:
    """A document with images: one piece where it fits; else it is cut, or goes on in further rows.

    Cut, it ends with `</s>` where the row ends, as released, and begins no earlier than its first
    image allows. Split, each further piece begins where the last one ended, or as much later as it
    takes to hold the next image.
    """
    room = block - 1
    units = tokenized.units
    if tokenized.length <= room:
        return Fitted(pieces=(Piece(tokenized.document, units),))
    head = image_slots + 2
    if split:
        rule = "pack.text_without_image"
        groups = _split([part for unit in units for part in _parts(unit, room)], room)
    else:
        rule = "pack.document_too_long"
        first = _next_images(units)[0]
        begin = _begin(units, 0, first, room - head - 1)
        groups = [_cut(units[begin:], room, head)]
    pieces = tuple(Piece(tokenized.document, tuple(group)) for group in groups)
    held = sum(len(piece.images) for piece in pieces)
    images = [unit.image for unit in units if unit.image is not None]
    lost = tokenized.length - sum(piece.length for piece in pieces)
    loss = Loss(rule=rule, value=1 + tokenized.length, limit=block, tokens=lost)
    return Fitted(
        pieces=pieces,
        losses=(loss,) if lost else (),
        lost_images=tuple(images[held:]),
    )


def _cut(units: Sequence[Unit], room: int, head: int) -> list[Unit]:
    """Units from the first on while they fit, the last one cut; `</s>` ends them."""
    kept: list[Unit] = []
    for unit in units:
        closing = 0 if unit is units[-1] else 1
        if len(unit.tokens) > room - closing:
            if unit.image is not None and room - 1 < head:
                # An image is never cut.
                return [*kept, Unit((EOS,), (True,))]
            cut = _part(unit, 0, room - 1)
            return [*kept, Unit((*cut.tokens, EOS), (*cut.targets, True), cut.image)]
        kept.append(unit)
        room -= len(unit.tokens)
    return kept


def _begin(units: Sequence[Unit], start: int, image: int, before: int) -> int:
    """The first unit, from `start` on, with at most `before` tokens between it and the image's."""
    begin = min(image, len(units))
    while begin > start and before >= len(units[begin - 1].tokens):
        begin -= 1
        before -= len(units[begin].tokens)
    return begin


def _split(units: Sequence[Unit], room: int) -> list[list[Unit]]:
    """Consecutive units in groups of at most `room` tokens, an image in each."""
    groups: list[list[Unit]] = []
    next_image = _next_images(units)
    start = 0
    while start < len(units):
        image = next_image[start]
        if image == len(units):
            groups[-1:] = [_ended(group, room) for group in groups[-1:]]
            break
        begin = _begin(units, start, image, room - len(units[image].tokens))
        end, held = begin, 0
        while end < len(units) and held + len(units[end].tokens) <= room:
            held += len(units[end].tokens)
            end += 1
        if end < len(units) and next_image[end] == len(units):
            # Text alone is left: the last image goes with it, where another stays here.
            last = max(i for i in range(begin, end) if units[i].image is not None)
            if next_image[begin] < last:
                end = last
        groups.append(list(units[begin:end]))
        start = end
    return groups


def _ended(units: list[Unit], room: int) -> list[Unit]:
    """With `</s>` behind it, in place of the last token where there is no room."""
    length = sum(len(u.tokens) for u in units)
    last = units[-1]
    kept = len(last.tokens) - (length >= room)
    ended = Unit((*last.tokens[:kept], EOS), (*last.targets[:kept], True), last.image)
    return [*units[:-1], ended]


def _next_images(units: Sequence[Unit]) -> list[int]:
    """For each unit the number of the first one from it on that has an image; else of the end."""
    following = [len(units)] * (len(units) + 1)
    for number in range(len(units) - 1, -1, -1):
        following[number] = number if units[number].image is not None else following[number + 1]
    return following


def _parts(unit: Unit, room: int) -> list[Unit]:
    """A unit in parts of at most `room` tokens; its image is in the first."""
    return [_part(unit, start, room) for start in range(0, len(unit.tokens), room)]


def _part(unit: Unit, start: int, length: int) -> Unit:
    end = start + length
    image = unit.image if start == 0 else None
    return Unit(unit.tokens[start:end], unit.targets[start:end], image)
