"""Starting the local worker processes: without Beam, so that it can come before Beam is imported.

Importing Beam takes seconds, in the command as in each worker; started first, they overlap.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from curate.schemas.processes import python_module, safe_environment

Process = subprocess.Popen[str]
_GRACE_SECONDS = 5

PORTABLE_RUNNERS = ("prism", "flink", "spark")
"""Engines that run elsewhere and ask for workers."""


def local_processes(runner: str, workers: int, beam_options: Sequence[str]) -> int:
    """How many worker processes this machine has to start.

    `direct` with one worker does its work in the command's own process. The portable engines use
    processes of this machine, unless the options name another environment for workers; those of
    Dataflow are Dataflow's.
    """
    if runner == "direct":
        return workers if workers > 1 else 0
    if runner in PORTABLE_RUNNERS and not names_environment(beam_options):
        return workers
    return 0


def names_environment(beam_options: Sequence[str]) -> bool:
    """Whether Beam options say where workers come from."""
    return any(option.split("=")[0] == "--environment_type" for option in beam_options)


@contextmanager
def worker_processes(count: int) -> Iterator[list[Process]]:
    """Processes that print a port once they are ready, and end with the block.

    A worker whose command is killed sees its standard input close, and goes.
    """
    command = python_module("curate.pipelines.worker")
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=safe_environment(),
        )
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
