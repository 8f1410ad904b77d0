"""Strings of a hostile archive through the output of every command, as bytes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ENGLISH, html_page, picture, write_warc

EVIL = "\x1b]0;owned\x07\x9b31m\u202e\u2066[bold red]"
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
CURATE = [str(Path(sys.executable).with_name("curate"))]
PAGE = "http://h.test/page"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in a folder whose packages have the names of ours."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("schemas", "media", "filters"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    for name in ("queue.py", "pipelines.py"):
        (folder / name).write_text("raise SystemExit('shadowed')")
    shown = "".join(
        f"<p>{ENGLISH[i % 4]} {i} {EVIL}</p><img src='/{i}.png' alt='{EVIL}'>" for i in range(4)
    )
    images = [
        (f"http://h.test/{i}.png", picture(seed=i), {"Content-Type": "image/png"}) for i in range(4)
    ]
    page = html_page(PAGE, f"<article>{shown}</article>")
    write_warc(folder / "h.warc.gz", [page, *images])
    recipe = {
        "name": EVIL,
        "sources": {"web": {"format": "interleaved"}},
        "images": {"size": 64, "fetch": {"enabled": False}},
        "tokenization": {"vocabulary": 100, "block": 256, "image_slots": 16},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    told = subprocess.run(
        [*CURATE, "build-shards", "r.yaml", "--input", "h.warc.gz", "--out", "out", "--workers=2"],
        cwd=folder,
        capture_output=True,
    )
    assert told.returncode == 0, told.stderr.decode()
    _require_fit(told.stdout + told.stderr)
    return folder


COMMANDS = (
    ("stats", "out"),
    ("why", "out", PAGE),
    ("inspect", "out", "--row", "0"),
    ("inspect", "out", "--row", "0", "--json"),
    ("extract", "h.warc.gz"),
    ("verify", "out"),
    ("recipe", "validate", "r.yaml"),
    ("recipe", "show", EVIL),
    ("why", "out", EVIL),
    (EVIL,),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: "-".join(c[:1]))
def test_no_command_lets_a_hostile_string_steer_the_terminal(
    run: Path, command: tuple[str, ...]
) -> None:
    told = subprocess.run([*CURATE, *command], cwd=run, capture_output=True)
    assert told.stdout + told.stderr
    _require_fit(told.stdout + told.stderr)


def test_on_a_terminal_only_our_own_colours_are_sent(run: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(
        [*CURATE, "inspect", "out", "--row", "0"],
        cwd=run,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    told = b""
    try:
        while data := os.read(ours, 65536):
            told += data
    except OSError:
        # How Linux says that nobody is at the other end any more.
        assert process.wait() == 0
    os.close(ours)
    assert b"\x1b[" in told
    assert b"\\x1b]0;owned" in told or b"\\u202e" in told
    _require_fit(re.sub(rb"\x1b\[[0-9;]*m|\r\n", b"", told))


def _require_fit(told: bytes) -> None:
    found = FORBIDDEN.search(told.decode())
    assert found is None, (found, told[max(0, found.start() - 80) : found.end() + 80])
