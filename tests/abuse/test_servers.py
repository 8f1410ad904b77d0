"""Whatever a server does, fetching ends in time with a typed outcome, by a published rule."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from curate.media import address_guard
from curate.media.fetch import SafeFetcher
from curate.media.fetch_outcome import FAULT, RULES, Failure, Fetched
from curate.schemas.settings.image_settings import Fetch
from tests.abuse.conftest import WHOLE
from tests.abuse.hostile_server import (
    LIMIT,
    MISBEHAVIOURS,
    OK,
    SECRET,
    TIMEOUT_SECONDS,
    Answer,
    Misbehaviour,
    fuzzed,
    not_found,
    serving,
)

FUZZED = 2_000 if WHOLE else 200


def fetch_all(answer: Answer, names: list[str], **changes: object) -> dict[str, Fetched | Failure]:
    async def go() -> dict[str, Fetched | Failure]:
        async with serving(answer) as address:
            rules = Fetch(
                **{
                    "allow_hosts": (address,),
                    "timeout_seconds": TIMEOUT_SECONDS,
                    "retries": 0,
                    "max_bytes": LIMIT,
                    "connections_per_host": 16,
                    "honour_robots_txt": False,
                    **changes,
                }
            )
            async with SafeFetcher(rules) as fetcher:
                found = await asyncio.gather(
                    *(fetcher.fetch(f"http://{address}/{name}") for name in names)
                )
        return dict(zip(names, found, strict=True))

    return asyncio.run(go())


def name_of(outcome: Fetched | Failure) -> str:
    """The rule, or what came."""
    if isinstance(outcome, Failure):
        assert outcome.drop.rule in RULES
        assert outcome.drop.rule != FAULT, outcome.drop
        assert outcome.drop.value_text.isprintable()
        assert len(outcome.drop.value_text) <= 250
        return outcome.drop.rule
    assert all(len(evidence) <= 5_000 for evidence in outcome.consent.values())
    assert all("\x1b" not in evidence for evidence in outcome.consent.values())
    if not outcome.body:
        return "empty"
    return OK if outcome.body.startswith(SECRET[:1]) and len(outcome.body) < 99 else "long"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Fetched | Failure]:
    def answer(path: str) -> Misbehaviour:
        return MISBEHAVIOURS.get(path, not_found())

    return fetch_all(answer, list(MISBEHAVIOURS))


def test_there_are_a_hundred() -> None:
    assert len(MISBEHAVIOURS) >= 100


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_misbehaviour_ends_by_its_rule(outcomes: dict[str, Fetched | Failure], name: str) -> None:
    assert name_of(outcomes[name]) in MISBEHAVIOURS[name].expected.split()


def test_fuzzed_answers_have_typed_outcomes() -> None:
    def answer(path: str) -> Misbehaviour:
        return fuzzed(int(path)) if path.isdigit() else not_found()

    found = fetch_all(answer, [str(n) for n in range(FUZZED)])
    assert len({name_of(outcome) for outcome in found.values()}) > 8


HOSTILE_POLICIES = {
    "brackets": b"[" * 200_000,
    "stars": b'[{"location": "/' + b"*a" * 400 + b'b", "tdm-reservation": 1}]',
    "robots-stars": b"User-agent: *\nDisallow: /" + b"*a" * 4_000 + b"b",
    "robots-lines": b"User-agent: *\n" + b"Disallow: /*x*y*z\n" * 20_000,
    "nul": b"\0" * 9_000,
    "numbers": b"[" + b"1" * 9_000 + b"]",
    "one-line": b"x" * 400_000,
    "surrogates": b'[{"location": "\\ud800", "tdm-reservation": "\\ud800"}]',
}


@pytest.mark.parametrize("name", HOSTILE_POLICIES)
def test_policies_of_a_host_cost_no_more_than_their_size(name: str) -> None:
    body = HOSTILE_POLICIES[name]
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    path = "a" * 3_000

    def answer(asked: str) -> Misbehaviour:
        if asked in ("robots.txt", ".well-known/tdmrep.json"):
            return Misbehaviour(head + body, "")
        return MISBEHAVIOURS["length-none"]

    started = time.process_time()
    found = fetch_all(answer, [path], honour_robots_txt=True, honour_tdm_reservation=True)
    assert name_of(found[path]) == OK
    assert time.process_time() - started < 3


def test_a_fault_of_ours_is_an_outcome_that_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.media.fetch.decoded", lambda *_: 1 // 0)
    found = fetch_all(lambda path: MISBEHAVIOURS["chunked"], ["x"])
    outcome = found["x"]
    assert isinstance(outcome, Failure)
    assert outcome.drop.rule == FAULT
    assert outcome.drop.value_text.startswith("ZeroDivisionError at test_servers.py:")


def require_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")


@pytest.mark.parametrize(
    ("public", "local"), [("93.184.216.34", "127.0.0.1"), ("2606:2800:220:1::1", "::1")]
)
def test_a_name_that_turns_to_this_machine_between_look_up_and_connect(
    monkeypatch: pytest.MonkeyPatch, public: str, local: str
) -> None:
    """The address that was checked is the one that is connected to; nobody asks a second time."""
    answers: Iterator[str] = iter([public, *[local] * 9])
    asked: list[str] = []

    if ":" in local:
        require_ipv6()

    async def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        return [next(answers)]

    monkeypatch.setattr(address_guard, "_look_up", look_up)

    async def go() -> tuple[Fetched | Failure, int]:
        reached = 0

        def answer(path: str) -> Misbehaviour:
            nonlocal reached
            reached += 1
            return MISBEHAVIOURS["chunked"]

        async with serving(answer, local) as address:
            port = address.rpartition(":")[2]
            rules = Fetch(timeout_seconds=1, retries=1, retry_seconds=0, honour_robots_txt=False)
            async with SafeFetcher(rules) as fetcher:
                outcome = await fetcher.fetch(f"http://rebinding.test:{port}/x")
        return outcome, reached

    outcome, reached = asyncio.run(go())
    assert isinstance(outcome, Failure)
    assert outcome.drop.rule in ("fetch.timeout", "fetch.connect", "fetch.network")
    assert reached == 0
    assert asked == ["rebinding.test"]


def test_a_bare_ipv6_host_can_be_fetched() -> None:
    require_ipv6()

    async def go() -> Fetched | Failure:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + SECRET)
            writer.close()

        server = await asyncio.start_server(serve, "::1", 0)
        host = f"[::1]:{server.sockets[0].getsockname()[1]}"
        async with SafeFetcher(Fetch(allow_hosts=(host,), timeout_seconds=2)) as fetcher:
            outcome = await fetcher.fetch(f"http://{host}/x")
        server.close()
        return outcome

    outcome = asyncio.run(go())
    assert isinstance(outcome, Fetched)
    assert outcome.body == SECRET
