"""Strings of a hostile site through the output of every command, as bytes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import click
import pytest

from curate.cli import main
from tests.abuse.hostile_site import CURATE, PAGE, curate, make_site

EVIL = "\x1b]0;owned\x07\x9b31m\u202e\u2066[bold red]"
FILE = "\x1b]0;owned\x07\u202e"
"""In names of files, where a `[` would begin a pattern."""
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and a model trained on it, in a folder whose packages have the names of ours."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("schemas", "media", "filters"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    for name in ("queue.py", "pipelines.py"):
        (folder / name).write_text("raise SystemExit('shadowed')")
    make_site(folder, EVIL, FILE)
    for command in (
        ("build-shards", "r.yaml", "--out", "out", "--workers=2"),
        ("train", "out", "--config", "mini.yaml"),
    ):
        told = curate(folder, *command)
        assert told.returncode == 0, told.stderr.decode()
        _require_fit(told.stdout + told.stderr)
    return folder


DOCS, BENCH, TABLE = f"docs{FILE}.jsonl", f"bench{FILE}.jsonl", f"t{FILE}.parquet"
GOOD = f"good{FILE}.jsonl"
CHECKPOINT = "out/training/mini-torch-pretraining"
# Those that end with 0, and hostile strings in arguments of those that do not.
COMMANDS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, ("build-shards", "r.yaml", "--out", "out", "--workers=1")),
    (0, ("build-shards", "r.yaml", "--out", "out", "--dry-run")),
    (0, ("stats", "out")),
    (0, ("stats", "out", "--json")),
    (0, ("why", "out", PAGE)),
    (0, ("why", "out", PAGE, "--json")),
    (0, ("inspect", "out", "--row", "0")),
    (0, ("inspect", "out", "--row", "0", "--json")),
    (0, ("inspect", "out", "--row", "9", "--html", f"row{FILE}.html")),
    (0, ("extract", f"h{FILE}.warc.gz")),
    (0, ("verify", "out")),
    (0, ("recipe", "list")),
    (0, ("recipe", "schema")),
    (0, ("recipe", "validate", "r.yaml")),
    (0, ("recipe", "show", "r.yaml")),
    (0, ("recipe", "plan", "r.yaml")),
    (0, ("recipe", "plan", "r.yaml", "--json")),
    (0, ("dedup", "--input", DOCS, "--out", f"dd{FILE}")),
    (0, ("decontaminate", "--benchmarks", BENCH, "--input", DOCS, "--out", f"dc{FILE}")),
    (0, ("benchmark-index", "build", "--benchmarks", BENCH, "--out", f"b{FILE}.index")),
    (0, ("benchmark-index", "registry")),
    (0, ("fetch-pairs", TABLE, "--out", f"fp{FILE}")),
    (0, ("train-tokenizer", "out", "--model", f"t{FILE}.model", "--vocabulary", "150")),
    (0, ("train-classifier", "--high", GOOD, "--low", GOOD, "--model", f"c{FILE}.bin")),
    (0, ("train", "out", "--config", "mini.yaml", "--json", "--to", f"again{FILE}")),
    (0, ("train", "--config", "mini.yaml", "--describe")),
    (0, ("generate", CHECKPOINT, "--prompt", EVIL, "--max-tokens", "5")),
    (2, ("recipe", "show", EVIL)),
    (2, ("recipe", "plan", EVIL)),
    (1, ("why", "out", EVIL)),
    (2, ("stats", EVIL)),
    (2, ("inspect", "out", "--document", EVIL)),
    (1, ("extract", EVIL)),
    (2, ("verify", EVIL)),
    (2, ("dedup", "--input", EVIL, "--out", "no")),
    (2, ("decontaminate", "--benchmarks", DOCS, "--input", EVIL, "--out", "no")),
    (2, ("benchmark-index", "build", "--benchmarks", EVIL, "--out", "no.index")),
    (2, ("fetch-pairs", DOCS, "--out", "no")),
    (2, ("train", "out", "--config", EVIL)),
    (1, ("train-tokenizer", EVIL, "--model", "no")),
    (2, ("train-classifier", "--high", DOCS, "--low", DOCS, "--model", "no")),
    (2, ("train-classifier", "--high", EVIL, "--low", EVIL, "--model", "no")),
    (2, ("generate", EVIL, "--image", EVIL)),
    (2, (EVIL,)),
)
NOT_OF_A_SITE = frozenset({"demo"})
"""What reads nothing of a stranger's."""


def test_every_command_is_among_them() -> None:
    named = {command[:2] for _, command in COMMANDS}
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            assert {(name, inner) for inner in command.commands} <= named
        elif name not in NOT_OF_A_SITE:
            assert name in {first for first, *_ in named}


NUMBERED = [f"{number}-{command[0]}" for number, (_, command) in enumerate(COMMANDS[:-1])]


@pytest.mark.parametrize(("code", "command"), COMMANDS, ids=[*NUMBERED, "no command"])
def test_no_command_lets_a_hostile_string_steer_the_terminal(
    run: Path, code: int, command: tuple[str, ...]
) -> None:
    told = curate(run, *command)
    assert told.stdout + told.stderr
    _require_fit(told.stdout + told.stderr)
    assert told.returncode == code, told.stderr.decode()


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
