"""Starting the local worker processes: without Beam, so that it can come before Beam is imported.

Importing Beam takes seconds, in the command as in each worker; started first, they overlap.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

Process = subprocess.Popen[str]
_GRACE_SECONDS = 5


@contextmanager
def worker_processes(workers: int) -> Iterator[list[Process]]:
    """Processes that print a port once they are ready, and end with the block.

    One worker needs none: its work is done in the command's own process. A worker whose command
    is killed sees its standard input close, and goes.
    """
    command = [sys.executable, "-m", "pipelines.worker"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers if workers > 1 else 0)
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
