"""The fetcher against a real server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from curate.media import address_guard
from curate.media import fetch as fetch_module
from curate.media.address_guard import is_public
from curate.media.fetch import SafeFetcher
from curate.media.fetch_outcome import Failure, Fetched
from curate.schemas.settings.image_settings import Fetch
from tests.media.site import Site, send, served


def fetch(
    site: Site, *paths: str, allow: bool = True, **changes: object
) -> list[Fetched | Failure]:
    with served(site) as address:
        rules = Fetch(
            **{
                "allow_hosts": (address,) if allow else (),
                "timeout_seconds": 1,
                "retry_seconds": 0.01,
                "max_bytes": 100_000,
                **changes,
            }
        )

        async def go() -> list[Fetched | Failure]:
            async with SafeFetcher(rules) as fetcher:
                urls = [p if "://" in p else f"http://{address}{p}" for p in paths]
                return await asyncio.gather(*(fetcher.fetch(u) for u in urls))

        return asyncio.run(go())


def rule(outcome: Fetched | Failure) -> str:
    assert isinstance(outcome, Failure)
    return outcome.drop.rule


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bomb", "fetch.too_large"),
        ("/large", "fetch.too_large"),
        ("/slow", "fetch.timeout"),
        ("/slow-body", "fetch.timeout"),
        ("/headers", "fetch.protocol"),
        ("/cut-gzip", "fetch.content_encoding"),
        ("/noml", "consent.header"),
        ("/busy", "fetch.http_429"),
        ("/loop", "fetch.redirects"),
        ("/missing", "fetch.http_404"),
        ("/noai", "consent.header"),
        ("/noai-after-others", "consent.header"),
        ("/tdm", "consent.tdm_reservation"),
        ("/cut", "fetch.network"),
        ("/to-metadata", "fetch.blocked_address"),
        ("/to-loopback", "fetch.blocked_address"),
        ("/to-private-name", "fetch.blocked_address"),
        ("/to-file", "fetch.scheme"),
        ("ftp://h.test/x", "fetch.scheme"),
        ("http://127.0.0.1:1/x", "fetch.blocked_address"),
        ("http://localhost/x", "fetch.blocked_address"),
        ("http://[::1]/x", "fetch.blocked_address"),
        ("http://0x7f.1/x", "fetch.blocked_address"),
        ("http://no-such-host.invalid/x", "fetch.dns"),
    ],
)
def test_every_failure_has_its_name(path: str, expected: str) -> None:
    (outcome,) = fetch(Site(), path, retries=0)
    assert rule(outcome) == expected


def test_bodies_redirects_and_evidence() -> None:
    plain, packed, hopped, spelled = fetch(Site(), "/ok", "/gzip", "/hop", "/Bär eins")
    for outcome in (plain, packed, hopped, spelled):
        assert isinstance(outcome, Fetched)
        assert outcome.body == b"image"
        assert outcome.consent["robots"] == "none: fetch.http_404"
        assert outcome.time.endswith("+00:00")
    assert isinstance(hopped, Fetched)
    assert hopped.url.endswith("/ok")


def test_only_what_can_succeed_is_tried_again() -> None:
    site = Site()
    flaky, missing = fetch(site, "/flaky", "/missing")
    assert isinstance(flaky, Fetched)
    assert rule(missing) == "fetch.http_404"
    assert (site.requests["/flaky"], site.requests["/missing"]) == (3, 1)


def test_a_server_that_asks_for_time_gets_it() -> None:
    started = time.monotonic()
    site = Site()
    (outcome,) = fetch(site, "/busy", retries=1)
    assert isinstance(outcome, Fetched)
    assert site.requests["/busy"] == 2
    assert time.monotonic() - started >= 1


def test_more_than_the_length_says_is_no_part_of_the_body() -> None:
    (outcome,) = fetch(Site(), "/short-length")
    assert isinstance(outcome, Fetched)
    assert outcome.body == b"image"


def test_what_is_said_to_other_robots_is_not_for_us() -> None:
    (outcome,) = fetch(Site(), "/noai-of-others")
    assert isinstance(outcome, Fetched)
    assert outcome.consent["x_robots_tag"] == "otherbot: noai"


@pytest.mark.parametrize(
    ("held", "reserved"),
    [
        ((200, b'[{"location": "/", "tdm-reservation": 1}]'), True),
        ((200, b'[{"location": "/o*k$", "tdm-reservation": "1"}]'), True),
        ((200, b'[{"location": "/ok", "tdm-reservation": 0}, {"location": "/", '
               b'"tdm-reservation": 1}]'), False),
        ((200, b'[{"location": "/elsewhere", "tdm-reservation": 1}]'), False),
        ((200, b"<html>no such page</html>"), False),
        ((500, b""), False),
    ],
)  # fmt: skip
def test_the_file_of_the_tdm_reservation_protocol(held: tuple[int, bytes], reserved: bool) -> None:
    site = Site()
    site.tdm_file = held
    outcomes = fetch(site, *["/ok"] * 3)
    assert [isinstance(o, Failure) for o in outcomes] == [reserved] * 3
    assert {rule(o) for o in outcomes if reserved} <= {"consent.tdm_reservation"}
    assert site.requests["/.well-known/tdmrep.json"] == 1
    assert site.requests["/ok"] == (0 if reserved else 3)


@pytest.mark.parametrize(
    ("path", "retryable", "only_later"),
    [("/slow", True, False), ("/missing", False, False), ("/noai", False, False)],
)
def test_what_a_later_run_may_try(path: str, retryable: bool, only_later: bool) -> None:
    (outcome,) = fetch(Site(), path, retries=0)
    assert isinstance(outcome, Failure)
    assert (outcome.retryable, outcome.only_later) == (retryable, only_later)


def test_a_robots_txt_out_of_order_is_for_now() -> None:
    site = Site()
    site.robots = (503, b"")
    (outcome,) = fetch(site, "/ok", retries=2)
    assert isinstance(outcome, Failure)
    assert outcome.retryable
    assert site.requests["/robots.txt"] == 1


def test_the_guard_holds_without_exemption() -> None:
    site = Site()
    (outcome,) = fetch(site, "/ok", allow=False)
    assert rule(outcome) == "fetch.blocked_address"
    assert not site.requests


@pytest.mark.parametrize(
    ("robots", "expected"),
    [
        ((200, b"User-agent: *\nDisallow: /"), "consent.robots"),
        ((200, b"User-agent: curate\nDisallow: /ok\nUser-agent: *\nAllow: /"), "consent.robots"),
        ((200, b"User-agent: other\nDisallow: /"), None),
        ((500, b""), "consent.robots_unreachable"),
        ((403, b""), None),
    ],
)
def test_robots_txt(robots: tuple[int, bytes], expected: str | None) -> None:
    site = Site()
    site.robots = robots
    outcomes = fetch(site, *["/ok"] * 5)
    assert [rule(o) if expected else None for o in outcomes] == [expected] * 5
    assert site.requests["/robots.txt"] == 1
    assert site.requests["/ok"] == (0 if expected else 5)


def test_connections_per_host_are_bounded() -> None:
    site = Site()
    outcomes = fetch(site, *["/brief"] * 20, connections_per_host=3)
    assert all(isinstance(o, Fetched) for o in outcomes)
    assert site.most_in_flight <= 3


def test_requests_to_a_host_keep_their_distance() -> None:
    started = time.monotonic()
    fetch(Site(), *["/ok"] * 4, host_delay_seconds=0.1, honour_robots_txt=False)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("127.8.8.8", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) == public


@pytest.mark.parametrize("policy", ["parse_robots_file", "parse_tdm_file"])
def test_a_fault_over_a_policy_costs_one_fetch_and_not_its_host(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = getattr(fetch_module, policy), []

    def fails_once(*given: str) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(*given)

    monkeypatch.setattr(fetch_module, policy, fails_once)
    site = Site()
    site.robots, site.tdm_file = (200, b"User-agent: *\nAllow: /"), (200, b"[]")
    with served(site) as address:

        async def go() -> list[Fetched | Failure]:
            async with SafeFetcher(Fetch(allow_hosts=(address,), timeout_seconds=2)) as fetcher:
                return [await fetcher.fetch(f"http://{address}/ok") for _ in range(3)]

        first, *others = asyncio.run(go())
    assert rule(first) == "fetch.fault"
    assert all(isinstance(outcome, Fetched) for outcome in others)
    assert len(calls) == 2


def test_one_that_is_cancelled_leaves_the_others_their_robots_txt() -> None:
    site = Site()
    asked, answer = threading.Event(), threading.Event()
    respond = site.respond

    def late(handler: BaseHTTPRequestHandler, path: str) -> None:
        if path == "/robots.txt":
            asked.set()
            answer.wait(5)
        respond(handler, path)

    site.respond = late  # type: ignore[method-assign]
    with served(site) as address:

        async def go() -> Fetched | Failure:
            async with SafeFetcher(Fetch(allow_hosts=(address,), timeout_seconds=5)) as fetcher:
                first, second = (
                    asyncio.create_task(fetcher.fetch(f"http://{address}/ok")) for _ in range(2)
                )
                await asyncio.to_thread(asked.wait, 5)
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                answer.set()
                return await second

        outcome = asyncio.run(go())
    assert isinstance(outcome, Fetched)
    assert site.requests["/robots.txt"] == 1


def test_a_redirect_to_a_name_of_this_machine_stays_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is checked at the redirect, too, and by what it is then."""

    async def look_up(host: str, port: int) -> list[str]:
        return ["::1"] if host == "rebinding.test" else ["127.0.0.1"]

    monkeypatch.setattr(address_guard, "_look_up", look_up)
    site = Site()
    respond = site.respond

    def redirect(handler: BaseHTTPRequestHandler, path: str) -> None:
        if path == "/away":
            send(handler, 302, b"", {"Location": "http://rebinding.test/ok"})
        else:
            respond(handler, path)

    site.respond = redirect  # type: ignore[method-assign]
    (outcome,) = fetch(site, "/away")
    assert rule(outcome) == "fetch.blocked_address"
    assert site.requests["/ok"] == 0
