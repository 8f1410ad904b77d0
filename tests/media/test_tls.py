"""Certificates, and HTTP/2, against a real server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certifi
import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from curate.media import address_guard
from curate.media.fetch import SafeFetcher
from curate.media.fetch_outcome import Failure, Fetched
from curate.schemas.settings.image_settings import Fetch

VERSIONS: list[str] = []
CLIENTS: set[tuple[str, int]] = set()


async def site(scope: dict, receive: object, send: object) -> None:
    """Answers `image`, and notes the version of HTTP and the client's connection."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/ok":
        VERSIONS.append(scope["http_version"])
        CLIENTS.add(tuple(scope["client"]))
    status = 200 if scope["path"] == "/ok" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b"image"})  # type: ignore[operator]


@contextmanager
def served(folder: Path, certificate: trustme.LeafCert) -> Iterator[int]:
    chain, key = folder / "chain.pem", folder / "key.pem"
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    certificate.private_key_pem.write_to_path(key)
    config = Config()
    config.certfile, config.keyfile = str(chain), str(key)
    config.bind = ["127.0.0.1:0"]
    (bound,) = config.create_sockets().secure_sockets
    port = bound.getsockname()[1]
    config.bind = [f"fd://{bound.detach()}"]
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(
            serve(site, config, shutdown_trigger=stopped.wait)  # type: ignore[arg-type]
        )
    )
    thread.start()
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()


def fetch(port: int, count: int, host: str = "localhost") -> list[Fetched | Failure]:
    rules = Fetch(allow_hosts=(host,), timeout_seconds=5, retries=0, connections_per_host=8)

    async def go() -> list[Fetched | Failure]:
        async with SafeFetcher(rules) as fetcher:
            url = f"https://{host}:{port}/ok"
            return await asyncio.gather(*(fetcher.fetch(url) for _ in range(count)))

    return asyncio.run(go())


def test_requests_share_one_connection_by_http_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))
    VERSIONS.clear()
    CLIENTS.clear()
    with served(tmp_path, authority.issue_cert("localhost")) as port:
        outcomes = fetch(port, 20)
    assert [o.body for o in outcomes if isinstance(o, Fetched)] == [b"image"] * 20
    assert VERSIONS == ["2"] * 20
    assert len(CLIENTS) == 1


def test_a_certificate_of_nobody_is_refused(tmp_path: Path) -> None:
    with served(tmp_path, trustme.CA().issue_cert("localhost")) as port:
        (outcome,) = fetch(port, 1)
    assert isinstance(outcome, Failure)
    assert outcome.drop.rule == "fetch.tls"
    assert not outcome.retryable


def test_a_certificate_for_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))
    with served(tmp_path, authority.issue_cert("elsewhere.test")) as port:
        (outcome,) = fetch(port, 1)
    assert isinstance(outcome, Failure)
    assert outcome.drop.rule == "fetch.tls"


def test_a_connection_is_not_shared_with_a_host_that_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One certificate for both, as HTTP/2 lets connections be shared: the address decides."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))
    places = {"here.test": "127.0.0.1", "elsewhere.test": "127.0.0.2"}

    async def look_up(host: str, port: int) -> list[str]:
        return [places[host]]

    monkeypatch.setattr(address_guard, "_look_up", look_up)
    VERSIONS.clear()
    with served(tmp_path, authority.issue_cert(*places)) as port:
        rules = Fetch(allow_hosts=tuple(places), timeout_seconds=5, retries=0)

        async def go() -> list[Fetched | Failure]:
            async with SafeFetcher(rules) as fetcher:
                return [await fetcher.fetch(f"https://{host}:{port}/ok") for host in places]

        here, elsewhere = asyncio.run(go())
    assert isinstance(here, Fetched)
    assert isinstance(elsewhere, Failure)
    assert elsewhere.drop.rule == "fetch.connect"
    assert VERSIONS == ["2"]
