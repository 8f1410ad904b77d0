"""The safe fetcher: the one way to the network.

    URL ──robots.txt, TDM file──▶ connection (guarded) ──▶ headers (consent) ──▶ body (limits)
                 ▲                                               │
                 └────────────────── redirect ───────────────────┘

Every outcome is typed: the bytes, or a `Failure` whose rule goes to the ledger.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

from curate.filters.web.consent import header_rule
from curate.filters.web.robots_file import RobotsFile, parse_robots_file
from curate.filters.web.tdm_file import PATH as TDM_PATH
from curate.filters.web.tdm_file import TdmFile, parse_tdm_file
from curate.media.address_guard import BlockedAddressError, GuardedResolver, UnresolvableHostError
from curate.media.fetch_outcome import FAULT, STATUSES, Failure, Fetched, failed
from curate.media.transport import Response, Transport, TransportError
from curate.schemas.address import wire_address
from curate.schemas.content_coding import CodingError, TooLargeError, decoded
from curate.schemas.settings.image_settings import Fetch
from curate.schemas.text.shown import one_line, visible
from curate.schemas.verdict import Drop

_T = TypeVar("_T")
_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_POLICY_BYTES = 512 << 10
_MAX_POLICY_REDIRECTS = 5
_MAX_RETRY_AFTER_SECONDS = 60.0
_MAX_EVIDENCE = 1_000


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
        self._robots: dict[str, asyncio.Task[RobotsFile | Failure]] = {}
        self._tdm_files: dict[str, asyncio.Task[TdmFile]] = {}

    async def __aenter__(self) -> SafeFetcher:
        rules = self._rules
        resolver = GuardedResolver(rules.allow_hosts)
        self._transport = Transport(resolver, rules.connections, rules.user_agent)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        tasks = [*self._robots.values(), *self._tdm_files.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._transport.close()

    async def fetch(self, url: str) -> Fetched | Failure:
        """GET with consent, limits and retries; never raises for what the network does.

        What is raised for it all the same is a fault of ours: a failure by the rule `fetch.fault`,
        which says where. One answer must not end a night's work.
        """
        pause = self._rules.retry_seconds
        for attempt in range(self._rules.retries + 1):
            try:
                outcome = await self._follow(url)
            except Exception as error:
                return failed(FAULT, _place_of(error))
            if isinstance(outcome, Fetched) or not outcome.retryable or outcome.only_later:
                return outcome
            if attempt < self._rules.retries:
                await asyncio.sleep(max(pause, outcome.retry_after))
                pause *= 2
        return outcome

    async def _follow(self, url: str) -> Fetched | Failure:
        for _ in range(self._rules.max_redirects + 1):
            parts = _split(wire_address(url))
            if parts is None:
                return failed("fetch.address", one_line(url), "an address")
            if parts.scheme not in ("http", "https"):
                return failed("fetch.scheme", one_line(parts.scheme) or "none", "http https")
            if not parts.hostname:
                return failed("fetch.address", one_line(url), "a host")
            url = parts.geturl()
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
            url = _joined(url, outcome)
        return failed("fetch.redirects", f">{self._rules.max_redirects}", self._rules.max_redirects)

    async def _robots_refusal(self, url: str, consent: dict[str, str]) -> Failure | None:
        """RFC 9309: 4xx means everything is allowed, 5xx and no answer that nothing is for now.

        A host that does not answer at all is told by its own failure: the image is out of reach.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        answer = await _asked_once(self._robots, origin, self._load_robots)
        if isinstance(answer, Failure):
            rule = answer.drop.rule
            consent["robots"] = f"none: {rule}"
            if 400 <= answer.status < 500 or rule == "fetch.redirects":
                return None
            if answer.status >= 500:
                answer = replace(answer, drop=Drop("consent.robots_unreachable", rule))
            return replace(answer, only_later=True, consent=consent)
        query = f"?{parts.query}" if parts.query else ""
        if answer.allows(f"{parts.path or '/'}{query}"):
            consent["robots"] = "allowed"
            return None
        consent["robots"] = "disallowed"
        return Failure(
            drop=Drop("consent.robots", "disallowed", self._rules.robots_token),
            retryable=False,
            consent=consent,
        )

    async def _load_robots(self, origin: str) -> RobotsFile | Failure:
        outcome = await self._load_policy(f"{origin}/robots.txt")
        if isinstance(outcome, Failure):
            return outcome
        return parse_robots_file(outcome, self._rules.robots_token)

    async def _tdm_refusal(self, url: str, consent: dict[str, str]) -> Failure | None:
        """A host that has no such file, or does not answer, reserves nothing by it."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        rules = await _asked_once(self._tdm_files, origin, self._load_tdm_file)
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
            parts = _split(wire_address(_joined(url, outcome)))
            if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
                return failed("fetch.address", one_line(outcome), "an address")
            url = parts.geturl()
        return failed("fetch.redirects", f">{_MAX_POLICY_REDIRECTS}", _MAX_POLICY_REDIRECTS)

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
            return failed("fetch.timeout", f">{timeout:g}s", timeout, retryable=True)
        except UnresolvableHostError as error:
            later = error.is_temporary
            failure = failed("fetch.dns", one_line(str(error)), retryable=later)
            return replace(failure, only_later=later)
        except BlockedAddressError as error:
            return failed("fetch.blocked_address", one_line(str(error)))
        except TransportError as error:
            if error.kind == "timeout":
                return failed("fetch.timeout", f">{timeout:g}s", timeout, retryable=True)
            retryable = error.kind in ("connect", "network")
            return failed(f"fetch.{error.kind}", str(error), retryable=retryable)
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
            known = response.status in STATUSES
            return replace(
                failed(
                    f"fetch.http_{response.status}" if known else "fetch.http_status",
                    response.status,
                    200,
                    retryable=response.status in _RETRYABLE_STATUS,
                    retry_after=_retry_after(headers),
                ),
                status=response.status,
            )
        if consent is not None:
            for name in ("x-robots-tag", "tdm-reservation"):
                evidence = visible(headers.get(name, "")[:_MAX_EVIDENCE])
                consent[name.replace("-", "_")] = evidence
            refusal = header_rule(headers, self._rules)
            if isinstance(refusal, Drop):
                return Failure(drop=refusal, retryable=False, consent=consent)
        if response.is_cut:
            return failed("fetch.too_large", f">{max_bytes}", max_bytes)
        try:
            body = decoded(response.body, headers.get("content-encoding", ""), max_bytes)
        except CodingError as error:
            return failed("fetch.content_encoding", str(error))
        except TooLargeError:
            return failed("fetch.too_large", f">{max_bytes}", max_bytes)
        return Fetched(
            body=body,
            url=url,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            consent=consent or {},
        )


async def _asked_once(
    held: dict[str, asyncio.Task[_T]], origin: str, load: Callable[[str], Coroutine[Any, Any, _T]]
) -> _T:
    """What a host says of all its paths.

    What raised is not kept: the next address of the host asks anew. A caller that is cancelled
    leaves the others their answer.
    """
    if origin not in held:
        held[origin] = asyncio.create_task(load(origin))
    task = held[origin]
    try:
        return await asyncio.shield(task)
    except Exception:
        if held.get(origin) is task:
            del held[origin]
        raise


def _is_ok(response: Response) -> bool:
    return response.status == 200


def _split(url: str) -> SplitResult | None:
    """The parts of an address, or None for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    plain = url.isascii() and url.isprintable() and " " not in url
    return parts if plain else None


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _retry_after(headers: dict[str, str]) -> float:
    """Seconds to wait, from a number or a date; 0 for what is neither."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return _MAX_RETRY_AFTER_SECONDS if len(value) > 2 else float(value)
    try:
        date = parsedate_to_datetime(value)
        seconds = (date - datetime.now(date.tzinfo)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _place_of(error: Exception) -> str:
    """The kind of an error and where it was raised; its message may be a stranger's."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
