"""Pictures for the demo's pages, drawn with Pillow: the same bytes every time."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]


def _gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    picture = Image.new("RGB", size)
    draw = ImageDraw.Draw(picture)
    for y in range(size[1]):
        share = y / size[1]
        mixed = tuple(round(a + (b - a) * share) for a, b in zip(top, bottom, strict=True))
        draw.line([(0, y), (size[0], y)], fill=mixed)
    return picture


def lighthouse() -> Image.Image:
    picture = _gradient((640, 420), (250, 180, 120), (60, 90, 150))
    draw = ImageDraw.Draw(picture)
    draw.polygon([(0, 330), (640, 300), (640, 420), (0, 420)], fill=(20, 50, 90))
    draw.polygon([(300, 330), (320, 120), (360, 120), (380, 330)], fill=(240, 240, 235))
    for y in range(150, 330, 60):
        draw.rectangle([302, y, 378, y + 26], fill=(190, 40, 40))
    draw.rectangle([314, 92, 366, 122], fill=(255, 240, 150))
    draw.polygon([(366, 100), (640, 40), (640, 150)], fill=(255, 245, 190))
    return picture


def boats() -> Image.Image:
    picture = _gradient((600, 400), (170, 210, 240), (40, 110, 140))
    draw = ImageDraw.Draw(picture)
    for index in range(5):
        x, y = 60 + index * 110, 220 + (index % 2) * 60
        draw.polygon([(x, y), (x + 80, y), (x + 62, y + 28), (x + 18, y + 28)], fill=(120, 60, 30))
        draw.polygon([(x + 40, y - 90), (x + 40, y - 6), (x + 84, y - 6)], fill=(250, 250, 250))
    return picture


def bread() -> Image.Image:
    picture = _gradient((520, 400), (245, 235, 220), (215, 195, 165))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([80, 110, 440, 340], fill=(180, 110, 50), outline=(110, 60, 25), width=6)
    for offset in range(-120, 121, 60):
        box = [220 + offset, 140, 300 + offset, 300]
        draw.arc(box, 200, 340, fill=(250, 225, 180), width=9)
    return picture


def stars() -> Image.Image:
    picture = _gradient((480, 480), (8, 10, 30), (40, 30, 80))
    draw = ImageDraw.Draw(picture)
    for index in range(160):
        x, y = (index * 7919) % 480, (index * 104729) % 480
        radius = 1 + index % 3
        draw.ellipse([x, y, x + radius, y + radius], fill=(255, 255, 230))
    draw.ellipse([320, 60, 420, 160], fill=(240, 235, 210))
    draw.ellipse([295, 50, 395, 150], fill=(12, 13, 36))
    return picture


def hive() -> Image.Image:
    picture = Image.new("RGB", (500, 380), (250, 215, 120))
    draw = ImageDraw.Draw(picture)
    for row in range(6):
        for column in range(7):
            x, y = 40 + column * 68 + (row % 2) * 34, 40 + row * 60
            corners = [
                (x + 36 * math.cos(a), y + 36 * math.sin(a))
                for a in (math.pi / 6 + k * math.pi / 3 for k in range(6))
            ]
            shade = 170 + (row * 7 + column * 13) % 60
            draw.polygon(corners, fill=(shade, shade - 60, 20), outline=(90, 50, 5))
    return picture


def tides() -> Image.Image:
    picture = Image.new("RGB", (640, 300), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    draw.line([(40, 150), (620, 150)], fill=(120, 120, 120), width=2)
    points = [(40 + x, 150 - 90 * math.sin(x / 46)) for x in range(580)]
    draw.line(points, fill=(30, 90, 180), width=4)
    return picture


def teapot() -> Image.Image:
    picture = _gradient((420, 420), (225, 240, 225), (160, 195, 170))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([110, 150, 310, 330], fill=(60, 90, 130))
    draw.polygon([(300, 220), (390, 160), (370, 190), (308, 270)], fill=(60, 90, 130))
    draw.arc([50, 180, 150, 300], 60, 300, fill=(60, 90, 130), width=16)
    draw.rectangle([190, 126, 230, 152], fill=(40, 60, 90))
    return picture


def bicycle() -> Image.Image:
    picture = Image.new("RGB", (560, 340), (235, 235, 245))
    draw = ImageDraw.Draw(picture)
    for x in (150, 400):
        draw.ellipse([x - 85, 140, x + 85, 310], outline=(30, 30, 30), width=7)
    draw.line(
        [(150, 225), (240, 120), (370, 120), (270, 225), (150, 225)], fill=(200, 50, 40), width=8
    )
    draw.line([(240, 120), (270, 225)], fill=(200, 50, 40), width=8)
    draw.line([(370, 120), (400, 225)], fill=(200, 50, 40), width=8)
    return picture


def jpeg(picture: Image.Image) -> bytes:
    return _encode(picture, "JPEG", quality=90)


def png(picture: Image.Image) -> bytes:
    return _encode(picture, "PNG")


def webp(picture: Image.Image) -> bytes:
    return _encode(picture, "WEBP", quality=90)


def _encode(picture: Image.Image, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()
