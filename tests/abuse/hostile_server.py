"""A server on 127.0.0.1 that misbehaves in every way that has a name here."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from curate.schemas.identity import content_key

OK = "ok"
"""The body comes whole."""
SECRET = b"this is the body"
LIMIT = 100_000
"""Bytes of a body that the tests allow."""
TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Bytes to send and the rule that they must end by; then the connection is closed."""

    data: bytes
    expected: str
    stall: bool = False
    """Keep the connection open without another word."""


def _answer(*lines: str, body: bytes = SECRET, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", "Connection: close", *lines]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def _sized(*lines: str, body: bytes = SECRET, status: str = "200 OK") -> bytes:
    return _answer(f"Content-Length: {len(body)}", *lines, body=body, status=status)


def _to(location: str, status: str = "302 Found") -> bytes:
    return _sized(f"Location: {location}", body=b"", status=status)


def _packed(coding: str, body: bytes) -> bytes:
    return _sized(f"Content-Encoding: {coding}", body=body)


_CHUNKED = "Transfer-Encoding: chunked"
_GZIPPED = gzip.compress(SECRET)
_WHOLE_CHUNK = b"10\r\n" + SECRET + b"\r\n0\r\n\r\n"

_TABLE: dict[str, tuple[bytes, str]] = {
    # Status lines
    "nothing": (b"", "fetch.network"),
    "a-newline": (b"\r\n", "fetch.protocol fetch.network"),
    "no-http": (b"SSH-2.0-OpenSSH_9.2\r\n", "fetch.protocol"),
    "binary": (bytes(range(256)) * 20, "fetch.protocol"),
    "http-0.9": (SECRET, "fetch.protocol"),
    "http-9.9": (b"HTTP/9.9 200 OK\r\n\r\n", "fetch.protocol"),
    "version-missing": (b"HTTP/ 200 OK\r\n\r\n", "fetch.protocol"),
    "status-missing": (b"HTTP/1.1\r\n\r\n", "fetch.protocol fetch.http_status"),
    "status-of-29-digits": (b"HTTP/1.1 " + b"2" * 29 + b" OK\r\n\r\n", "fetch.http_status"),
    "status-of-5000-digits": (b"HTTP/1.1 " + b"2" * 5_000 + b"\r\n\r\n", "fetch.http_status"),
    "status-negative": (b"HTTP/1.1 -200 OK\r\n\r\n", "fetch.protocol"),
    "status-superscript": ("HTTP/1.1 ²00 OK\r\n\r\n".encode(), "fetch.protocol"),
    "status-0": (_sized(status="000 Zero"), "fetch.protocol fetch.http_status"),
    "status-299": (_sized(status="299 Odd"), "fetch.http_status"),
    "status-600": (_sized(status="600 Odd"), "fetch.http_status"),
    "status-999": (_sized(status="999 Denied"), "fetch.http_status"),
    "status-777": (_sized(status="777 \x1b[31mred"), "fetch.http_status"),
    "status-204": (_answer(body=b"", status="204 No Content"), "fetch.http_204"),
    "status-206": (_sized(status="206 Partial"), "fetch.http_206"),
    "status-304": (_answer(body=b"", status="304 Not Modified"), "fetch.http_304"),
    "status-401": (_sized("WWW-Authenticate: Basic", status="401 No"), "fetch.http_401"),
    "status-404": (_sized(status="404 No"), "fetch.http_404"),
    "status-407": (_sized("Proxy-Authenticate: Basic", status="407 No"), "fetch.http_407"),
    "status-418": (_sized(status="418 Teapot"), "fetch.http_418"),
    "status-451": (_sized(status="451 Law"), "fetch.http_451"),
    "status-500": (_sized(status="500 Oops"), "fetch.http_500"),
    "status-503": (_sized(status="503 Busy"), "fetch.http_503"),
    "status-522": (_sized(status="522 Origin"), "fetch.http_522"),
    "reason-of-60-kb": (_sized(status="200 " + "x" * 60_000), OK),
    "reason-of-1-mb": (_sized(status="200 " + "x" * 1_000_000), "fetch.protocol"),
    # 1xx
    "continue-first": (b"HTTP/1.1 100 Continue\r\n\r\n" + _sized(), OK),
    "early-hints": (b"HTTP/1.1 103 Hints\r\nX-Robots-Tag: noai\r\n\r\n" + _sized(), OK),
    "continue-flood": (b"HTTP/1.1 100 C\r\n\r\n" * 20_000, "fetch.protocol fetch.network"),
    "switching": (b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", "fetch.http_101 fetch.network"),
    # Headers
    "header-without-colon": (_sized("nonsense"), "fetch.protocol"),
    "header-without-name": (_sized(": value"), OK),
    "header-with-nul": (_sized("X-A: a\0b"), "fetch.protocol " + OK),
    "header-name-with-nul": (_sized("X\0A: b"), "fetch.protocol " + OK),
    "header-latin-1": (_sized("X-A: \udce4"), OK),
    "header-escapes": (_sized("X-A: \x1b]0;owned\x07"), OK),
    "header-folded": (_sized("X-A: b", "\tc"), OK),
    "header-bare-newlines": (_sized("X-A: b").replace(b"\r\n", b"\n"), OK),
    "header-of-60-kb": (_sized("X-A: " + "y" * 60_000), OK),
    "header-of-1-mb": (_sized("X-A: " + "y" * 1_000_000), "fetch.protocol"),
    "headers-5000": (_sized(*(f"X-{i}: {i}" * 3 for i in range(5_000))), "fetch.protocol"),
    "headers-never-end": (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50, "empty"),
    "cookies": (_sized(*["Set-Cookie: a=b; Domain=.com"] * 90), OK),
    "refresh": (_sized("Refresh: 0; url=http://169.254.169.254/"), OK),
    "alt-svc": (_sized('Alt-Svc: h2="169.254.169.254:80"; ma=86400'), OK),
    "hsts": (_sized("Strict-Transport-Security: max-age=99999999999999999999"), OK),
    # Lengths
    "length-negative": (_answer("Content-Length: -1"), "fetch.protocol " + OK),
    "length-text": (_answer("Content-Length: many"), "fetch.protocol " + OK),
    "length-superscript": (_answer("Content-Length: ¹⁶"), "fetch.protocol " + OK),
    "length-of-30-digits": (_answer("Content-Length: " + "9" * 30), OK),
    "length-2-to-the-64": (_answer("Content-Length: 18446744073709551615"), OK),
    "length-2-to-the-63": (_answer("Content-Length: 9223372036854775808"), OK),
    "length-too-long": (_answer("Content-Length: 99"), "fetch.network"),
    "length-too-short": (_answer("Content-Length: 16", body=SECRET + b"more"), OK),
    "length-twice": (_answer("Content-Length: 16", "Content-Length: 16"), OK),
    "length-twice-differing": (_answer("Content-Length: 16", "Content-Length: 4"), "fetch.protocol fetch.network " + OK),
    "length-none": (_answer(), OK),
    "body-of-200-kb": (_sized(body=b"x" * 200_000), "fetch.too_large"),
    "body-endless": (_answer(body=b"x" * 3_000_000), "fetch.too_large"),
    "body-empty": (_sized(body=b""), "empty"),
    # Chunks
    "chunked": (_answer(_CHUNKED, body=_WHOLE_CHUNK), OK),
    "chunked-with-length": (_answer(_CHUNKED, "Content-Length: 3", body=_WHOLE_CHUNK), OK),
    "chunk-extension": (_answer(_CHUNKED, body=b"10;a=b\r\n" + SECRET + b"\r\n0\r\n\r\n"), OK),
    "chunk-trailer": (_answer(_CHUNKED, body=_WHOLE_CHUNK[:-2] + b"X-Robots-Tag: noai\r\n\r\n"), OK + " consent.header"),
    "chunk-trailer-bomb": (_answer(_CHUNKED, body=_WHOLE_CHUNK[:-2] + b"X-A: b\r\n" * 90_000), "fetch.protocol fetch.network"),
    "chunk-size-text": (_answer(_CHUNKED, body=b"zz\r\nabc"), "fetch.protocol fetch.network"),
    "chunk-size-negative": (_answer(_CHUNKED, body=b"-1\r\nabc"), "fetch.protocol fetch.network"),
    "chunk-size-huge": (_answer(_CHUNKED, body=b"F" * 40 + b"\r\nabc"), "fetch.protocol fetch.network"),
    "chunk-cut": (_answer(_CHUNKED, body=b"10\r\nabc"), "fetch.network"),
    "chunk-last-missing": (_answer(_CHUNKED, body=b"10\r\n" + SECRET + b"\r\n"), "fetch.network"),
    "chunks-of-one-byte": (_answer(_CHUNKED, body=b"1\r\nx\r\n" * 9_000 + b"0\r\n\r\n"), OK + " long"),
    "chunks-endless": (_answer(_CHUNKED, body=b"400\r\n" + b"x" * 1_024 + b"\r\n" + (b"400\r\n" + b"x" * 1_024 + b"\r\n") * 500), "fetch.too_large"),
    "transfer-unknown": (_answer("Transfer-Encoding: zebra"), "fetch.protocol " + OK),
    # Codings
    "gzip": (_packed("gzip", _GZIPPED), OK),
    "gzip-members": (_packed("gzip", gzip.compress(SECRET[:5]) + gzip.compress(SECRET[5:])), OK),
    "gzip-behind-it-garbage": (_packed("gzip", _GZIPPED + b"\0" * 50), OK),
    "gzip-belied": (_packed("gzip", SECRET), "fetch.content_encoding"),
    "gzip-cut": (_packed("gzip", _GZIPPED[:-9]), "fetch.content_encoding"),
    "gzip-wrong-sum": (_packed("gzip", _GZIPPED[:-8] + b"\0" * 8), "fetch.content_encoding"),
    "gzip-bomb": (_packed("gzip", gzip.compress(b"\0" * 60_000_000)), "fetch.too_large"),
    "gzip-bomb-of-members": (_packed("gzip", gzip.compress(b"\0" * 60_000) * 40), "fetch.too_large"),
    "gzip-twice": (_packed("gzip, gzip", gzip.compress(_GZIPPED)), OK),
    "x-gzip": (_packed("x-gzip", _GZIPPED), OK),
    "deflate": (_packed("deflate", zlib.compress(SECRET)), OK),
    "deflate-raw": (_packed("deflate", zlib.compress(SECRET)[2:-4]), OK),
    "coding-unknown": (_packed("zebra", SECRET), "fetch.content_encoding"),
    "coding-of-escapes": (_packed("\x1b[2J", SECRET), "fetch.content_encoding"),
    "coding-of-50-kb": (_packed("q" * 50_000, SECRET), "fetch.content_encoding"),
    "coding-gzip-1000-times": (_packed(", ".join(["gzip"] * 1_000), _GZIPPED), "fetch.content_encoding"),
    # Redirects
    "to-nothing": (_to(""), "fetch.redirects"),
    "to-a-bracket": (_to("http://["), "fetch.address"),
    "to-brackets": (_to("http://[zz]/"), "fetch.address"),
    "to-a-port-text": (_to("http://h.test:x/"), "fetch.address"),
    "to-a-port-of-6-digits": (_to("http://h.test:123456/"), "fetch.address"),
    "to-a-superscript-port": (_to("http://h.test:²/"), "fetch.address fetch.dns"),
    "to-no-host": (_to("http:///x"), "fetch.http_404"),
    "to-a-file": (_to("file:///etc/passwd"), "fetch.scheme"),
    "to-gopher": (_to("gopher://127.0.0.1/"), "fetch.scheme"),
    "to-data": (_to("data:image/png;base64,AAAA"), "fetch.scheme"),
    "to-javascript": (_to("javascript:alert(1)"), "fetch.scheme"),
    "to-metadata": (_to("http://169.254.169.254/latest"), "fetch.blocked_address"),
    "to-metadata-mapped": (_to("http://[::ffff:169.254.169.254]/"), "fetch.blocked_address"),
    "to-metadata-compatible": (_to("http://[::169.254.169.254]/"), "fetch.blocked_address"),
    "to-metadata-decimal": (_to("http://2852039166/"), "fetch.blocked_address"),
    "to-site-local": (_to("http://[fec0::1]/"), "fetch.blocked_address"),
    "to-loopback-short": (_to("http://127.1:1/"), "fetch.blocked_address"),
    "to-a-password": (_to("http://me:secret@169.254.169.254/"), "fetch.blocked_address"),
    "to-full-width-digits": (_to("http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:1/"), "fetch.address"),
    "to-a-long-host": (_to("http://" + "a" * 5_000 + ".test/"), "fetch.dns fetch.address"),
    "to-a-long-label": (_to("http://" + "a" * 64 + ".test/"), "fetch.dns fetch.address"),
    "to-an-empty-label": (_to("http://a..test/"), "fetch.dns fetch.address"),
    "to-a-nul": (_to("http://h\0.test/"), "fetch.address fetch.dns fetch.protocol"),
    "to-bad-punycode": (_to("http://xn--\udcff.test/"), "fetch.address fetch.dns"),
    "to-spaces": (_to("/a b c"), "fetch.http_404"),
    "to-50-kb": (_to("/" + "z" * 50_000), "fetch.http_404 fetch.network fetch.protocol"),
    "to-itself": (_to("/to-itself"), "fetch.redirects"),
    "to-each-other": (_to("/to-each-other-again"), "fetch.redirects"),
    "to-each-other-again": (_to("/to-each-other"), "fetch.redirects"),
    "to-two-places": (_sized("Location: /gzip", "Location: /gzip", body=b"", status="302 F"), "fetch.http_404"),
    "redirect-without-place": (_sized(body=b"", status="302 F"), "fetch.http_302"),
    "redirect-304-place": (_to("/gzip", "304 N"), "fetch.http_304"),
    "redirect-308": (_to("/gzip", "308 P"), OK),
    # Waiting
    "retry-superscript": (_sized("Retry-After: ²", status="503 Busy"), "fetch.http_503"),
    "retry-huge": (_sized("Retry-After: " + "9" * 400, status="404 No"), "fetch.http_404"),
    "retry-negative": (_sized("Retry-After: -5", status="503 Busy"), "fetch.http_503"),
    "retry-date-of-a-zone": (_sized("Retry-After: Wed, 21 Oct 2015 07:28:00 +9999999", status="503 B"), "fetch.http_503"),
    "retry-date-of-the-year-0": (_sized("Retry-After: Mon, 00 Jan 0000 00:00:00 GMT", status="503 B"), "fetch.http_503"),
    "retry-text": (_sized("Retry-After: soon \x1b[2J", status="503 Busy"), "fetch.http_503"),
    # Consent
    "noai": (_sized("X-Robots-Tag: noai"), "consent.header"),
    "noai-in-a-crowd": (_sized("X-Robots-Tag: " + "a, " * 9_000 + "noai"), "consent.header"),
    "noai-of-others": (_sized("X-Robots-Tag: otherbot: noai"), OK),
    "tags-of-60-kb": (_sized("X-Robots-Tag: " + ":,;" * 20_000), OK),
    "tdm-reserved": (_sized("TDM-Reservation: 1"), "consent.tdm_reservation"),
    "tdm-superscript": (_sized("TDM-Reservation: ¹"), OK + " consent.tdm_reservation"),
    "tdm-60-kb": (_sized("TDM-Reservation: " + " " * 60_000 + "1"), OK + " consent.tdm_reservation"),
}  # fmt: skip

MISBEHAVIOURS: dict[str, Misbehaviour] = {
    **{name: Misbehaviour(data, expected) for name, (data, expected) in _TABLE.items()},
    "stall-at-once": Misbehaviour(b"", "fetch.timeout", stall=True),
    "stall-in-the-status": Misbehaviour(b"HTTP/1.", "fetch.timeout", stall=True),
    "stall-in-a-header": Misbehaviour(b"HTTP/1.1 200 OK\r\nX-A", "fetch.timeout", stall=True),
    "stall-in-the-body": Misbehaviour(_answer("Content-Length: 99"), "fetch.timeout", stall=True),
    "stall-in-a-chunk": Misbehaviour(
        _answer(_CHUNKED, body=b"10\r\nab"), "fetch.timeout", stall=True
    ),
}

Answer = Callable[[str], Misbehaviour]


@asynccontextmanager
async def serving(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The server while the block runs; gives its `HOST:PORT`."""
    stalled = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1].decode("latin-1")
            given = answer(path.removeprefix("/"))
            writer.write(given.data)
            await writer.drain()
            if given.stall:
                await stalled.wait()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # The client has seen enough: what the tests look at is what it makes of it.
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, limit=1 << 17)
    try:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        stalled.set()
        server.close()


def not_found() -> Misbehaviour:
    return Misbehaviour(_sized(status="404 Not Found"), "fetch.http_404")


def fuzzed(number: int) -> Misbehaviour:
    """A table's answer, changed in some places by what a hash of the number says."""
    names = sorted(_TABLE)
    key = content_key(f"fuzz {number}")
    data = bytearray(_TABLE[names[int.from_bytes(key[:4]) % len(names)]][0][:20_000])
    for step in range(1 + key[4] % 8):
        change = content_key(f"fuzz {number} {step}")
        place = int.from_bytes(change[:4]) % (min(len(data), 400) + 1)
        kind = change[4] % 4
        if kind == 0:
            data[place : place + 1] = change[5:6]
        elif kind == 1:
            data[place:place] = change[5 : 5 + change[6] % 9]
        elif kind == 2:
            del data[place : place + change[6] % 40]
        else:
            data[place:place] = data[: change[6]]
    return Misbehaviour(bytes(data), "", stall=key[5] % 16 == 0)
