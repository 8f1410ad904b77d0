"""HTTP/1.1 and HTTP/2 by libcurl, inside asyncio: one request, to checked addresses alone.

libcurl keeps connections, shares one between HTTP/2 requests, and does not follow redirects,
read cookies, use proxies or decode bodies here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import certifi
import pycurl

from curate.media.address_guard import BlockedAddressError, GuardedResolver
from curate.schemas.http_headers import add_header

_CHUNK_BYTES = 256 << 10
_MAX_HEADER_BYTES = 64 << 10
_TLS_ERRORS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_CACERT_BADFILE,
    }
)
_NETWORK_ERRORS = frozenset(
    {
        pycurl.E_RECV_ERROR,
        pycurl.E_SEND_ERROR,
        pycurl.E_GOT_NOTHING,
        pycurl.E_PARTIAL_FILE,
        pycurl.E_HTTP2,
        92,  # HTTP2_STREAM, which pycurl does not name
    }
)


# In our own words: libcurl's tell of its inside, and of numbers that a server made up.
_WORDS = {
    pycurl.E_BAD_CONTENT_ENCODING: "the content encoding is broken",
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_GOT_NOTHING: "an empty answer",
    pycurl.E_HTTP2: "broken HTTP/2",
    pycurl.E_OPERATION_TIMEDOUT: "too slow",
    pycurl.E_PARTIAL_FILE: "the connection ended before the body did",
    pycurl.E_PEER_FAILED_VERIFICATION: "the certificate is not valid for the host",
    pycurl.E_RECV_ERROR: "the connection broke",
    pycurl.E_SEND_ERROR: "the connection broke",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS connection",
    pycurl.E_UNSUPPORTED_PROTOCOL: "not HTTP",
    pycurl.E_URL_MALFORMAT: "not an address",
    8: "not an answer of HTTP",  # WEIRD_SERVER_REPLY, which pycurl does not name
    pycurl.E_WRITE_ERROR: "headers too large, or broken",
    92: "broken HTTP/2",
}

KINDS = frozenset({"timeout", "connect", "tls", "network", "protocol"})


class TransportError(Exception):
    """No response; `kind` is one of `KINDS`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(slots=True)
class Response:
    """Status and headers, and the body as far as it was wanted."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Lower-case names; values of a repeated header are joined by commas."""
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes of the body that arrived."""
    is_cut: bool = False
    """The body was not wanted, or grew over the limit: it is not whole."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


WantBody = Callable[[Response], bool]
"""Decides on status and headers whether the body is to be read."""


@dataclass(slots=True)
class _Exchange:
    """One request under way."""

    done: asyncio.Future[None]
    addresses: frozenset[str]
    want_body: WantBody
    max_bytes: int
    response: Response = field(default_factory=Response)
    header_bytes: int = 0
    decided: bool = False
    refused: str = ""
    """An address that libcurl was about to connect to and must not."""
    fault: Exception | None = None
    """What a callback raised: libcurl would tell of it as of a failed write."""

    def guarded(self, callback: Callable[[bytes], int | None]) -> Callable[[bytes], int | None]:
        """The callback, with what it raises kept for whoever waits for the answer."""

        def call(data: bytes) -> int | None:
            try:
                return callback(data)
            except Exception as error:
                self.fault = error
                return -1

        return call

    def take_header(self, line: bytes) -> int | None:
        self.header_bytes += len(line)
        if self.header_bytes > _MAX_HEADER_BYTES:
            return -1
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            # Of a 1xx answer and the one that follows it, the last counts.
            parts = text.split(" ", 2)
            self.response.status = _status(parts[1]) if parts[1:] else 0
            self.response.headers.clear()
        elif ":" in text:
            name, value = text.split(":", 1)
            add_header(self.response.headers, name, value)
        return None

    def take_body(self, chunk: bytes) -> int | None:
        response = self.response
        if not self.decided:
            self.decided = True
            if not self.want_body(response):
                response.is_cut = True
                return -1
        response.size += len(chunk)
        response.chunks.append(chunk)
        if response.size > self.max_bytes:
            response.is_cut = True
            return -1
        return None

    def open_socket(self, purpose: int, address: Any) -> Any:
        """The last check, at the moment of connecting, whatever libcurl made of the URL."""
        family, kind, protocol, place = address
        host = place[0].decode() if isinstance(place[0], bytes) else str(place[0])
        if host.split("%")[0] not in self.addresses:
            self.refused = host
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)


class Transport:
    """Requests within the running event loop."""

    def __init__(self, resolver: GuardedResolver, connections: int, user_agent: str) -> None:
        self._resolver = resolver
        self._user_agent = user_agent
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._free: list[Any] = []
        self._running: dict[Any, _Exchange] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._watched: set[int] = set()

    def close(self) -> None:
        """End every request and connection."""
        if self._timer is not None:
            self._timer.cancel()
        for handle in self._running:
            self._multi.remove_handle(handle)
            handle.close()
        for descriptor in self._watched:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
        for handle in self._free:
            handle.close()
        self._multi.close()

    async def get(
        self, url: str, want_body: WantBody, max_bytes: int, timeout_seconds: float
    ) -> Response:
        """GET; the body is read only if `want_body`, and no further than `max_bytes`.

        Args:
            url: in ASCII, with a host and a valid port.

        Raises:
            TransportError: there is no response.
            BlockedAddressError: the host must not be connected to.
            UnresolvableHostError: the host has no address.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await self._resolver.resolve(host, port)
        exchange = _Exchange(self._loop.create_future(), frozenset(addresses), want_body, max_bytes)
        handle = self._free.pop() if self._free else pycurl.Curl()
        try:
            # An address is not looked up, and libcurl takes no bare IPv6 one for a name.
            pinned = [] if _is_address(host) else [_pinned(host, port, addresses)]
            self._prepare(handle, exchange, url, pinned, timeout_seconds)
            self._running[handle] = exchange
            self._multi.add_handle(handle)
            await exchange.done
        except pycurl.error as error:
            if exchange.fault is not None:
                raise exchange.fault from error
            raise _explained(exchange, error.args[0]) from error
        finally:
            if self._running.pop(handle, None) is not None:
                self._multi.remove_handle(handle)
            handle.reset()
            self._free.append(handle)
        return exchange.response

    def _prepare(
        self,
        handle: Any,
        exchange: _Exchange,
        url: str,
        pinned: list[str],
        timeout_seconds: float,
    ) -> None:
        for option, value in (
            (pycurl.URL, url),
            (pycurl.RESOLVE, pinned),
            (pycurl.OPENSOCKETFUNCTION, exchange.open_socket),
            (pycurl.HEADERFUNCTION, exchange.guarded(exchange.take_header)),
            (pycurl.WRITEFUNCTION, exchange.guarded(exchange.take_body)),
            (pycurl.TIMEOUT_MS, max(int(timeout_seconds * 1_000), 1)),
            (pycurl.USERAGENT, self._user_agent),
            (pycurl.HTTPHEADER, ["Accept: */*", "Accept-Encoding: gzip"]),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.PROXY, ""),
            (pycurl.CAINFO, certifi.where()),
            (pycurl.BUFFERSIZE, _CHUNK_BYTES),
            (pycurl.NOSIGNAL, 1),
        ):
            handle.setopt(option, value)

    # --- libcurl's sockets and timer in the event loop --------------------------------------------

    def _watch_socket(self, what: int, descriptor: int, multi: Any, data: Any) -> None:
        if descriptor in self._watched:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
            self._watched.discard(descriptor)
        if what == pycurl.POLL_REMOVE:
            return
        self._watched.add(descriptor)
        if what & pycurl.POLL_IN:
            self._loop.add_reader(descriptor, self._act, descriptor, pycurl.CSELECT_IN)
        if what & pycurl.POLL_OUT:
            self._loop.add_writer(descriptor, self._act, descriptor, pycurl.CSELECT_OUT)

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds >= 0:
            self._timer = self._loop.call_later(
                milliseconds / 1_000, self._act, pycurl.SOCKET_TIMEOUT, 0
            )

    def _act(self, descriptor: int, events: int) -> None:
        self._multi.socket_action(descriptor, events)
        waiting = 1
        while waiting:
            waiting, succeeded, failed = self._multi.info_read()
            for handle in succeeded:
                self._end(handle, None)
            for handle, code, message in failed:
                self._end(handle, pycurl.error(code, message))

    def _end(self, handle: Any, error: pycurl.error | None) -> None:
        exchange = self._running.pop(handle)
        self._multi.remove_handle(handle)
        if exchange.done.cancelled():
            return
        if error is None or exchange.response.is_cut:
            exchange.done.set_result(None)
        else:
            exchange.done.set_exception(error)


def _explained(exchange: _Exchange, code: int) -> TransportError | BlockedAddressError:
    if exchange.refused:
        return BlockedAddressError(f"libcurl would connect to {exchange.refused}")
    words = _WORDS.get(code, f"libcurl's error {code}")
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return TransportError("timeout", words)
    if code == pycurl.E_COULDNT_CONNECT:
        return TransportError("connect", words)
    if code in _TLS_ERRORS:
        return TransportError("tls", words)
    if code in _NETWORK_ERRORS:
        return TransportError("network", words)
    return TransportError("protocol", words)


def _status(text: str) -> int:
    """A status code; 0 for what is none (RFC 9110: three digits)."""
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() else 0


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _pinned(host: str, port: int, addresses: list[str]) -> str:
    """The entry that has libcurl connect to these addresses and to no other."""
    return f"{host}:{port}:" + ",".join(f"[{a}]" if ":" in a else a for a in addresses)
