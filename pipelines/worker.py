"""A worker process of the local pool: prints its port, works until its standard input closes."""

from __future__ import annotations

import logging
import os
import sys
import threading

import grpc


def _tell_of_thread(args: threading.ExceptHookArgs) -> None:
    """Print what ended a thread, unless it is that an engine has hung up: it does after its job."""
    if not isinstance(args.exc_value, grpc.RpcError):
        threading.__excepthook__(args)


def main() -> None:
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger("apache_beam.runners.worker.data_plane").setLevel(logging.CRITICAL)
    threading.excepthook = _tell_of_thread
    from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

    import pipelines.stages  # noqa: F401  # loaded before work arrives, so that no part waits

    address, _server = BeamFnExternalWorkerPoolServicer.start(use_process=False)
    print(address.rsplit(":", 1)[-1], flush=True)
    sys.stdin.read()
    # The harness' threads never end by themselves; every finished part is already on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
