"""Rows of real shapes with drawn pictures: as our shards, as MosaicML's MDS, as WebDataset."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from curate.schemas.manifest import MANIFEST_PATH, Manifest, ShardFile, ShardSource
from curate.schemas.packed import DocumentSpan, ImageSlots, PackedImage, PackedRow, packed_schema
from curate.schemas.settings.source import Format
from curate.tokenization.shards import ShardWriter

SLOTS, VOCABULARY, SIDE = 64, 64_007, 224
SHARD_ROWS = 500


def pictures(count: int) -> list[bytes]:
    """JPEG files of SIDE pixels and quality 95, with the detail of photographs: about 25 KB."""
    found = []
    for number in range(count):
        random = np.random.RandomState(number)
        coarse = Image.fromarray(random.randint(0, 256, (14, 14, 3), np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
        grained = smooth + random.normal(0, 9, (SIDE, SIDE, 1))
        picture = Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8))
        buffer = io.BytesIO()
        picture.filter(ImageFilter.GaussianBlur(0.6)).save(buffer, "JPEG", quality=95)
        found.append(buffer.getvalue())
    return found


def rows(count: int) -> Iterator[tuple[list[int], list[bool], int]]:
    """Pairs: ids, targets, and the number of the picture."""
    for number in range(count):
        random = np.random.RandomState(number)
        caption = random.randint(4, 64_000, random.randint(8, 24)).tolist()
        ids = [0, *[64_003] * (1 + SLOTS), 64_004, *caption, 2]
        targets = [False] * (len(ids) - len(caption) - 1) + [True] * (len(caption) + 1)
        yield ids, targets, number


Packed = tuple[list[int], list[bool], list[tuple[int, int]]]
"""Ids, targets, and the first slot and the number of each picture."""


def write_ours(folder: Path, count: int, images: list[bytes]) -> None:
    made = ((ids, targets, [(2, number)]) for ids, targets, number in rows(count))
    _write_manifest(folder, {"pairs": ("pairs", _write_source(folder, "pairs", made, images))})


def write_training_shards(folder: Path) -> None:
    """Text, pairs and documents with images, in the shapes of KOSMOS-1's rows."""
    images = pictures(200)
    random = np.random.RandomState(0)

    def words(count: int) -> list[int]:
        found: list[int] = random.randint(4, 64_000, count).tolist()
        return found

    def text() -> Iterator[Packed]:
        for _ in range(600):
            yield [0, *words(2_046), 2], [False, *[True] * 2_047], []

    def documents() -> Iterator[Packed]:
        for number in range(400):
            ids, targets, slots = [0], [False], []
            for image in range(3):
                slots.append((len(ids) + 1, 3 * number + image))
                ids += [64_003] * (1 + SLOTS) + [64_004] + (line := words(400))
                targets += [False] * (SLOTS + 2) + [True] * len(line)
            yield [*ids, 2], [*targets, True], slots

    pairs = ((ids, targets, [(2, number)]) for ids, targets, number in rows(6_000))
    _write_manifest(
        folder,
        {
            "text": ("text", _write_source(folder, "text", text(), images)),
            "pairs": ("pairs", _write_source(folder, "pairs", pairs, images)),
            "web": ("interleaved", _write_source(folder, "web", documents(), images)),
        },
    )


def _write_source(
    folder: Path, source: str, made: Iterable[Packed], images: list[bytes]
) -> list[ShardFile]:
    waiting = iter(made)
    shards: list[ShardFile] = []
    while chosen := list(islice(waiting, SHARD_ROWS)):
        path = f"{source}/shard-{len(shards):05d}.arrow"
        target = folder / "shards" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = ShardWriter(
            target, packed_schema(VOCABULARY, {}), lambda image: images[image.tar % len(images)]
        )
        for ids, targets, slots in chosen:
            writer.write(_packed(ids, targets, slots))
        writer.close()
        shards.append(
            ShardFile(
                path=path, source=source, rows=writer.rows, tokens=writer.tokens, targets=0,
                images=sum(len(slots) for *_, slots in chosen), bytes=target.stat().st_size,
                sha256="", seal=writer.seal,
            )
        )  # fmt: skip
    return shards


def _write_manifest(folder: Path, sources: dict[str, tuple[Format, list[ShardFile]]]) -> None:
    manifest = Manifest(
        recipe="benchmark", recipe_fingerprint="", tokenizer_sha256="", vocabulary=VOCABULARY,
        block=2_048, image_slots=SLOTS, image_size=SIDE, packed=False, seed=0, mixture=None,
        sources={name: ShardSource(format=f, weight=1) for name, (f, _) in sources.items()},
        shards=tuple(shard for _, shards in sources.values() for shard in shards),
    )  # fmt: skip
    (folder / MANIFEST_PATH).write_text(manifest.model_dump_json())


def _packed(ids: list[int], targets: list[bool], slots: list[tuple[int, int]]) -> PackedRow:
    images = tuple(
        PackedImage(
            url=f"http://h.test/{number}", key=number.to_bytes(16, "little"), tar=number, offset=0,
            size=0, width=SIDE, height=SIDE,
        )
        for _, number in slots
    )  # fmt: skip
    span = DocumentSpan(
        id="0",
        url="http://h.test/",
        warc_file="w",
        offset=0,
        length=1,
        inside=0,
        start=1,
        end=len(ids),
    )
    return PackedRow(
        input_ids=tuple(ids),
        loss_mask=tuple(targets),
        image_slots=tuple(
            ImageSlots(offset=first, length=SLOTS, image=image)
            for image, (first, _) in enumerate(slots)
        ),
        images=images,
        documents=(span,),
    )


def write_mds(folder: Path, count: int, images: list[bytes]) -> None:
    from streaming import MDSWriter

    columns = {"input_ids": "ndarray:uint16", "loss_mask": "ndarray:uint8", "image": "bytes"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=1 << 24) as writer:
        for ids, targets, number in rows(count):
            writer.write(_plain(ids, targets, images[number % len(images)]))


def _plain(ids: list[int], targets: list[bool], image: bytes) -> dict[str, Any]:
    return {
        "input_ids": np.array(ids, np.uint16),
        "loss_mask": np.array(targets, np.uint8),
        "image": image,
    }


def write_webdataset(folder: Path, count: int, images: list[bytes]) -> None:
    import webdataset

    folder.mkdir(parents=True)
    with webdataset.ShardWriter(
        str(folder / "shard-%05d.tar"), maxcount=SHARD_ROWS, verbose=0
    ) as writer:
        for ids, targets, number in rows(count):
            row = json.dumps({"input_ids": ids, "loss_mask": targets}).encode()
            image = images[number % len(images)]
            writer.write({"__key__": f"{number:09d}", "json": row, "jpg": image})
