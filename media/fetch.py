"""The safe fetcher: the one way to the network.

    URL ──robots.txt, TDM file──▶ connection (guarded) ──▶ headers (consent) ──▶ body (limits)
                 ▲                                               │
                 └────────────────── redirect ───────────────────┘

Every outcome is typed: the bytes, or a `Failure` whose rule goes to the ledger.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from protego import Protego

from filters.consent import header_rule
from filters.tdm_file import PATH as TDM_PATH
from filters.tdm_file import TdmFile, parse_tdm_file
from media.address_guard import BlockedAddressError, GuardedResolver, UnresolvableHostError
from media.transport import Response, Transport, TransportError
from schemas.address import wire_address
from schemas.image_settings import Fetch
from schemas.verdict import Drop

_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_POLICY_BYTES = 512 << 10
_MAX_POLICY_REDIRECTS = 5
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
    """Whether another try can succeed now, or in a later run."""
    only_later: bool = False
    """No other try in this run: the host was given up on."""
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


async def _at_once() -> None:
    return


class SafeFetcher:
    """Fetches within one event loop. Use as an async context manager."""

    def __init__(self, rules: Fetch, may_begin: Callable[[], Awaitable[None]] = _at_once) -> None:
        """
        Args:
            rules: of the recipe.
            may_begin: awaited before each request: holds it back while the caller has no room.
        """
        self._rules = rules
        self._may_begin = may_begin
        self._in_flight = asyncio.Semaphore(rules.connections)
        self._hosts: dict[str, _Host] = {}
        self._robots: dict[str, asyncio.Task[Protego | Failure]] = {}
        self._tdm_files: dict[str, asyncio.Task[TdmFile]] = {}

    async def __aenter__(self) -> SafeFetcher:
        rules = self._rules
        resolver = GuardedResolver(rules.allow_hosts)
        self._transport = Transport(resolver, rules.connections, rules.user_agent)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self._transport.close()

    async def fetch(self, url: str) -> Fetched | Failure:
        """GET with consent, limits and retries; never raises for what the network does."""
        pause = self._rules.retry_seconds
        for attempt in range(self._rules.retries + 1):
            outcome = await self._follow(url)
            if isinstance(outcome, Fetched) or not outcome.retryable or outcome.only_later:
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
            if self._rules.honour_tdm_reservation:
                refusal = await self._tdm_refusal(url, consent)
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
            return replace(answer, only_later=True, consent=consent)
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
        outcome = await self._load_policy(f"{origin}/robots.txt")
        return outcome if isinstance(outcome, Failure) else Protego.parse(outcome)

    async def _tdm_refusal(self, url: str, consent: dict[str, str]) -> Failure | None:
        """A host that has no such file, or does not answer, reserves nothing by it."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._tdm_files:
            self._tdm_files[origin] = asyncio.create_task(self._load_tdm_file(origin))
        rules = await self._tdm_files[origin]
        if not rules.reserves(parts.path or "/"):
            return None
        consent["tdm_file"] = "reserved"
        drop = Drop("consent.tdm_reservation", TDM_PATH)
        return Failure(drop=drop, retryable=False, consent=consent)

    async def _load_tdm_file(self, origin: str) -> TdmFile:
        outcome = await self._load_policy(f"{origin}{TDM_PATH}")
        return TdmFile() if isinstance(outcome, Failure) else parse_tdm_file(outcome)

    async def _load_policy(self, url: str) -> str | Failure:
        """A host's robots.txt or the like as text."""
        for _ in range(_MAX_POLICY_REDIRECTS + 1):
            outcome = await self._get(url, _MAX_POLICY_BYTES, None)
            if isinstance(outcome, Fetched):
                return outcome.body.decode("utf-8", "replace")
            if isinstance(outcome, Failure):
                return outcome
            url = urljoin(url, outcome)
        return _failure("fetch.redirects", f">{_MAX_POLICY_REDIRECTS}", _MAX_POLICY_REDIRECTS)

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
        timeout = self._rules.timeout_seconds
        try:
            async with host.slots, self._in_flight:
                await self._may_begin()
                await host.wait_turn()
                async with asyncio.timeout(timeout):
                    response = await self._transport.get(
                        url, self._wants_body if consent is not None else _is_ok, max_bytes, timeout
                    )
        except TimeoutError:
            return _failure("fetch.timeout", f">{timeout:g}s", timeout, retryable=True)
        except UnresolvableHostError as error:
            later = error.is_temporary
            return replace(_failure("fetch.dns", str(error), retryable=later), only_later=later)
        except BlockedAddressError as error:
            return _failure("fetch.blocked_address", str(error))
        except TransportError as error:
            if error.kind == "timeout":
                return _failure("fetch.timeout", f">{timeout:g}s", timeout, retryable=True)
            retryable = error.kind in ("connect", "network")
            return _failure(f"fetch.{error.kind}", str(error)[:200], retryable=retryable)
        return self._judge(url, response, max_bytes, consent)

    def _wants_body(self, response: Response) -> bool:
        """Nothing is read of what consent refuses."""
        return _is_ok(response) and not isinstance(header_rule(response.headers, self._rules), Drop)

    def _judge(
        self, url: str, response: Response, max_bytes: int, consent: dict[str, str] | None
    ) -> Fetched | Failure | str:
        headers = response.headers
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
        if response.is_cut:
            return _failure("fetch.too_large", f">{max_bytes}", max_bytes)
        body = _decoded(response.body, headers.get("content-encoding", ""), max_bytes)
        if isinstance(body, Failure):
            return body
        return Fetched(
            body=body,
            url=url,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            consent=consent or {},
        )


def _is_ok(response: Response) -> bool:
    return response.status == 200


def _decoded(body: bytes, encoding: str, limit: int) -> bytes | Failure:
    """The decoded body, or a failure when it is broken or grows over `limit` bytes."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return _failure("fetch.content_encoding", encoding, "gzip")
    decompressor = zlib.decompressobj(47)
    try:
        data = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        return _failure("fetch.content_encoding", f"{encoding}: {error}")
    if len(data) > limit:
        return _failure("fetch.too_large", f">{limit}", limit)
    if not decompressor.eof:
        return _failure("fetch.content_encoding", f"{encoding}: it ends too early")
    return data


def _retry_after(headers: dict[str, str]) -> float:
    """Seconds to wait, from a number or a date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return min(float(value), _MAX_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    seconds = (date - datetime.now(date.tzinfo)).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _failure(
    rule: str,
    value: str | int,
    limit: str | float | int = "",
    *,
    retryable: bool = False,
    retry_after: float = 0.0,
) -> Failure:
    return Failure(drop=Drop(rule, value, limit), retryable=retryable, retry_after=retry_after)
