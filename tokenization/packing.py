"""Full-sentence packing (RoBERTa's FULL-SENTENCES, as KOSMOS-1's released loader does it).

    <s> unit unit unit | <s> unit unit ... | <s> ...

A row opens with `<s>` and takes whole units of consecutive documents while they fit; a row may end
in the middle of a document, and nothing marks the cut. Inside a row `</s>` alone parts documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from schemas.document import Document
from schemas.packed import DocumentSpan, ImageSlots, PackedImage, PackedRow
from tokenization.formats import TokenizedDocument, Unit
from tokenization.vocabulary import BOS, EOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Tokens that a limit cost: never without a ledger row."""

    document: Document
    rule: str
    tokens: int
    limit: int


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
    documents: Iterable[TokenizedDocument], block: int, image_slots: int
) -> Iterator[PackedRow | Cut]:
    """Rows of at most `block` tokens; the last one may be short.

    A unit of `block` tokens or more is cut to `block` - 1, as the released loader cuts lines.
    """
    row = _OpenRow()
    for tokenized in documents:
        for unit in tokenized.units:
            if len(unit.tokens) >= block:
                yield Cut(
                    document=tokenized.document,
                    rule="pack.line_too_long",
                    tokens=len(unit.tokens),
                    limit=block - 1,
                )
                unit = Unit(unit.tokens[: block - 1], unit.targets[: block - 1], unit.image)
            if len(row.tokens) + len(unit.tokens) > block:
                yield row.close()
                row = _OpenRow()
            row.add(tokenized.document, unit, image_slots)
    if len(row.tokens) > 1:
        yield row.close()


def one_row_each(
    documents: Iterable[TokenizedDocument], block: int, image_slots: int
) -> Iterator[PackedRow | Cut]:
    """A row per document, cut at the block: what does not fit goes, and `</s>` closes the row."""
    for tokenized in documents:
        row = _OpenRow()
        if 1 + tokenized.length > block:
            yield Cut(
                document=tokenized.document,
                rule="pack.document_too_long",
                tokens=1 + tokenized.length,
                limit=block,
            )
        for unit in tokenized.units:
            room = block - len(row.tokens)
            last = unit is tokenized.units[-1]
            if len(unit.tokens) > room - (0 if last else 1):
                row.add(tokenized.document, _closing(unit, room, image_slots), image_slots)
                break
            row.add(tokenized.document, unit, image_slots)
        yield row.close()


def _closing(unit: Unit, room: int, image_slots: int) -> Unit:
    """The part of a unit that fits, then `</s>`; an image that does not fit whole is left out."""
    keep = room - 1
    if unit.image is not None and keep < image_slots + 2:
        return Unit((EOS,), (True,))
    return Unit((*unit.tokens[:keep], EOS), (*unit.targets[:keep], True), unit.image)
