"""Finished runs as the trainer sees them: real shards of drawn pictures and made-up prose."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import permutations
from pathlib import Path

from PIL import Image, ImageDraw

from curate.schemas.document import Document, ImageSegment, Segment, StoredImage, TextSegment
from curate.schemas.manifest import MANIFEST_PATH, TOKENIZER_PATH, Manifest, ShardFile, ShardSource
from curate.schemas.packed import PackedRow, packed_schema
from curate.schemas.page import Origin
from curate.schemas.settings.mixture import Mixture
from curate.schemas.settings.source import Format
from curate.tokenization.fitting import Fitted, fit_images, fit_lines
from curate.tokenization.formats import Formatter, TokenizedDocument
from curate.tokenization.packing import pack
from curate.tokenization.shards import ShardWriter
from curate.tokenization.train import train_model
from curate.tokenization.vocabulary import Vocabulary
from curate.training.loading.shard_set import ShardSet
from tests.texts import prose

IMAGE_SIZE = 32
SLOTS = 4
COLOURS = {
    "red": (210, 40, 40), "green": (40, 170, 60), "blue": (40, 60, 210), "yellow": (220, 210, 40),
    "white": (250, 250, 250), "purple": (150, 40, 170), "orange": (240, 140, 20),
    "grey": (120, 120, 120), "cyan": (40, 200, 210), "black": (10, 10, 10),
    "brown": (120, 70, 20),
}  # fmt: skip
CAPTIONS = tuple(f"A {c} circle on {g}" for c, g in permutations(COLOURS, 2))[:100]
"""100 different ones."""


def drawing(caption: str, size: int = IMAGE_SIZE) -> bytes:
    """The picture of a caption, as a stored image."""
    _, colour, _, _, ground = caption.split()
    picture = Image.new("RGB", (size, size), COLOURS[ground])
    side = size * 5 // 8
    start = (size - side) // 2
    ImageDraw.Draw(picture).ellipse((start, start, start + side, start + side), COLOURS[colour])
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@cache
def vocabulary_model() -> bytes:
    """A small SentencePiece model of the words of these tests."""
    lines = [*CAPTIONS * 3, *(prose(f"line {i}", 60) for i in range(30)), "Name the colour."]
    return train_model(lines, 400, 1.0)


def pair(caption: str) -> Document:
    url = f"http://drawn.test/{caption.replace(' ', '-')}"
    return _document(url, image(url), TextSegment(text=caption))


def image(url: str) -> ImageSegment:
    stored = StoredImage(tar=0, offset=0, size=0, width=IMAGE_SIZE, height=IMAGE_SIZE)
    return ImageSegment(url=url, stored=stored)


def text(key: str, lines: int = 6) -> Document:
    written = "\n".join(prose(f"{key} {line}", 8) for line in range(lines))
    return _document(f"http://prose.test/{key}", TextSegment(text=written))


def interleaved(key: str, captions: Iterable[str]) -> Document:
    segments: list[Segment] = [TextSegment(text=prose(key, 8))]
    for caption in captions:
        (shown,) = pair(caption).images
        segments += [shown, TextSegment(text=caption)]
    return _document(f"http://mixed.test/{key}", *segments)


def instruction(prompt: str, answer: str) -> Document:
    asked = TextSegment(text=prompt, prompt=True)
    return _document(f"http://asked.test/{prompt}", asked, TextSegment(text=answer))


def _document(url: str, *segments: Segment) -> Document:
    origin = Origin(warc_file="made.warc", offset=0, length=1)
    return Document(id=url, source="made", url=url, segments=segments, origin=origin)


def drawn_by_url(url: str) -> bytes:
    return drawing(url.rsplit("/", 1)[-1].replace("-", " "))


def write_shards(
    root: Path,
    sources: Mapping[str, tuple[Format, list[Document]]],
    *,
    shards: int = 2,
    block: int = 128,
    packed: bool = False,
    weights: Mapping[str, float] | None = None,
    mixture: Mixture | None = None,
    read_image: Callable[[str], bytes] = drawn_by_url,
) -> ShardSet:
    """A run directory with the shards of some documents, as `build-shards` leaves it."""
    vocabulary = Vocabulary(vocabulary_model())
    files: list[ShardFile] = []
    for name, (row_format, documents) in sources.items():
        formatter = Formatter(
            vocabulary=vocabulary, format=row_format, image_slots=SLOTS, loss_on_image_token=False
        )
        together = packed or row_format == "text"
        for index in range(shards):
            pieces = (
                piece
                for document in documents[index::shards]
                for piece in _fitted(formatter.tokenize(document), block).pieces
            )
            rows = pack(pieces, block, SLOTS, together=together)
            path = f"{name}/shard-{index:05d}-of-{shards:05d}.arrow"
            files.append(_write(root, path, name, rows, vocabulary, read_image))
    manifest = Manifest(
        recipe="made",
        recipe_fingerprint="0" * 64,
        tokenizer_sha256=vocabulary.sha256,
        vocabulary=vocabulary.size,
        block=block,
        image_slots=SLOTS,
        image_size=IMAGE_SIZE,
        packed=packed,
        seed=0,
        sources={
            name: ShardSource(format=row_format, weight=(weights or {}).get(name, 1.0))
            for name, (row_format, _) in sources.items()
        },
        mixture=mixture,
        shards=tuple(files),
    )
    (root / TOKENIZER_PATH).write_bytes(vocabulary_model())
    (root / MANIFEST_PATH).write_text(manifest.model_dump_json(indent=1))
    return ShardSet(str(root))


def _fitted(tokenized: TokenizedDocument, block: int) -> Fitted:
    if any(unit.image for unit in tokenized.units):
        return fit_images(tokenized, block, SLOTS, split=True)
    return fit_lines(tokenized, block, split=True)


def _write(
    root: Path,
    path: str,
    source: str,
    rows: Iterator[PackedRow],
    vocabulary: Vocabulary,
    read_image: Callable[[str], bytes],
) -> ShardFile:
    target = root / "shards" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = ShardWriter(
        target, packed_schema(vocabulary.size, {}), lambda shown: read_image(shown.url)
    )
    targets = images = 0
    for row in rows:
        targets += sum(row.loss_mask)
        images += len(row.images)
        writer.write(row)
    writer.close()
    data = target.read_bytes()
    return ShardFile(
        path=path,
        source=source,
        rows=writer.rows,
        tokens=writer.tokens,
        targets=targets,
        images=images,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        seal=writer.seal,
    )
