"""Full-sentence packing (RoBERTa's FULL-SENTENCES, as KOSMOS-1's released loader does it).

    <s> piece piece piece | <s> piece piece ... | <s> ...

A row opens with `<s>` and takes whole pieces of consecutive documents while they fit: lines of a
text, a document with images as far as a row holds it (tokenization/fitting.py). A row may end in
the middle of a document, and nothing marks the cut. Inside a row `</s>` alone parts documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from curate.schemas.document import Document
from curate.schemas.packed import DocumentSpan, ImageSlots, PackedImage, PackedRow
from curate.tokenization.fitting import Piece
from curate.tokenization.formats import Unit
from curate.tokenization.vocabulary import BOS


@dataclass(slots=True)
class _OpenRow:
    tokens: list[int] = field(default_factory=lambda: [BOS])
    targets: list[bool] = field(default_factory=lambda: [False])
    slots: list[ImageSlots] = field(default_factory=list)
    images: list[PackedImage] = field(default_factory=list)
    documents: list[DocumentSpan] = field(default_factory=list)

    def add(self, document: Document, unit: Unit, image_slots: int) -> None:
        start = len(self.tokens)
        self.tokens.extend(unit.tokens)
        self.targets.extend(unit.targets)
        if unit.image is not None:
            self.slots.append(
                ImageSlots(offset=start + 1, length=image_slots, image=len(self.images))
            )
            self.images.append(unit.image)
        if self.documents and self.documents[-1].id == document.id:
            start = self.documents.pop().start
        self.documents.append(
            DocumentSpan(
                id=document.id,
                url=document.url,
                warc_file=document.origin.warc_file,
                offset=document.origin.offset,
                length=document.origin.length,
                inside=document.origin.inside,
                start=start,
                end=len(self.tokens),
            )
        )

    def close(self) -> PackedRow:
        return PackedRow(
            input_ids=tuple(self.tokens),
            loss_mask=tuple(self.targets),
            image_slots=tuple(self.slots),
            images=tuple(self.images),
            documents=tuple(self.documents),
        )


def pack(
    pieces: Iterable[Piece], block: int, image_slots: int, *, together: bool
) -> Iterator[PackedRow]:
    """Rows of at most `block` tokens; the last one may be short.

    Args:
        pieces: of at most `block` - 1 tokens each.
        together: as many pieces in a row as fit; otherwise each has one to itself.
    """
    row = _OpenRow()
    for piece in pieces:
        full = len(row.tokens) + piece.length > block if together else True
        if full and len(row.tokens) > 1:
            yield row.close()
            row = _OpenRow()
        for unit in piece.units:
            row.add(piece.document, unit, image_slots)
    if len(row.tokens) > 1:
        yield row.close()
