"""The real image files, where they lie beside the checkout: decoded, damaged, copied, served."""

from __future__ import annotations

import asyncio
import io
import random
import tarfile
import time

import numpy as np
import pytest
from PIL import Image

from curate.dedup.pictures import PictureLikeness, is_comparable
from curate.demo.server import Resource, serve
from curate.media.decode import EncodedImage, decode_image
from curate.media.decoder import Decoder
from curate.media.fetch import SafeFetcher
from curate.media.fetch_outcome import Fetched
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Fetch, Images
from curate.schemas.verdict import Drop
from tests.conftest import SHARED_DATA, needs_shared_data
from tests.pictures import copies

pytestmark = needs_shared_data

TAR = SHARED_DATA / "images" / "images.tar"
RULES = ImageRules(min_side=1, drop_single_color=False)
FLIPPED = 5_000


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    found = {}
    with tarfile.open(TAR) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if stream is not None:
                found[member.name] = stream.read()
    return found


def test_every_file_is_decoded_or_told_why_not(files: dict[str, bytes]) -> None:
    assert len(files) == 424
    decoder, decoded = Decoder(RULES, Images()), 0
    for name, data in files.items():
        started = time.monotonic()
        outcome = decoder.decode(data)
        assert time.monotonic() - started < 5 + 1, name
        if isinstance(outcome, EncodedImage):
            decoded += 1
            with Image.open(io.BytesIO(outcome.jpeg)) as image:
                image.load()
                assert image.size == (224, 224)
                assert not image.info.get("exif")
        else:
            assert outcome.rule.startswith("image.")
    decoder.close()
    assert decoded > 300


def test_flipped_bytes_harm_one_image_alone(files: dict[str, bytes]) -> None:
    choose, decoder = random.Random(5), Decoder(RULES, Images())
    sources = [d for d in files.values() if len(d) < 200_000]
    deaths = 0
    for number in range(FLIPPED):
        data = bytearray(sources[number % len(sources)])
        for _ in range(choose.randint(1, 12)):
            data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        started = time.monotonic()
        outcome = decoder.decode(bytes(data))
        assert time.monotonic() - started < 5 + 1
        assert isinstance(outcome, EncodedImage | Drop)
        deaths += isinstance(outcome, Drop) and outcome.rule.startswith("image.decoder_")
    decoder.close()
    assert deaths < FLIPPED / 100


def photographs(files: dict[str, bytes]) -> dict[str, Image.Image]:
    """Different photographs: not the test files of a library, and one of each picture."""
    found = {}
    for name, data in files.items():
        if "pillow/" in name or "img2dataset/resize" in name or not name.endswith((".jpg", ".png")):
            continue
        with Image.open(io.BytesIO(data)) as image:
            if min(image.size) >= 128 and image.mode == "RGB":
                found[name] = image.convert("RGB")
    return found


def thumbnail(data: bytes) -> bytes | None:
    outcome = decode_image(data, RULES, Images())
    assert isinstance(outcome, EncodedImage)
    held = outcome.fingerprint.thumbnail
    return held if is_comparable(held) else None


def test_copies_of_photographs_are_found_and_others_are_not(files: dict[str, bytes]) -> None:
    likeness = PictureLikeness()
    pictures = photographs(files)
    originals = [thumbnail(files[name]) for name in pictures]
    owners, thumbnails = [], []
    for owner, picture in enumerate(pictures.values()):
        for _, data in copies(picture):
            with Image.open(io.BytesIO(data)) as copy:
                if min(copy.size) < 64:
                    continue
            held = thumbnail(data)
            if originals[owner] is not None and held is not None:
                owners.append(owner)
                thumbnails.append(held)
    matrix = np.frombuffer(b"".join(t or bytes(1024) for t in originals), np.uint8)
    matrix = matrix.reshape(-1, 1024)
    found = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, 1024)
    keys = [set(row) for row in likeness.keys(matrix).tolist()]
    shared = np.array(
        [
            not keys[owner].isdisjoint(row)
            for owner, row in zip(owners, likeness.keys(found).tolist(), strict=True)
        ]
    )
    recall = (likeness.alike(matrix[owners], found) & shared).mean()
    assert len(pictures) >= 30
    assert recall >= 0.98
    one, other = np.triu_indices(len(pictures), 1)
    assert not likeness.alike(matrix[one], matrix[other]).any()


def test_real_files_come_whole_from_a_server(files: dict[str, bytes]) -> None:
    site = {f"/{i}": Resource(data, "image/jpeg") for i, data in enumerate(files.values())}
    with serve(site) as address:
        rules = Fetch(allow_hosts=(address,), honour_robots_txt=False, connections_per_host=8)

        async def go() -> list[object]:
            async with SafeFetcher(rules) as fetcher:
                return await asyncio.gather(
                    *(fetcher.fetch(f"http://{address}{path}") for path in site)
                )

        outcomes = asyncio.run(go())
    bodies = [o.body for o in outcomes if isinstance(o, Fetched)]
    assert bodies == [resource.body for resource in site.values()]
