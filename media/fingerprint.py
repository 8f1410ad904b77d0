"""What near-duplicate images are found by: perceptual hashes, and a thumbnail to compare.

All of it is taken of the whole image, in grey, and computed in integers: the same on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from curate.dedup.pictures import SIDE as THUMBNAIL_SIDE

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of an area, in pixels."""

_LOW = 8


def _cosines() -> npt.NDArray[np.int64]:
    """The lowest rows of the discrete cosine transform (type II), times 4096."""
    rows = np.arange(_LOW)[:, None]
    places = np.arange(THUMBNAIL_SIDE)[None, :]
    waves = np.cos(np.pi * rows * (2 * places + 1) / (2 * THUMBNAIL_SIDE))
    rounded: npt.NDArray[np.int64] = np.rint(waves * 4096).astype(np.int64)
    return rounded


_COSINES = _cosines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Of one image."""

    phash: int
    """64 bits (Zauner 2010; imagehash): which of the 8 x 8 lowest frequencies are above their
    median."""
    dhash: int
    """64 bits (Krawetz 2013): which of 9 x 8 cells are darker than the next in their row."""
    dhash_vertical: int
    """Likewise, of 8 x 9 cells, than the next in their column."""
    thumbnail: bytes
    """32 x 32 grey values, row by row."""


def small_grey(picture: Image.Image, area: Box | None = None) -> Image.Image:
    """An RGB image as 64 x 64 grey pixels: what is measured of the whole is measured of it."""
    side = (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE)
    grey = picture.convert("L")
    return grey.resize(side, Image.Resampling.BILINEAR, area, reducing_gap=1.0)


def fingerprint(small: Image.Image) -> Fingerprint:
    """The fingerprint of an image, given as `small_grey`."""
    box = Image.Resampling.BOX
    grey = small.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), box)
    thumbnail = np.asarray(grey)
    frequencies = (_COSINES @ thumbnail.astype(np.int64) @ _COSINES.T).ravel()
    # The first is the mean brightness: it would move the median and tells nothing of the picture.
    above = frequencies > np.sort(frequencies[1:])[frequencies.size // 2 - 1]
    rows = np.asarray(grey.resize((9, 8), box), np.int16)
    columns = np.asarray(grey.resize((8, 9), box), np.int16)
    return Fingerprint(
        phash=_as_number(above),
        dhash=_as_number(rows[:, :-1] < rows[:, 1:]),
        dhash_vertical=_as_number(columns[:-1] < columns[1:]),
        thumbnail=thumbnail.tobytes(),
    )


def _as_number(bits: npt.NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")
