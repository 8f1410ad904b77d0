"""Drawn scenes with as much in them as a photograph, and the ways in which copies differ."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def scene(seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """A sky, a ground and some dozen shapes, blurred a little and grained; the same every time."""
    random = np.random.RandomState(seed)
    width, height = size
    colours = random.randint(0, 256, (40, 3))
    top, bottom = colours[0].astype(float), colours[1].astype(float)
    share = np.linspace(0, 1, height)[:, None, None]
    sky = np.broadcast_to(top * (1 - share) + bottom * share, (height, width, 3))
    picture = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for index in range(14):
        x, y = random.randint(-40, width), random.randint(-40, height)
        w, h = random.randint(30, width // 2), random.randint(30, height // 2)
        colour = tuple(int(c) for c in colours[2 + index])
        if index % 3 == 0:
            draw.ellipse([x, y, x + w, y + h], fill=colour)
        elif index % 3 == 1:
            draw.rectangle([x, y, x + w, y + h], fill=colour)
        else:
            draw.polygon([(x, y + h), (x + w, y + h // 2), (x + w // 2, y)], fill=colour)
    grain = random.normal(0, 6, (height, width, 1))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5)), float)
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def encoded(picture: Image.Image, format: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def copies(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    """The picture re-encoded, resized and cropped, as copies on the web are."""
    width, height = picture.size
    for quality in (30, 60, 95):
        yield f"quality {quality}", encoded(picture, "JPEG", quality=quality)
    for share in (0.25, 0.5, 0.75, 1.5, 2):
        small = picture.resize((round(width * share), round(height * share)))
        yield f"size {share:.0%}", encoded(small, "JPEG", quality=85)
    for quality in (50, 80):
        yield f"WebP {quality}", encoded(picture, "WEBP", quality=quality)
    cut_x, cut_y = round(width * 0.03), round(height * 0.03)
    for name, box in (
        ("all sides", (cut_x, cut_y, width - cut_x, height - cut_y)),
        ("middle", (cut_x // 2, cut_y // 2, width - cut_x // 2, height - cut_y // 2)),
        ("left", (cut_x, 0, width, height)),
        ("bottom", (0, 0, width, height - cut_y)),
        ("corner", (cut_x, cut_y, width, height)),
    ):
        yield f"cropped: {name}", encoded(picture.crop(box), "JPEG", quality=85)
