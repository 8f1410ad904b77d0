"""Content codings of response bodies, as browsers read them, within a limit."""

from __future__ import annotations

import zlib

from curate.schemas.text.shown import one_line

_GZIP, _ZLIB, _RAW = 31, 15, -15


class CodingError(Exception):
    """A body that can't be decoded; the message says why."""


class TooLargeError(Exception):
    """A body that grows over the limit."""


def decoded(body: bytes, header: str, limit: int) -> bytes:
    """The body without the codings that `Content-Encoding` names, the last one first.

    A gzip body is all its members, and what else stands behind them is none of it. `deflate` is
    zlib's format or the bare one: servers send either.

    Raises:
        CodingError: a coding is unknown, or the bytes belie it.
        TooLargeError: it is more than `limit` bytes.
    """
    for coding in reversed(header.lower().split(",")):
        coding = coding.strip()
        if coding in ("", "identity"):
            continue
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise CodingError(one_line(coding))
        try:
            body = _inflate(body, coding, limit)
        except zlib.error as error:
            raise CodingError(f"{coding}: {error}") from error
    if len(body) > limit:
        raise TooLargeError
    return body


def _inflate(body: bytes, coding: str, limit: int) -> bytes:
    window = _GZIP
    if coding == "deflate" or not body.startswith(b"\x1f\x8b"):
        window = _ZLIB if _is_zlib(body) else _RAW if coding == "deflate" else _GZIP
    pieces: list[bytes] = []
    held = 0
    while True:
        decompressor = zlib.decompressobj(window)
        piece = decompressor.decompress(body, limit + 1 - held)
        pieces.append(piece)
        held += len(piece)
        if held > limit:
            raise TooLargeError
        if not decompressor.eof:
            raise CodingError(f"{coding}: it ends too early")
        body = decompressor.unused_data
        if window != _GZIP or not body.startswith(b"\x1f\x8b"):
            return b"".join(pieces)


def _is_zlib(body: bytes) -> bool:
    """Whether the two bytes of zlib's header stand before it (RFC 1950)."""
    return len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
