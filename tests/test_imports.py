"""What importing `curate` does to a program with plans of its own for Beam and logging."""

from __future__ import annotations

import subprocess
import sys

_IMPORT_ALL = """
import importlib, logging, pkgutil
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.fn_api_runner.worker_handlers import WorkerHandler
from apache_beam.runners.portability import portable_runner
from apache_beam.runners.worker import data_plane, sdk_worker

def seen():
    loggers = {n: l.level for n, l in logging.root.manager.loggerDict.items()
               if n.startswith(("apache_beam", "gcsfs")) and isinstance(l, logging.Logger)}
    handlers = dict(WorkerHandler._registered_environments)
    return loggers, handlers, list(logging.root.filters), logging.root.level

before = seen()
import curate
for module in pkgutil.walk_packages(curate.__path__, "curate."):
    importlib.import_module(module.name)
after = seen()
assert {n: after[0][n] for n in before[0]} == before[0]
assert set(after[0].values()) <= {logging.NOTSET}, after[0]
assert {urn: after[1][urn] for urn in before[1]} == before[1]
assert after[2:] == before[2:]
print("unchanged")
"""


def test_nothing_of_beam_and_logging_is_changed() -> None:
    told = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORT_ALL], capture_output=True, text=True, check=True
    )
    assert told.stdout == "unchanged\n"


def test_the_door_is_light() -> None:
    """Its names are looked up when they are used: no Beam, no Arrow, no torch before that."""
    script = (
        "import sys, curate; heavy = {'apache_beam', 'pyarrow', 'torch', 'jax', 'PIL'};"
        "assert not heavy & sys.modules.keys(); curate.Document; dir(curate);"
        "assert all(getattr(curate, name) for name in curate.__all__)"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True)
