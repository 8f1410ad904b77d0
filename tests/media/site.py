"""A server on 127.0.0.1 for tests of the fetcher."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.serving import QuietHandler, serving


class Site:
    """A server whose answers misbehave in every way that a test asks for."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.robots: tuple[int, bytes] = (404, b"")
        self.tdm_file: tuple[int, bytes] = (404, b"")

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        with self.lock:
            self.requests[path] += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self.respond(handler, path)
        finally:
            with self.lock:
                self.in_flight -= 1

    def respond(self, handler: BaseHTTPRequestHandler, path: str) -> None:
        if path == "/robots.txt":
            send(handler, *self.robots)
        elif path == "/.well-known/tdmrep.json":
            send(handler, *self.tdm_file)
        elif path == "/busy" and self.requests[path] < 2:
            send(handler, 429, b"", {"Retry-After": "1"})
        elif path == "/busy":
            send(handler, 200, b"image")
        elif path == "/slow-body":
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            for _ in range(30):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.1)
        elif path == "/short-length":
            # More bytes than the header says.
            handler.send_response(200)
            handler.send_header("Content-Length", "5")
            handler.end_headers()
            handler.wfile.write(b"image and more")
            handler.close_connection = True
        elif path == "/headers":
            send(handler, 200, b"image", {f"X-{i}": "y" * 1_000 for i in range(90)})
        elif path == "/cut-gzip":
            packed = gzip.compress(b"image" * 1_000)[:-10]
            send(handler, 200, packed, {"Content-Encoding": "gzip"})
        elif path == "/noml":
            send(handler, 200, b"image", {"X-Robots-Tag": "noml"})
        elif path == "/noai-of-others":
            send(handler, 200, b"image", {"X-Robots-Tag": "otherbot: noai"})
        elif path in ("/ok", "/B%C3%A4r%20eins"):
            send(handler, 200, b"image")
        elif path == "/gzip":
            send(handler, 200, gzip.compress(b"image"), {"Content-Encoding": "gzip"})
        elif path == "/bomb":
            send(handler, 200, gzip.compress(b"\0" * 5_000_000), {"Content-Encoding": "gzip"})
        elif path == "/large":
            send(handler, 200, b"x" * 200_000)
        elif path == "/flaky" and self.requests[path] < 3:
            send(handler, 503, b"")
        elif path == "/flaky":
            send(handler, 200, b"at last")
        elif path == "/slow":
            time.sleep(1.5)
            send(handler, 200, b"late")
        elif path == "/brief":
            time.sleep(0.05)
            send(handler, 200, b"image")
        elif path.startswith("/loop"):
            send(handler, 302, b"", {"Location": path + "x"})
        elif path == "/hop":
            send(handler, 301, b"", {"Location": "ok"})
        elif path == "/to-metadata":
            send(handler, 302, b"", {"Location": "http://169.254.169.254/latest/"})
        elif path == "/to-loopback":
            send(handler, 302, b"", {"Location": "http://127.0.0.1:1/"})
        elif path == "/to-private-name":
            send(handler, 302, b"", {"Location": "http://localhost:1/"})
        elif path == "/to-file":
            send(handler, 302, b"", {"Location": "file:///etc/passwd"})
        elif path == "/noai-after-others":
            lines = {"X-Robots-Tag": "otherbot: noindex", "x-robots-tag": "noai"}
            send(handler, 200, b"image", lines)
        elif path == "/noai":
            send(handler, 200, b"image", {"X-Robots-Tag": "noai"})
        elif path == "/tdm":
            send(handler, 200, b"image", {"TDM-Reservation": "1"})
        elif path == "/cut":
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b"only this")
            handler.close_connection = True
        else:
            send(handler, 404, b"")


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def served(site: Site) -> Iterator[str]:
    class Handler(QuietHandler):
        def do_GET(self) -> None:
            try:
                site.answer(self)
            except ConnectionError:
                self.close_connection = True

    with serving(Handler) as address:
        yield address
