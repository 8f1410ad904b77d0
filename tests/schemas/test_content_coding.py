from __future__ import annotations

import gzip
import zlib

import pytest

from curate.schemas.content_coding import CodingError, TooLargeError, decoded

BODY = b"a picture, or so it says" * 20
RAW = zlib.compress(BODY)[2:-4]


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "X-GZIP"),
        (gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]), "gzip"),
        (gzip.compress(BODY) + gzip.compress(b"") * 3, "gzip"),
        (gzip.compress(BODY) + b"garbage", "gzip"),
        (zlib.compress(BODY), "deflate"),
        (RAW, "deflate"),
        (zlib.compress(BODY), "gzip"),
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
        (gzip.compress(zlib.compress(BODY)), "deflate,gzip"),
    ],
)
def test_what_browsers_read(body: bytes, header: str) -> None:
    assert decoded(body, header, 10_000) == BODY


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (BODY, "gzip"),
        (gzip.compress(BODY)[:-12], "gzip"),
        (gzip.compress(BODY) + gzip.compress(BODY)[:-9], "gzip"),
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
        gzip.compress(b"\0" * 50_000_000),
        b"".join(gzip.compress(b"x" * 6_000) for _ in range(2)),
    ],
)
def test_the_limit_holds_while_decoding(body: bytes) -> None:
    with pytest.raises(TooLargeError):
        decoded(body, "gzip" if body.startswith(b"\x1f") else "", 10_000)
