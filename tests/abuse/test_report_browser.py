"""The page that `inspect --html` writes of hostile strings, in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from curate.inspection import Piece, View
from curate.report import render_view

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def rendered(page: Path, profile: Path) -> str:
    """The page's DOM after it has loaded."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=2000", page.as_uri()]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return told.stdout


def test_no_hostile_string_becomes_an_element_a_script_or_a_request(tmp_path: Path) -> None:
    asked: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing: what was asked for is in the list."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    script = f"document.title='owned';fetch('{address}/script')"
    evil = (
        f"</title></style></script>\"'><script>{script}</script><img src='{address}/image' "
        f'onerror="{script}"><iframe src="javascript:{script}"></iframe>\u202e{{{{ 7 * 7 }}}}'
    )
    document = {"id": evil, "url": evil, "warc_file": evil, "offset": 0, "start": 0, "end": 1}
    pieces = [Piece("text", evil), Piece("image", evil, url=f"javascript:{script}")]
    page, control = tmp_path / "row.html", tmp_path / "control.html"
    page.write_text(render_view(View(evil, {evil: evil}, pieces, [document])), encoding="utf-8")
    control.write_text(f"<!doctype html><title>mine</title><body>{evil}", encoding="utf-8")
    try:
        # The strings do bite where nothing is escaped.
        assert "<title>owned</title>" in rendered(control, tmp_path / "first")
        assert asked
        asked.clear()
        shown = rendered(page, tmp_path / "second")
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []
    assert "<title>owned" not in shown
    assert not any(f"<{name}" in shown for name in ("script", "iframe", "img"))
    assert "\u202e" not in shown
    assert "\\u202e{{ 7 * 7 }}" in shown
