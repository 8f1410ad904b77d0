from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from curate.dedup.likeness import SignatureBytes
from curate.dedup.pictures import PictureLikeness, is_comparable
from curate.media.fingerprint import fingerprint, small_grey
from tests.pictures import copies, scene

LIKENESS = PictureLikeness()
SCENES = 40


def thumbnail(picture: Image.Image) -> bytes:
    return fingerprint(small_grey(picture.convert("RGB"))).thumbnail


def matrix(thumbnails: list[bytes]) -> SignatureBytes:
    return np.frombuffer(b"".join(thumbnails), np.uint8).reshape(len(thumbnails), -1)


@pytest.fixture(scope="module")
def originals() -> SignatureBytes:
    return matrix([thumbnail(scene(seed)) for seed in range(SCENES)])


def share_a_key(one: SignatureBytes, other: SignatureBytes) -> np.ndarray:
    return np.array(
        [
            bool(np.intersect1d(a, b).size)
            for a, b in zip(LIKENESS.keys(one), LIKENESS.keys(other), strict=True)
        ]
    )


def test_copies_are_found(originals: SignatureBytes) -> None:
    kinds, owners, thumbnails = [], [], []
    for seed in range(SCENES):
        for kind, data in copies(scene(seed)):
            kinds.append(kind)
            owners.append(seed)
            thumbnails.append(thumbnail(Image.open(io.BytesIO(data))))
    of_originals, of_copies = originals[owners], matrix(thumbnails)
    found = LIKENESS.alike(of_originals, of_copies) & share_a_key(of_originals, of_copies)
    assert found.mean() >= 0.98
    missed = Counter(kind for kind, ok in zip(kinds, found, strict=True) if not ok)
    assert all(count <= SCENES * 0.05 for count in missed.values()), missed


def test_other_pictures_are_not_the_same(originals: SignatureBytes) -> None:
    one, other = np.triu_indices(SCENES, 1)
    assert not LIKENESS.alike(originals[one], originals[other]).any()


def test_it_does_not_matter_which_is_given_first(originals: SignatureBytes) -> None:
    cropped = matrix([thumbnail(scene(seed).crop((14, 10, 480, 360))) for seed in range(SCENES)])
    there, back = LIKENESS.alike(originals, cropped), LIKENESS.alike(cropped, originals)
    assert there.tolist() == back.tolist()
    alone = [LIKENESS.alike(originals[i : i + 1], cropped[i : i + 1])[0] for i in range(SCENES)]
    assert there.tolist() == alone


def test_a_mirrored_or_inverted_picture_is_another(originals: SignatureBytes) -> None:
    pictures = [scene(seed) for seed in range(SCENES)]
    mirrored = [thumbnail(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) for p in pictures]
    assert not LIKENESS.alike(originals, matrix(mirrored)).any()
    inverted = [thumbnail(Image.eval(p, lambda value: 255 - value)) for p in pictures]
    assert not LIKENESS.alike(originals, matrix(inverted)).any()


def test_keys_have_the_shape_that_is_told(originals: SignatureBytes) -> None:
    assert LIKENESS.keys(originals).shape == (SCENES, LIKENESS.keys_each)
    assert LIKENESS.keys(originals[:0]).shape == (0, LIKENESS.keys_each)
    assert LIKENESS.alike(originals[:0], originals[:0]).shape == (0,)


@pytest.mark.parametrize(("spread", "expected"), [(0, False), (2, False), (40, True)])
def test_what_shows_nothing_is_not_compared(spread: int, expected: bool) -> None:
    values = np.full((32, 32), 120, np.uint8)
    values[:16] += np.uint8(spread)
    assert is_comparable(values.tobytes()) == expected
