"""How Python processes are started: packages of the folder one stands in never take our place."""

from __future__ import annotations

import os
import sys


def python_module(name: str) -> list[str]:
    """The command that runs a module of ours; `-m` alone would look in the current folder first."""
    return [sys.executable, "-P", "-m", name]


def safe_environment() -> dict[str, str]:
    """This process' environment, in which Python processes of any depth are started likewise."""
    return {**os.environ, "PYTHONSAFEPATH": "1"}
