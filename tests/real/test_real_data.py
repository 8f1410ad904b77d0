"""Real archives and the released tokenizer, where they lie beside the checkout."""

from __future__ import annotations

import io
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from curate import Vocabulary
from curate.extraction import extract
from curate.filters.web.record import classify_record
from curate.schemas.document import Document, ImageSegment, StoredImage, TextSegment
from curate.schemas.page import DamagedRegion, Origin, Record
from curate.schemas.verdict import Drop
from curate.sources.archives.archive import read_archive, read_stream
from curate.sources.archives.record_reader import read_record_at
from curate.tokenization.fitting import Piece
from curate.tokenization.formats import Formatter
from curate.tokenization.packing import pack
from tests.conftest import SHARED_DATA, needs_shared_data

pytestmark = needs_shared_data

LIMIT = 64 << 20
STORED = StoredImage(tar=0, offset=0, size=0, width=224, height=224)
FOUND = sorted((SHARED_DATA / "warc-found").glob("*arc*")) if SHARED_DATA.is_dir() else []


@pytest.mark.parametrize("path", FOUND, ids=lambda p: p.name)
def test_found_archives_are_read_to_their_end(path: Path) -> None:
    started = time.monotonic()
    items = list(read_archive(str(path), LIMIT))
    with path.open("rb") as stream:
        for item in items:
            if isinstance(item, DamagedRegion):
                continue
            if item.fault is None:
                again = read_record_at(stream, item.origin, LIMIT)
                assert again is not None
                assert again.payload == item.payload
            verdict = classify_record(item)
            assert isinstance(verdict, Drop) or verdict in ("page", "image")
            if verdict == "page":
                outcome = extract(item.payload, item.url, charset=item.charset)
                assert isinstance(outcome, Document | Drop)
    assert time.monotonic() - started < 20


def test_found_archives_hold_what_other_readers_find() -> None:
    kinds = Counter(
        item.kind if isinstance(item, Record) else "damaged"
        for path in FOUND
        for item in read_archive(str(path), LIMIT)
    )
    assert kinds == {
        "response": 158,
        "revisit": 71,
        "resource": 14,
        "conversion": 2,
        "damaged": 3,
    }


@pytest.mark.parametrize("harm", ["truncate", "flip"])
def test_two_hundred_harms_to_a_real_archive(harm: str) -> None:
    source = (SHARED_DATA / "warc" / "real-pages-dev-ybisk-00000.warc.gz").read_bytes()
    offsets = [r.origin.offset for r in read_stream(io.BytesIO(source), "f", LIMIT)]
    chance = random.Random(harm)
    for _ in range(200):
        position = chance.randrange(1, len(source))
        changed = bytearray(source)
        if harm == "flip":
            changed[position] ^= 1 << chance.randrange(8)
        else:
            del changed[position:]
        items = list(read_stream(io.BytesIO(bytes(changed)), "f", LIMIT))
        told = {i.origin.offset for i in items if isinstance(i, Record)}
        damaged = [
            range(i.origin.offset, i.origin.offset + i.origin.length)
            for i in items
            if isinstance(i, DamagedRegion)
        ]
        expected = [o for o in offsets if o < len(changed)]
        assert all(o in told or any(o in d for d in damaged) for o in expected), position
        if harm == "flip":
            assert damaged
            assert len(told) >= len(offsets) - 1


@pytest.fixture(scope="module")
def released() -> Vocabulary:
    path = SHARED_DATA / "tokenizer" / "kosmos2-sentencepiece.bpe.model"
    return Vocabulary(path.read_bytes())


def test_the_released_vocabulary(released: Vocabulary) -> None:
    assert (released.pieces, released.size) == (64_000, 64_007)
    assert released.special == {
        "<mask>": 64001,
        "</doc>": 64002,
        "<image>": 64003,
        "</image>": 64004,
        "</chunk>": 64005,
        "</line>": 64006,
    }
    assert released.encode(["<image>"]) == [[8001, 21286, 6785]]
    lines = (SHARED_DATA / "tokenizer" / "kosmos2-dict.txt").read_text().split("\n")
    pieces = [line.rsplit(" ", 1)[0] for line in lines if line]
    assert len(pieces) == 63_997
    for number in (0, 1, 500, 63_996):
        assert released.name_of(4 + number) == pieces[number]


def _document(*parts: str | None) -> Document:
    return Document(
        id="d",
        source="s",
        url="u",
        origin=Origin(warc_file="w", offset=0),
        segments=tuple(
            ImageSegment(url=f"http://h/{i}.png", stored=STORED)
            if part is None
            else TextSegment(text=part)
            for i, part in enumerate(parts)
        ),
    )


TEXT = "KOSMOS-1 can perceive multimodal input, learn in context, and generate output."
IMAGE = [64003] * 65 + [64004]
GOLDEN = [
    (
        "text",
        _document(TEXT),
        [
            0,
            18547,
            13402,
            8265,
            4159,
            64,
            15802,
            2521,
            38349,
            6221,
            6,
            1082,
            12,
            3835,
            6,
            8,
            4845,
            4552,
            4,
            2,
        ],
        19,
    ),
    (
        "pairs",
        _document(None, "WALL-E giving potted plant to EVE."),
        [0, *IMAGE, 50677, 19, 999, 987, 48053, 1901, 7, 58944, 4, 2],
        10,
    ),
    (
        "interleaved",
        _document(None, "This is WALL-E.", None, "This is EVE."),
        [0, *IMAGE, 126, 17, 50677, 19, 999, 4, *IMAGE, 126, 17, 58944, 4, 2],
        11,
    ),
]


@pytest.mark.parametrize(("format", "document", "ids", "targets"), GOLDEN)
def test_golden_ids(
    released: Vocabulary, format: str, document: Document, ids: list[int], targets: int
) -> None:
    formatter = Formatter(
        vocabulary=released, format=format, image_slots=64, loss_on_image_token=False
    )
    tokenized = formatter.tokenize(document)
    (row,) = pack([Piece(document, tokenized.units)], 2048, 64, together=True)
    assert list(row.input_ids) == ids
    assert sum(row.loss_mask) == targets
