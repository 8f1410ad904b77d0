"""S3 and Google Cloud Storage on 127.0.0.1, and a way to them that can be made to fail."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.engines.clusters import Engines, free_port, running, wait_for

_UNAVAILABLE = (
    b'<?xml version="1.0"?><Error><Code>ServiceUnavailable</Code>'
    b"<Message>Please try again.</Message></Error>"
)

_DENIED = (
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)


@dataclass
class Store:
    """The server behind a gateway, and how the gateway behaves."""

    gateway: str
    """Address for clients."""
    environment: dict[str, str]
    """What clients of the store need to know."""
    every: int = 0
    """Of so many requests one is answered with 503; 0 for none."""
    allowed: int | None = None
    """Requests that are let through before all are answered with 503; None for all."""
    bucket_hidden: bool = False
    """Whether the bucket itself may not be looked at, as where only a folder of it is granted."""
    requests: int = 0
    refused: int = 0
    denied: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuses(self) -> bool:
        with self.lock:
            self.requests += 1
            if self.allowed is not None:
                refuse = self.requests > self.allowed
            else:
                refuse = bool(self.every) and self.requests % self.every == 0
            self.refused += refuse
        return refuse

    def hides(self, verb: str, path: str) -> bool:
        name, _, query = path.strip("/").partition("?")
        looks = verb in ("GET", "HEAD") and "/" not in name and "prefix=" not in query
        hidden = self.bucket_hidden and looks
        with self.lock:
            self.denied += hidden
        return hidden

    def behave(
        self, *, every: int = 0, allowed: int | None = None, bucket_hidden: bool = False
    ) -> None:
        with self.lock:
            self.every, self.allowed, self.bucket_hidden = every, allowed, bucket_hidden
            self.requests, self.refused, self.denied = 0, 0, 0


@contextmanager
def s3_store(engines: Engines, folder: Path) -> Iterator[Store]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [str(engines.root / "venv/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with _gateway_to(port) as store, running(command, folder / "moto.log"):
        wait_for("the S3 server", lambda: _answers(port, "/moto-api/"), folder)
        store.environment = {
            "AWS_ENDPOINT_URL": store.gateway,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield store


@contextmanager
def google_store(engines: Engines, buckets: Path, folder: Path) -> Iterator[Store]:
    """A store that holds the files of a folder of buckets at first."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with _gateway_to(port) as store:
        command = [
            str(engines.root / "bin/fake-gcs-server"), "-scheme=http", "-host=127.0.0.1",
            f"-port={port}", f"-data={buckets}", f"-filesystem-root={folder / 'stored'}",
            # Uploads go on at the address that the server tells.
            f"-external-url={store.gateway}", f"-public-host={store.gateway.partition('//')[2]}",
        ]  # fmt: skip
        with running(command, folder / "google.log"):
            wait_for("the Google store", lambda: _answers(port, "/storage/v1/b"), folder)
            store.environment = {"STORAGE_EMULATOR_HOST": store.gateway}
            yield store


def _answers(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False


@contextmanager
def _gateway_to(port: int) -> Iterator[Store]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_to(port))
    store = Store(f"http://127.0.0.1:{server.server_address[1]}", {})
    server.RequestHandlerClass.store = store  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()


def _handler_to(port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A body would wait until the head before it is acknowledged.
        disable_nagle_algorithm = True
        store: Store

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.store.refuses():
                self._answer(503, [("Content-Type", "application/xml")], _UNAVAILABLE)
                return
            if self.store.hides(self.command, self.path):
                self._answer(403, [("Content-Type", "application/xml")], _DENIED)
                return
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            kept = [
                (name, value)
                for name, value in answer.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "content-length")
            ]
            # The length of what a HEAD does not send.
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._answer(answer.status, kept, data, length)
            connection.close()

        def _answer(
            self,
            status: int,
            headers: list[tuple[str, str]],
            body: bytes,
            size: str | None = None,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", size or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                # gcsfs asks for a file and a folder at once, and takes the first answer.
                self.close_connection = True

    for verb in ("GET", "PUT", "POST", "HEAD", "DELETE", "PATCH"):
        setattr(Handler, f"do_{verb}", Handler._pass_on)
    return Handler
