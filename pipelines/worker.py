"""A worker process of the local pool: prints its port, works until its standard input closes."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading

import grpc

from curate.pipelines.engine.beam_logs import quiet_beam
from curate.pipelines.engine.tasks import work_error_in
from curate.schemas.text.secrets import masked
from curate.schemas.text.shown import visible


def _tell_of_thread(args: threading.ExceptHookArgs) -> None:
    """Print what ended a thread, unless it is that an engine has hung up: it does after its job."""
    if not isinstance(args.exc_value, grpc.RpcError):
        threading.__excepthook__(args)


class _Untold(io.TextIOWrapper):
    """Standard error, fit for a terminal and without secrets.

    The traces are left out that Beam prints of failures which the command tells.
    """

    _kept_back = False

    def write(self, text: str) -> int:
        is_end_of_kept_back = self._kept_back and text == "\n"
        self._kept_back = work_error_in(text) is not None
        if self._kept_back or is_end_of_kept_back:
            return len(text)
        super().write(visible(masked(text)))
        return len(text)


def main() -> None:
    logging.getLogger().setLevel(logging.ERROR)
    sys.stderr = _Untold(sys.stderr.buffer, errors="backslashreplace", line_buffering=True)
    threading.excepthook = _tell_of_thread
    from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

    import curate.pipelines.stages  # noqa: F401  # loaded before work arrives, so that no part waits

    with quiet_beam():
        address, _server = BeamFnExternalWorkerPoolServicer.start(use_process=False)
        print(address.rsplit(":", 1)[-1], flush=True)
        sys.stdin.read()
    # The harness' threads never end by themselves; every finished part is already on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
