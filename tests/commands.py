"""Commands run in processes of their own, to their end or until they are struck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

_RUN_SECONDS = 600
"""How long one command may take; on 2 cores the longest takes about one minute."""


def curate(*arguments: object) -> list[str]:
    """The command line of `curate` in a process of its own."""
    return [sys.executable, "-m", "curate.cli", *map(str, arguments)]


def run_curate(*arguments: object, code: int = 0) -> str:
    """Run `curate` to its end; what it printed."""
    return run_command(curate(*arguments), code=code)


def run_command(
    command: list[str], *, code: int = 0, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command to its end; what it printed."""
    process = start(command, stderr=subprocess.PIPE, environment=environment)
    out, told = ended(process, _RUN_SECONDS)
    assert process.returncode == code, f"{process.returncode}\n{out}\n{told}"
    return out + told


def start(
    command: list[str], *, stderr: int, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1", **(environment or {})},
    )


def ended(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    """What a process of `start` has printed when it has ended.

    Raises:
        TimeoutError: it had not; it was aborted, and the message tells where its threads were.
    """
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        printed = "\n".join(filter(None, process.communicate(timeout=60)))
        raise TimeoutError(f"no end within {seconds} s\n{printed}") from None
    finally:
        if process.poll() is None:  # Ctrl-C does not reach its group
            os.killpg(process.pid, signal.SIGKILL)


def shard_sums(out: Path) -> dict[str, str]:
    """SHA-256 of every file of the shards and of the tokenizer, by path."""
    files = sorted(p for p in (out / "shards").rglob("*") if p.is_file())
    assert any(p.suffix == ".arrow" for p in files)
    return {str(p.relative_to(out)): sha256(p.read_bytes()).hexdigest() for p in files}
