"""The safe fetcher: the one way to the network.

    URL ──robots.txt──▶ connection (guarded address) ──▶ headers (consent) ──▶ body (limits)
             ▲                                                │
             └──────────────── redirect ──────────────────────┘

Every outcome is typed: the bytes, or a `Failure` whose rule goes to the ledger.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import certifi
import httpcore
from protego import Protego

from filters.consent import header_rule
from media.address_guard import BlockedAddressError, GuardedBackend, UnresolvableHostError
from schemas.address import wire_address
from schemas.recipe import Fetch
from schemas.verdict import Drop

_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_ROBOTS_BYTES = 512 << 10
_MAX_ROBOTS_REDIRECTS = 5
_MAX_RETRY_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A whole response."""

    body: bytes
    url: str
    """Where the body came from, after redirects."""
    time: str
    """ISO 8601, UTC."""
    consent: dict[str, str]
    """Evidence: what robots.txt and the headers said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no body."""

    drop: Drop
    retryable: bool
    retry_after: float = 0.0
    consent: dict[str, str] = field(default_factory=dict)


class _Host:
    """Politeness towards one host: requests in flight, and the time between two."""

    def __init__(self, connections: int, delay: float) -> None:
        self.slots = asyncio.Semaphore(connections)
        self.delay = delay
        self.next_start = 0.0

    async def wait_turn(self) -> None:
        if self.delay:
            now = time.monotonic()
            start = max(now, self.next_start)
            self.next_start = start + self.delay
            await asyncio.sleep(start - now)


class SafeFetcher:
    """Fetches within one event loop. Use as an async context manager."""

    def __init__(self, rules: Fetch) -> None:
        self._rules = rules
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=certifi.where()),
            max_connections=rules.connections,
            max_keepalive_connections=rules.connections,
            keepalive_expiry=15,
            http1=True,
            http2=True,
            network_backend=GuardedBackend(rules.allow_hosts),
        )
        self._in_flight = asyncio.Semaphore(rules.connections)
        self._hosts: dict[str, _Host] = {}
        self._robots: dict[str, asyncio.Task[Protego | Failure]] = {}

    async def __aenter__(self) -> SafeFetcher:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._pool.__aexit__(*exc)

    async def fetch(self, url: str) -> Fetched | Failure:
        """GET with consent, limits and retries; never raises for what the network does."""
        pause = self._rules.retry_seconds
        for attempt in range(self._rules.retries + 1):
            outcome = await self._follow(url)
            if isinstance(outcome, Fetched) or not outcome.retryable:
                return outcome
            if attempt < self._rules.retries:
                await asyncio.sleep(max(pause, outcome.retry_after))
                pause *= 2
        return outcome

    async def _follow(self, url: str) -> Fetched | Failure:
        for _ in range(self._rules.max_redirects + 1):
            url = wire_address(url)
            scheme = urlsplit(url).scheme
            if scheme not in ("http", "https"):
                return _failure("fetch.scheme", scheme or "none", "http https")
            consent: dict[str, str] = {}
            if self._rules.honour_robots_txt:
                refusal = await self._robots_refusal(url, consent)
                if refusal is not None:
                    return refusal
            outcome = await self._get(url, self._rules.max_bytes, consent)
            if not isinstance(outcome, str):
                return outcome
            url = urljoin(url, outcome)
        return _failure(
            "fetch.redirects", f">{self._rules.max_redirects}", self._rules.max_redirects
        )

    async def _robots_refusal(self, url: str, consent: dict[str, str]) -> Failure | None:
        """RFC 9309: 4xx means everything is allowed, 5xx and no answer that nothing is for now.

        A host that does not answer at all is told by its own failure: the image is out of reach.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            self._robots[origin] = asyncio.create_task(self._load_robots(origin))
        answer = await self._robots[origin]
        if isinstance(answer, Failure):
            rule = answer.drop.rule
            consent["robots"] = f"none: {rule}"
            if rule.startswith("fetch.http_4") or rule == "fetch.redirects":
                return None
            if rule.startswith("fetch.http_5"):
                answer = replace(answer, drop=Drop("consent.robots_unreachable", rule))
            return replace(answer, retryable=False, consent=consent)
        if answer.can_fetch(url, self._rules.robots_token):
            consent["robots"] = "allowed"
            return None
        consent["robots"] = "disallowed"
        return Failure(
            drop=Drop("consent.robots", "disallowed", self._rules.robots_token),
            retryable=False,
            consent=consent,
        )

    async def _load_robots(self, origin: str) -> Protego | Failure:
        url = f"{origin}/robots.txt"
        for _ in range(_MAX_ROBOTS_REDIRECTS + 1):
            outcome = await self._get(url, _MAX_ROBOTS_BYTES, None)
            if isinstance(outcome, Fetched):
                return Protego.parse(outcome.body.decode("utf-8", "replace"))
            if isinstance(outcome, Failure):
                return outcome
            url = urljoin(url, outcome)
        return _failure("fetch.redirects", f">{_MAX_ROBOTS_REDIRECTS}", _MAX_ROBOTS_REDIRECTS)

    async def _get(
        self, url: str, max_bytes: int, consent: dict[str, str] | None
    ) -> Fetched | Failure | str:
        """One request: a body, a failure, or the address of a redirect.

        `consent` gathers the evidence of the headers; None for robots.txt itself.
        """
        host_name = urlsplit(url).netloc.lower()
        host = self._hosts.setdefault(
            host_name, _Host(self._rules.connections_per_host, self._rules.host_delay_seconds)
        )
        try:
            async with host.slots, self._in_flight:
                await host.wait_turn()
                async with asyncio.timeout(self._rules.timeout_seconds):
                    return await self._exchange(url, max_bytes, consent)
        except TimeoutError:
            limit = self._rules.timeout_seconds
            return _failure("fetch.timeout", f">{limit:g}s", limit, retryable=True)
        except UnresolvableHostError as error:
            return _failure("fetch.dns", str(error))
        except BlockedAddressError as error:
            return _failure("fetch.blocked_address", str(error))
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError) or "SSL" in str(
                error
            )
            rule = "fetch.tls" if tls else "fetch.connect"
            return _failure(rule, str(error)[:200], retryable=not tls)
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.RemoteProtocolError,
        ) as error:
            return _failure(
                "fetch.network", f"{type(error).__name__}: {error}"[:200], retryable=True
            )
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
            return _failure("fetch.protocol", f"{type(error).__name__}: {error}"[:200])

    async def _exchange(
        self, url: str, max_bytes: int, consent: dict[str, str] | None
    ) -> Fetched | Failure | str:
        request_headers = {"User-Agent": self._rules.user_agent, "Accept-Encoding": "gzip"}
        async with self._pool.stream("GET", url, headers=request_headers) as response:
            headers: dict[str, str] = {}
            for raw_name, raw_value in response.headers:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            if response.status in _REDIRECTS and "location" in headers:
                return headers["location"]
            if response.status != 200:
                return _failure(
                    f"fetch.http_{response.status}",
                    response.status,
                    200,
                    retryable=response.status in _RETRYABLE_STATUS,
                    retry_after=_retry_after(headers),
                )
            if consent is not None:
                consent["x_robots_tag"] = headers.get("x-robots-tag", "")
                consent["tdm_reservation"] = headers.get("tdm-reservation", "")
                refusal = header_rule(headers, self._rules)
                if isinstance(refusal, Drop):
                    return Failure(drop=refusal, retryable=False, consent=consent)
            body = await _read_body(response, headers.get("content-encoding", ""), max_bytes)
            if isinstance(body, Failure):
                return body
            return Fetched(
                body=body,
                url=url,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                consent=consent or {},
            )


async def _read_body(response: httpcore.Response, encoding: str, limit: int) -> bytes | Failure:
    """The decoded body, or a failure when it grows over `limit` bytes before or after decoding."""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        return _failure("fetch.content_encoding", encoding, "gzip")
    decompressor = zlib.decompressobj(47) if encoding not in ("", "identity") else None
    body = bytearray()
    async for chunk in response.aiter_stream():
        try:
            body += chunk if decompressor is None else decompressor.decompress(chunk, limit + 1)
        except zlib.error as error:
            return _failure("fetch.content_encoding", f"{encoding}: {error}")
        if len(body) > limit or (decompressor is not None and decompressor.unconsumed_tail):
            return _failure("fetch.too_large", f">{limit}", limit)
    return bytes(body)


def _retry_after(headers: dict[str, str]) -> float:
    value = headers.get("retry-after", "").strip()
    return min(float(value), _MAX_RETRY_AFTER_SECONDS) if value.isdigit() else 0.0


def _failure(
    rule: str,
    value: str | int,
    limit: str | float | int = "",
    *,
    retryable: bool = False,
    retry_after: float = 0.0,
) -> Failure:
    return Failure(drop=Drop(rule, value, limit), retryable=retryable, retry_after=retry_after)
