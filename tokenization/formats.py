"""Documents to token units, in the formats of KOSMOS-1 (table 21).

    text         line </line> line </line> ... line </s>
    pairs        <image> S*64 </image> caption </s>
    interleaved  <image> S*64 </image> line </line> line <image> S*64 </image> line </s>
    instruction  prompt line </line> prompt line </line> answer line </line> answer line </s>

`S` is a slot that the vision encoder fills; it holds the id of `<image>`, as in the released
code. `<s>` is set by packing, at the head of a row. A unit is what packing never parts: a line, a
pair, an instruction with its answer, or an image with the line that follows it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.identity import image_key
from curate.schemas.packed import PackedImage
from curate.tokenization.vocabulary import EOS, Vocabulary


@dataclass(frozen=True, slots=True)
class Unit:
    """Tokens that stay together, which of them are targets of the loss, and their image."""

    tokens: tuple[int, ...]
    targets: tuple[bool, ...]
    image: PackedImage | None = None
    """The image whose slots are `tokens[1 : 1 + slots]`."""


@dataclass(frozen=True, slots=True)
class TokenizedDocument:
    document: Document
    units: tuple[Unit, ...]

    @property
    def length(self) -> int:
        return sum(len(u.tokens) for u in self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatter:
    """Formats documents of one source.

    Raises:
        ValueError: an image without a stored file was given.
    """

    vocabulary: Vocabulary
    format: str
    image_slots: int
    loss_on_image_token: bool

    def tokenize(self, document: Document) -> TokenizedDocument:
        if self.format == "text":
            return TokenizedDocument(document, self._text(document.text))
        if self.format == "pairs":
            return TokenizedDocument(document, self._pair(document))
        if self.format == "instruction":
            return TokenizedDocument(document, self._instruction(document))
        return TokenizedDocument(document, self._interleaved(document))

    def _text(self, text: str) -> tuple[Unit, ...]:
        """Lines end in `</line>`, the last in `</s>`; all are targets, as released."""
        encoded = self.vocabulary.encode(lines_of(text))
        if not encoded:
            return (_all_targets([EOS]),)
        ends = [self.vocabulary.line_end] * (len(encoded) - 1) + [EOS]
        return tuple(_all_targets([*ids, end]) for ids, end in zip(encoded, ends, strict=True))

    def _pair(self, document: Document) -> tuple[Unit, ...]:
        """Loss on the caption and `</s>` alone."""
        image = self._image(document.images[0], first=True)
        caption = self.vocabulary.encode([" ".join(lines_of(document.text))])[0]
        return (_joined(image, _all_targets([*caption, EOS])),)

    def _instruction(self, document: Document) -> tuple[Unit, ...]:
        """Loss on the answer and `</s>` alone (KOSMOS-1 section 3.3)."""
        tokens: list[int] = []
        targets: list[bool] = []
        for segment in document.segments:
            if isinstance(segment, TextSegment):
                for ids in self.vocabulary.encode(lines_of(segment.text)):
                    tokens += [*ids, self.vocabulary.line_end]
                    targets += [not segment.prompt] * (len(ids) + 1)
        return (Unit((*tokens[:-1], EOS), (*targets[:-1], True)),)

    def _interleaved(self, document: Document) -> tuple[Unit, ...]:
        units: list[Unit] = []
        for segment in _text_runs(document):
            if isinstance(segment, ImageSegment):
                units.append(self._image(segment, first=not units))
                continue
            encoded = self.vocabulary.encode(segment)
            for index, ids in enumerate(encoded):
                more = index + 1 < len(encoded)
                line = _all_targets([*ids, self.vocabulary.line_end] if more else ids)
                if index == 0 and units and units[-1].image is not None:
                    units[-1] = _joined(units[-1], line)
                else:
                    units.append(line)
        units[-1:] = [_joined(units[-1], _all_targets([EOS]))] if units else [_all_targets([EOS])]
        return tuple(units)

    def _image(self, segment: ImageSegment, *, first: bool) -> Unit:
        stored = segment.stored
        if stored is None:
            raise ValueError(f"image {segment.url} has no stored file; resolve images first")
        vocabulary = self.vocabulary
        tokens = (*[vocabulary.image] * (1 + self.image_slots), vocabulary.image_end)
        opening = self.loss_on_image_token and not first
        return Unit(
            tokens=tokens,
            targets=(opening, *[False] * (self.image_slots + 1)),
            image=PackedImage(
                url=segment.url,
                key=image_key(segment.url),
                tar=stored.tar,
                offset=stored.offset,
                size=stored.size,
                width=stored.width,
                height=stored.height,
            ),
        )


def lines_of(text: str) -> list[str]:
    """The lines of a text that hold something: the "sentences" of full-sentence packing."""
    return [line for line in text.split("\n") if line.strip()]


def document_lines(document: Document) -> list[str]:
    """Every line that goes into the tokens of a document, captions included, in order."""
    return [
        line for run in _text_runs(document) if not isinstance(run, ImageSegment) for line in run
    ]


def _text_runs(document: Document) -> list[ImageSegment | list[str]]:
    """Images, and the lines between two of them: a caption's lines follow its image."""
    runs: list[ImageSegment | list[str]] = []
    for segment in document.segments:
        if isinstance(segment, TextSegment):
            lines = lines_of(segment.text)
        else:
            runs.append(replace(segment, caption=""))
            lines = lines_of(segment.caption)
        if not lines:
            continue
        if runs and isinstance(runs[-1], list):
            runs[-1].extend(lines)
        else:
            runs.append(lines)
    return runs


def _all_targets(tokens: list[int]) -> Unit:
    return Unit(tuple(tokens), (True,) * len(tokens))


def _joined(first: Unit, second: Unit) -> Unit:
    return Unit(first.tokens + second.tokens, first.targets + second.targets, first.image)
