"""Images that are made to cost memory, time or the process: one verdict each, within limits."""

from __future__ import annotations

import io
import random
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, features

from curate.media.decode import EncodedImage
from curate.media.decoder import Decoder
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.verdict import Drop
from tests.abuse.conftest import WHOLE
from tests.conftest import picture

_RULES = ImageRules(decoder_megabytes=1_024)
_SECONDS = 20.0
"""For any one image, on a busy machine: its process may use five seconds of processor time, as with
any recipe that does not say otherwise."""
_MEGABYTES = 1_024
_BIG = 20 if WHOLE else 4
"""Times five million bytes, of what grows when it is decompressed."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes, body: bytes | None = None) -> bytes:
    """A PNG of grey with further chunks before its pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    if body is None:
        body = zlib.compress(b"".join(b"\0" + bytes([y % 256]) * width for y in range(height)))
    parts = [_chunk(b"IHDR", head), *chunks, _chunk(b"IDAT", body), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _bytes(format: str, size: int = 96, **options: object) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(picture(size, size))) as drawn:
        drawn.convert("RGB").save(buffer, format, **options)
    return buffer.getvalue()


def _frames(format: str, count: int) -> bytes:
    """An animation of tiny frames that differ."""
    made = [Image.new("RGB", (64, 64), (n % 256, n // 256, 9)) for n in range(count)]
    buffer = io.BytesIO()
    made[0].save(buffer, format, save_all=True, append_images=made[1:], lossless=True)
    return buffer.getvalue()


_GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"


def _million_frames() -> bytes:
    """A GIF whose image block of one frame stands there a million times."""
    head = b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + _GIF_FRAME * 1_000_000 + b";"


def _apng_frames(count: int) -> bytes:
    """An animated PNG that says so of a million frames."""
    return _png(64, 64, _chunk(b"acTL", struct.pack(">II", count, 0)))


def _jpeg_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = _bytes("JPEG", 512, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def _jpeg_size(width: int, height: int) -> bytes:
    data = bytearray(_bytes("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _jpeg_with(marker: int, payload: bytes) -> bytes:
    """A JPEG with a segment of its own behind the first marker."""
    data = _bytes("JPEG")
    return (
        data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + data[2:]
    )


def _tiff(entries: list[tuple[int, int, int, int]], next_directory: int = 0) -> bytes:
    """A little-endian TIFF of one directory: tag, type, count, value or place."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8)
    return head + struct.pack("<H", len(entries)) + body + struct.pack("<I", next_directory)


def _tiff_of(width: int, height: int, **more: int) -> bytes:
    strips = more.get("strips", 1)
    return _tiff(
        [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
         (273, 4, strips, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, strips, 100)],
        more.get("next_directory", 0),
    )  # fmt: skip


def _ico_of_itself() -> bytes:
    """An icon with 65,535 entries that all point at one PNG."""
    inner = _png(256, 256)
    count = 65_535
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 6 + 16 * count)
    return struct.pack("<HHH", 0, 1, count) + entry * count + inner


def _ppm(head: bytes) -> bytes:
    return head + b"\x7f" * 1_000


_BOMB = zlib.compress(bytes(5_000_000))
_GROWS = {"image.undecodable"}
"""Of text and profiles Pillow decompresses a megabyte each, and holds 64 of text in all."""
_HUGE = 2**31 - 1

_NAMED: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    # Every name: how it is made, and the rules that may come of it; "kept" for a stored image.
    "png-bomb-of-zeros": (
        lambda: _png(30_000, 30_000, body=_zeros(_BIG * 5)), {"image.max_pixels"},
    ),
    "png-within-pixels": (lambda: _png(8_000, 8_000, body=_zeros(64)), {"image.single_color"}),
    "png-of-2^31-pixels-wide": (lambda: _png(_HUGE, 1, body=b""), {"image.max_pixels"}),
    "png-of-2^31-squared": (lambda: _png(_HUGE, _HUGE, body=b""), {"image.max_pixels"}),
    "png-of-no-width": (lambda: _png(0, 0, body=b""), {"image.not_an_image"}),
    "png-with-much-text": (lambda: _png(96, 96, *_texts(_BIG)), _GROWS if WHOLE else {"kept"}),
    "png-with-compressed-text": (lambda: _png(96, 96, *_zipped(b"zTXt", _BIG)), _GROWS),
    "png-with-international-text": (lambda: _png(96, 96, *_zipped(b"iTXt", _BIG)), _GROWS),
    "png-with-a-profile-that-grows": (lambda: _png(96, 96, *_zipped(b"iCCP", 1)), _GROWS),
    "png-with-a-chunk-of-2^32": (
        lambda: _png(96, 96)[:33] + b"\xff\xff\xff\xffzTXt" + bytes(50), {"image.undecodable"},
    ),
    "png-of-a-million-frames": (lambda: _apng_frames(1_000_000), {"image.max_frames"}),
    "gif-of-a-million-frames": (_million_frames, {"image.max_frames"}),
    "gif-of-1001-frames": (lambda: _frames("GIF", 1_001), {"image.max_frames"}),
    "webp-of-1001-frames": (lambda: _frames("WEBP", 1_001), {"image.max_frames"}),
    "gif-of-65535-pixels-wide": (
        lambda: b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + _GIF_FRAME + b";",
        {"image.max_pixels"},
    ),
    "jpeg-of-65500-squared": (lambda: _jpeg_size(65_500, 65_500), {"image.max_pixels"}),
    "jpeg-of-no-height": (lambda: _jpeg_size(96, 0), {"image.not_an_image"}),
    # Five seconds of processor time are enough here, and may not be on a slower machine.
    "jpeg-of-5000-scans": (lambda: _jpeg_scans(5_000), {"kept", "image.decoder_seconds"}),
    "jpeg-with-broken-exif": (
        lambda: _jpeg_with(0xE1, b"Exif\0\0" + b"II*\0\xff\xff\xff\xff"), {"kept"},
    ),
    "jpeg-with-exif-in-a-circle": (
        lambda: _jpeg_with(0xE1, b"Exif\0\0" + _tiff([(0x8769, 4, 1, 8)], 8)), {"kept"},
    ),
    "jpeg-with-exif-of-4-billion-values": (
        lambda: _jpeg_with(0xE1, b"Exif\0\0" + _tiff([(0x0112, 3, 2**32 - 1, 26)])), {"kept"},
    ),
    "jpeg-with-orientation-99": (
        lambda: _jpeg_with(0xE1, b"Exif\0\0" + _tiff([(0x0112, 3, 1, 99)])), {"kept"},
    ),
    "jpeg-with-a-broken-profile": (
        lambda: _jpeg_with(0xE2, b"ICC_PROFILE\0\1\1" + b"\xff" * 3_000), {"kept"},
    ),
    "jpeg-with-a-profile-of-other-colours": (
        lambda: _jpeg_with(0xE2, b"ICC_PROFILE\0\1\xff" + b"GRAY" * 700), {"kept"},
    ),
    "tiff-of-2^31-squared": (lambda: _tiff_of(_HUGE, _HUGE), {"image.max_pixels"}),
    "tiff-in-a-circle": (
        lambda: _tiff_of(96, 96, next_directory=8), {"image.truncated"},
    ),
    "tiff-of-a-billion-strips": (
        lambda: _tiff_of(96, 96, strips=10**9), {"image.not_an_image"},
    ),
    "tiff-of-65535-entries": (
        lambda: _tiff([(270, 2, 5, 8)] * 65_535), {"image.not_an_image"},
    ),
    "bmp-of-2^31-high": (
        lambda: b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, _HUGE, -_HUGE, 1, 24, 0, 0, 0, 0, 0, 0),
        {"image.max_pixels"},
    ),
    "bmp-of-runs": (
        lambda: b"BM" + struct.pack("<IHHI", 54, 0, 0, 1_078)
        + struct.pack("<IiiHHIIiiII", 40, 7_900, 7_900, 1, 8, 1, 0, 0, 0, 256, 0)
        + bytes(1_024) + b"\xff\x01" * 250_000 + b"\0\1",
        {"image.undecodable"},
    ),
    "ico-of-65535-entries": (_ico_of_itself, {"kept"}),
    "ppm-of-huge-numbers": (
        lambda: _ppm(b"P6 " + b"9" * 5_000 + b" 9 255\n"),
        {"image.undecodable"},
    ),
    "ppm-of-huge-sides": (lambda: _ppm(b"P6 99999999 99999999 255\n"), {"image.max_pixels"}),
    "ppm-in-plain": (
        lambda: b"P3 2000 2000 255\n" + b"1 " * 3_000_000,
        {"image.undecodable"},
    ),
    "tga-of-runs": (
        lambda: struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 8_000, 8_000, 24, 0)
        + b"\xff\1\2\3" * 500_000,
        {"image.undecodable"},
    ),
    "pcx-of-runs": (
        lambda: struct.pack("<BBBBHHHHHH", 10, 5, 1, 8, 0, 0, 7_900, 7_900, 72, 72) + bytes(49)
        + struct.pack("<BHH", 3, 7_901, 1) + bytes(58) + b"\xff\x07" * 200_000,
        {"image.truncated"},
    ),
    "html": (lambda: b"<!doctype html><title>403</title>" * 99, {"image.not_an_image"}),
    "svg-of-entities": (
        lambda: b'<!DOCTYPE svg [<!ENTITY a "' + b"a" * 999 + b'">]><svg>' + b"&a;" * 9_999,
        {"image.not_an_image"},
    ),
    "nothing": (lambda: b"", {"image.not_an_image"}),
    "zeros": (lambda: bytes(10_000_000), {"image.not_an_image"}),
}  # fmt: skip


def _zeros(megabytes: int) -> bytes:
    packed = zlib.compressobj()
    return b"".join([*(packed.compress(bytes(1 << 20)) for _ in range(megabytes)), packed.flush()])


def _texts(times: int) -> Iterator[bytes]:
    return (_chunk(b"tEXt", b"Comment\0" + b"a" * 5_000_000) for _ in range(times))


def _zipped(kind: bytes, times: int) -> Iterator[bytes]:
    """Chunks of which each becomes five million bytes."""
    key = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"profile\0\0"}[kind]
    return (_chunk(kind, key + _BOMB) for _ in range(times))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder(_RULES, Images(size=64))
    yield made
    made.close()


def _verdict(decoder: Decoder, data: bytes) -> str:
    """The rule that an image falls under, or "kept"; a fault of the program is raised."""
    started = time.monotonic()
    outcome = decoder.decode(data)
    assert time.monotonic() - started < _SECONDS
    if isinstance(outcome, Drop):
        assert len(outcome.value_text) < 300
        return outcome.rule
    assert isinstance(outcome, EncodedImage)
    return "kept"


@pytest.mark.parametrize("name", _NAMED)
def test_named_images(decoder: Decoder, name: str) -> None:
    make, rules = _NAMED[name]
    assert _verdict(decoder, make()) in rules
    process = decoder._process
    if process is not None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) >> 10
        assert peak < _MEGABYTES, f"{peak} MiB"


def _formats() -> dict[str, bytes]:
    """A good image in every format that is read."""
    made = {name: _bytes(name) for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")}
    made |= {name: _bytes(name) for name in ("TGA", "PCX", "ICO")}
    made["TIFF-deflate"] = _bytes("TIFF", compression="tiff_adobe_deflate")
    made["progressive"] = _bytes("JPEG", progressive=True)
    if features.check("avif"):
        made["AVIF"] = _bytes("AVIF")
    return made


@pytest.mark.parametrize("name", _formats())
def test_damaged_images(decoder: Decoder, name: str) -> None:
    """Cut, flipped and filled with bytes at places of chance: a verdict of a published name."""
    data = _formats()[name]
    chance = random.Random(name)
    assert _verdict(decoder, data) == "kept"
    for _ in range(400 if WHOLE else 25):
        at = chance.randrange(len(data))
        rest = data[at + 8 :] if chance.random() < 0.7 else b""
        damaged = data[:at] + chance.randbytes(8) + rest
        rule = _verdict(decoder, damaged)
        assert rule == "kept" or rule.startswith("image."), rule


def test_its_own_process_pays(decoder: Decoder) -> None:
    """What a bomb takes, it takes in the decoder: this process stays as it was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _verdict(decoder, _png(7_900, 7_900, body=_zeros(60)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
