from __future__ import annotations

import gzip
import zlib

import pytest

from curate.schemas.content_coding import CodingError, TooLargeError, decoded

BODY = b"a picture, or so it says" * 20
RAW = zlib.compress(BODY)[2:-4]


def gzipped(data: bytes) -> bytes:
    """Without the time: tests are named by their bytes."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzipped(BODY), "gzip"),
        (gzipped(BODY), "X-GZIP"),
        (gzipped(BODY[:99]) + gzipped(BODY[99:]), "gzip"),
        (gzipped(BODY) + gzipped(b"") * 3, "gzip"),
        (gzipped(BODY) + b"garbage", "gzip"),
        (zlib.compress(BODY), "deflate"),
        (RAW, "deflate"),
        (zlib.compress(BODY), "gzip"),
        (gzipped(gzipped(BODY)), "gzip, gzip"),
        (gzipped(zlib.compress(BODY)), "deflate,gzip"),
    ],
)
def test_what_browsers_read(body: bytes, header: str) -> None:
    assert decoded(body, header, 10_000) == BODY


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (BODY, "gzip"),
        (gzipped(BODY)[:-12], "gzip"),
        (gzipped(BODY) + gzipped(BODY)[:-9], "gzip"),
        (b"", "gzip"),
        (b"\x00", "deflate"),
        (BODY, "zebra\x1b[31m"),
    ],
)
def test_what_they_do_not(body: bytes, header: str) -> None:
    with pytest.raises(CodingError) as told:
        decoded(body, header, 10_000)
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 10_001,
        gzipped(b"\0" * 50_000_000),
        b"".join(gzipped(b"x" * 6_000) for _ in range(2)),
    ],
)
def test_the_limit_holds_while_decoding(body: bytes) -> None:
    with pytest.raises(TooLargeError):
        decoded(body, "gzip" if body.startswith(b"\x1f") else "", 10_000)
