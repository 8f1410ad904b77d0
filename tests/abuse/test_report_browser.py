"""The report of a hostile site, and the pages of its rows, in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from curate.reports.inspection import Piece, View
from curate.reports.report import render_view
from tests.abuse.hostile_site import curate, make_site

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def rendered(page: Path, profile: Path) -> str:
    """The page's DOM after it has loaded."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=2000", page.as_uri()]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return told.stdout


@dataclass
class Canary:
    """A server that nothing is to ask for anything."""

    address: str
    asked: list[str] = field(default_factory=list)

    @property
    def evil(self) -> str:
        script = f"document.title='owned';fetch('{self.address}/script')"
        return (
            f"</title></style></script>\"'><script>{script}</script>"
            f"<img src='{self.address}/image' onerror=\"{script}\">"
            f'<iframe src="javascript:{script}"></iframe>\u202e{{{{ 7 * 7 }}}}'
        )

    def require_harmless(self, shown: str) -> None:
        assert self.asked == []
        assert "<title>owned" not in shown
        assert not any(f"<{name}" in shown for name in ("script", "iframe"))
        assert "\u202e" not in shown
        assert "\\u202e{{ 7 * 7 }}" in shown


@pytest.fixture
def canary() -> Iterator[Canary]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            watched.asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing: what was asked for is in the list."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    watched = Canary(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    yield watched
    server.shutdown()
    server.server_close()


def test_no_hostile_string_becomes_an_element_a_script_or_a_request(
    canary: Canary, tmp_path: Path
) -> None:
    evil = canary.evil
    document = {"id": evil, "url": evil, "warc_file": evil, "offset": 0, "start": 0, "end": 1}
    pieces = [Piece("text", evil), Piece("image", evil, url=f"javascript:{evil}")]
    page, control = tmp_path / "row.html", tmp_path / "control.html"
    page.write_text(render_view(View(evil, {evil: evil}, pieces, [document])), encoding="utf-8")
    control.write_text(f"<!doctype html><title>mine</title><body>{evil}", encoding="utf-8")
    # The strings do bite where nothing is escaped.
    assert "<title>owned</title>" in rendered(control, tmp_path / "first")
    assert canary.asked
    canary.asked.clear()
    shown = rendered(page, tmp_path / "second")
    canary.require_harmless(shown)
    assert "<img" not in shown


def test_the_whole_report_of_a_hostile_site(canary: Canary, tmp_path: Path) -> None:
    site, rows = tmp_path / "site", tmp_path / "rows"
    site.mkdir()
    make_site(site, canary.evil, "<img src=x onerror=document.title='owned'>")

    def done(*command: str) -> bytes:
        told = curate(site, *command)
        assert told.returncode == 0, told.stderr.decode()
        return told.stdout

    done("build-shards", "r.yaml", "--out", "out", "--workers=2")
    done("train", "out", "--config", "mini.yaml")
    stats = json.loads(done("stats", "out", "--json"))
    last = sum(shard["rows"] for shard in stats["shards"]) - 1
    done("inspect", "out", "--row", "0", "--html", "text.html")
    done("inspect", "out", "--row", str(last), "--html", "images.html")
    for name in ("out/report/index.html", "text.html", "images.html"):
        shown = rendered(site / name, rows / name)
        canary.require_harmless(shown)
        # Pictures stand in the page itself.
        assert shown.count("<img") == shown.count('<img src="data:image/jpeg;base64,')
        assert ("<img" in shown) == (name != "text.html")
