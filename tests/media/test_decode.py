from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from curate.media.decode import EncodedImage, decode_image
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.verdict import Drop
from tests.conftest import flat_picture, picture

RULES, IMAGES = ImageRules(), Images(size=32)


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_formats(format: str) -> None:
    image = decode_image(picture(format=format), RULES, IMAGES)
    assert isinstance(image, EncodedImage)
    assert (image.width, image.height) == (32, 32)
    assert (image.facts.format, image.facts.width) == (format.lower(), 120)
    with Image.open(io.BytesIO(image.jpeg)) as stored:
        assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", (32, 32))


def test_without_crop_the_shape_is_kept() -> None:
    image = decode_image(picture(200, 100), RULES, Images(size=32, center_crop=False))
    assert isinstance(image, EncodedImage)
    assert (image.width, image.height) == (64, 32)


def test_the_crop_is_the_middle() -> None:
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 0, 255), (100, 0, 200, 100))
    image = decode_image(encode(wide), RULES, IMAGES)
    assert isinstance(image, EncodedImage)
    with Image.open(io.BytesIO(image.jpeg)) as stored:
        red, _, blue = stored.getpixel((16, 16))
    assert blue > 240
    assert red < 20


def test_transparency_is_laid_over_white() -> None:
    clear = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    clear.paste((10, 20, 30, 255), (0, 0, 50, 100))
    image = decode_image(encode(clear), RULES, IMAGES)
    assert isinstance(image, EncodedImage)
    with Image.open(io.BytesIO(image.jpeg)) as stored:
        assert min(stored.getpixel((28, 16))) > 240


def test_orientation_is_applied() -> None:
    upright = Image.new("RGB", (80, 160), (255, 255, 255))
    upright.paste((0, 0, 0), (0, 0, 80, 80))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned upside down
    image = decode_image(encode(upright, "JPEG", exif=exif), RULES, IMAGES)
    assert isinstance(image, EncodedImage)
    with Image.open(io.BytesIO(image.jpeg)) as stored:
        pixels = np.asarray(stored.convert("L")).astype(int)
    assert pixels[0].mean() > 200 > 50 > pixels[-1].mean()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "image.not_an_image"),
        (b"<html>not a picture</html>", "image.not_an_image"),
        (picture()[:300], "image.truncated"),
        (picture()[:90] + b"x" * 3_000, "image.undecodable"),
        (picture(63, 200), "image.min_side"),
        (flat_picture(), "image.single_color"),
    ],
)
def test_drops(data: bytes, rule: str) -> None:
    outcome = decode_image(data, RULES, IMAGES)
    assert isinstance(outcome, Drop)
    assert outcome.rule == rule


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    outcome = decode_image(picture(400, 300), ImageRules(max_pixels=119_999), IMAGES)
    assert outcome == Drop("image.max_pixels", 120_000, 119_999)
    header = bytearray(encode(Image.new("1", (8, 8))))
    header[16:24] = (200_000).to_bytes(4, "big") * 2
    outcome = decode_image(bytes(header), RULES, IMAGES)
    assert isinstance(outcome, Drop)


def test_too_many_frames() -> None:
    frames = [Image.new("RGB", (80, 80), (i * 60, 0, 0)) for i in range(4)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data, ImageRules(max_frames=3), IMAGES) == Drop("image.max_frames", 4, 3)
    assert isinstance(decode_image(picture(format="GIF"), RULES, IMAGES), EncodedImage)


def test_the_same_bytes_every_time() -> None:
    one, two = (decode_image(picture(format="JPEG"), RULES, IMAGES) for _ in range(2))
    assert one == two
