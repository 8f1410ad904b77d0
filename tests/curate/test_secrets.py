"""A run whose input needs a signature: nothing of it is shown or stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from click.testing import Result

from tests.conftest import ENGLISH, html_page, write_warc


def test_a_signature_is_neither_shown_nor_stored_and_a_new_one_is_the_same_input(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    held = tmp_path / "held"
    held.mkdir()
    text = "".join(f"<p>{line}</p>" for line in ENGLISH * 3)
    write_warc(held / "a.warc.gz", [html_page("http://h.test/a", text)])
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: signed\nsources: {prose: {format: text}}\n"
        "tokenization: {vocabulary: 100, block: 128, image_slots: 16}\n"
    )
    handler = partial(SimpleHTTPRequestHandler, directory=str(held))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    out = tmp_path / "out"
    try:
        for secret in ("S3cr3tOne", "S3cr3tTwo"):
            given = ("--input", f"{address}/a.warc.gz?X-Amz-Signature={secret}")
            told = curate("build-shards", recipe, *given, "--out", out).output
            assert "S3cr3t" not in told
        absent = ("--input", f"{address}/b.warc.gz?X-Amz-Signature=S3cr3t")
        told = curate("build-shards", recipe, *absent, "--out", out, code=2).output
        assert "X-Amz-Signature=***" in told
        assert "S3cr3t" not in told
    finally:
        server.shutdown()
        server.server_close()
    files = [path for path in out.rglob("*") if path.is_file()]
    assert any(path.name == "run.json" for path in files)
    assert not [path for path in files if b"S3cr3t" in path.read_bytes()]
