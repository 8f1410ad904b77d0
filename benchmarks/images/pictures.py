"""The images that are measured with, and how near a resize is to the reference."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.images import SIZE


def usable_images(folder: Path, to: Path) -> dict[str, Path]:
    """Copies of the images that all candidates can decode, by their new names."""
    to.mkdir()
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            with Image.open(path) as image:
                if image.format not in ("JPEG", "PNG", "WEBP") or min(image.size) < 64:
                    continue
                if image.mode != "RGB" or image.getexif().get(0x0112, 1) != 1:
                    continue
                image.load()
        except OSError:
            continue
        name = f"{len(found):05d}{path.suffix}"
        shutil.copyfile(path, to / name)
        found[name] = to / name
    return found


def psnr(jpeg: bytes, original: Path) -> float:
    """Decibels to a bicubic resize of the whole original by Pillow; 99 for the same pixels."""
    with Image.open(original) as image:
        reference = ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Image.Resampling.BICUBIC)
    with Image.open(io.BytesIO(jpeg)) as image:
        got = np.asarray(image.convert("RGB"), np.float64)
    error = ((got - np.asarray(reference, np.float64)) ** 2).mean()
    return float(10 * np.log10(255**2 / error)) if error else 99.0
