"""What libraries need to decode an image, make it a square of the stored size and encode it.

    .venv-img2dataset/bin/python -m benchmarks.images.codecs FOLDER

One thread, from memory; images per second of processor time, the ratio to what img2dataset does,
and the distance to a bicubic resize of the whole original. `scaled to 2` and `to 1` let the JPEG
decoder scale as long as the shorter side stays twice, or once, the stored size.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# Before libvips is loaded, which counts the cores once.
os.environ["VIPS_CONCURRENCY"] = "1"

import cv2
import numpy as np
import numpy.typing as npt
import pyvips
import simplejpeg

from benchmarks.images import QUALITY, SIZE, bare
from benchmarks.images.pictures import psnr, usable_images
from benchmarks.timing import compare

Pixels = npt.NDArray[np.uint8]
_JPEG = b"\xff\xd8"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cv2.setNumThreads(1)
    pyvips.cache_set_max(0)
    candidates: dict[str, Callable[[bytes], bytes]] = {
        "cv2, as img2dataset": opencv,
        "Pillow, scaled to 2": bare.make,
        "libvips thumbnail": vips_thumbnail,
        "libvips cubic, scaled to 2": vips_cubic,
        "turbo + cv2 area, scaled to 2": lambda data: turbo(data, 2, cv2.INTER_AREA),
        "turbo + cv2 area, scaled to 1": lambda data: turbo(data, 1, cv2.INTER_AREA),
        "turbo + cv2 cubic, scaled to 1": lambda data: turbo(data, 1, cv2.INTER_CUBIC),
    }
    with tempfile.TemporaryDirectory() as name:
        paths = list(usable_images(Path(sys.argv[1]), Path(name, "files")).values())
        files = [path.read_bytes() for path in paths]
        work = {
            name: lambda make=make: sum(map(bool, map(make, files)))
            for name, make in candidates.items()
        }
        compare(work, "images", rounds=7)
        for name, make in candidates.items():
            near = np.array([psnr(make(f), path) for f, path in zip(files, paths, strict=True)])
            print(f"{name:<32} PSNR least {near.min():.1f} dB, median {np.median(near):.1f} dB")


def opencv(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    scale = SIZE / min(pixels.shape[:2])
    height, width = (round(side * scale) for side in pixels.shape[:2])
    resized = middle(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), SIZE)
    return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def turbo(data: bytes, scaled_to: int, interpolation: int) -> bytes:
    least = SIZE * scaled_to
    if data.startswith(_JPEG):
        pixels = simplejpeg.decode_jpeg(
            data, "RGB", min_height=least, min_width=least, min_factor=1
        )
    else:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    square = middle(pixels, min(pixels.shape[:2]))
    resized = cv2.resize(square, (SIZE, SIZE), interpolation=interpolation)
    return bytes(simplejpeg.encode_jpeg(resized, QUALITY, "RGB", "420"))


def vips_thumbnail(data: bytes) -> bytes:
    image = pyvips.Image.thumbnail_buffer(data, SIZE, height=SIZE, crop="centre")
    return bytes(image.jpegsave_buffer(Q=QUALITY, keep="none"))


def vips_cubic(data: bytes) -> bytes:
    image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    short, shrink = min(image.width, image.height), 1
    while data.startswith(_JPEG) and shrink < 8 and short / (shrink * 2) >= SIZE * 2:
        shrink *= 2
    if shrink > 1:
        image = pyvips.Image.new_from_buffer(data, "", shrink=shrink, access="sequential")
        short = min(image.width, image.height)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.crop(left, top, short, short).resize(SIZE / short, kernel="cubic")
    return bytes(square.jpegsave_buffer(Q=QUALITY, keep="none"))


def middle(pixels: Pixels, side: int) -> Pixels:
    """The square of a side in the middle, contiguous."""
    top, left = ((size - side) // 2 for size in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


if __name__ == "__main__":
    main()
