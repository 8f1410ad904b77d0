"""The local worker processes behind one address, for any engine that asks for external workers."""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_runner_api_pb2,
)
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    ExternalWorkerHandler,
    WorkerHandler,
)
from apache_beam.transforms.environments import ExternalEnvironment
from apache_beam.utils import thread_pool_executor

from curate.pipelines.engine.worker_processes import Process
from curate.schemas.errors import CurateError

_START_TIMEOUT_SECONDS = 120
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0

_LOG = logging.getLogger(__name__)


class EngineError(CurateError):
    """The engine, and not the work, failed; the message says what to do."""


_LOCAL_URN = "curate:environment:local_workers:v1"


@WorkerHandler.register_environment(_LOCAL_URN, beam_runner_api_pb2.ExternalPayload)
class LocalWorkerHandler(ExternalWorkerHandler):
    """The local runner's side of a worker of the pool.

    Beam's names this machine to its workers as other machines would; a laptop without a network and
    a container without /etc/hosts have a name that nobody can look up.
    """

    def host_from_worker(self) -> str:
        return "127.0.0.1"


class LocalEnvironment(ExternalEnvironment):
    """Beam's external workers by a name of our own: Beam's name is everybody's here."""

    def to_runner_api_parameter(self, context: Any) -> tuple[str, Any]:
        _, payload = super().to_runner_api_parameter(context)
        return _LOCAL_URN, payload


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Worker processes that live as long as the command.

    The engine asks the address for workers; requests go to the processes in turn, and each process
    runs the harness in a thread of its own. Processes are spawned, never forked: forked ones hang.
    """

    def __init__(self, processes: list[Process]) -> None:
        self._processes = processes
        stubs = []
        for process in self._processes:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port.isdigit():
                raise EngineError(
                    f"a worker process did not start (it said {port!r}). "
                    "Its error is printed above; --workers 1 runs without worker processes."
                )
            channel = grpc.insecure_channel(f"127.0.0.1:{port}")
            stubs.append(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel))
        self._next_stub = itertools.cycle(stubs)
        self._lock = threading.Lock()
        self._asked = 0
        """Workers that engines have asked for so far."""
        self._server = grpc.server(thread_pool_executor.shared_unbounded_instance())
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def StartWorker(
        self, request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        with self._lock:
            stub = next(self._next_stub)
            self._asked += 1
        if any(process.poll() is not None for process in self._processes):
            # The command is about to end, and its other workers with it. An engine whose new worker
            # ends before it has connected holds the task's place for three minutes.
            context.abort(grpc.StatusCode.UNAVAILABLE, "a worker process of the command ended")
        started: beam_fn_api_pb2.StartWorkerResponse = stub.StartWorker(
            request, timeout=_START_TIMEOUT_SECONDS
        )
        return started

    def StopWorker(
        self, request: beam_fn_api_pb2.StopWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        return beam_fn_api_pb2.StopWorkerResponse()

    def watch(self, job: Callable[[], None], runner: str) -> None:
        """Run a job; raise when a worker process dies under it, which the engine would wait out.

        An engine that has no place for the job waits, too, and some without a word and for ever:
        that is said in its place.

        Raises:
            EngineError: a worker process died.
        """
        failure: list[BaseException] = []

        def target() -> None:
            try:
                job()
            except BaseException as error:  # raised below: a thread only prints its own
                failure.append(error)

        thread = threading.Thread(target=target, daemon=True)
        stopped = _StoppedProcesses(self._processes)
        asked, deadline = self._asked, time.monotonic() + _PATIENCE_SECONDS
        thread.start()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            self._require_processes()
            stopped.look()
            if self._asked == asked and time.monotonic() > deadline:
                _LOG.warning(
                    "--runner %s has asked for no worker in %.0f seconds: see whether its cluster "
                    "has cores, memory and disk space to give, or other jobs hold them. Waiting.",
                    runner,
                    _PATIENCE_SECONDS,
                )
                deadline = math.inf
        if failure:
            # An engine may tell of a lost worker before it is seen here to be gone.
            self._require_processes()
            raise failure[0]

    def _require_processes(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                raise EngineError(
                    f"worker process {process.pid} ended with status {process.returncode} "
                    "(-9 is usually the system running out of memory). Finished parts are "
                    "kept: run the same command again, with fewer --workers if memory is short."
                )

    def close(self) -> None:
        """Stop answering the engine; the processes end with whoever started them."""
        self._server.stop(grace=None)


class _StoppedProcesses:
    """Tells of worker processes that stay stopped, for which a job waits without a word."""

    def __init__(self, processes: list[Process]) -> None:
        self._processes = processes
        self._since: dict[int, float] = {}
        self._told: set[int] = set()

    def look(self) -> None:
        """See which processes are stopped; warn, once, of each that has been for long."""
        now = time.monotonic()
        stopped = {process.pid for process in self._processes if _is_stopped(process.pid)}
        self._since = {pid: self._since.get(pid, now) for pid in stopped}
        self._told &= stopped
        for pid, since in self._since.items():
            if now - since > _PATIENCE_SECONDS and pid not in self._told:
                self._told.add(pid)
                _LOG.warning(
                    "worker process %d has been stopped for %.0f seconds (SIGSTOP, or a debugger), "
                    "and its work waits: `kill -CONT %d` lets it go on.",
                    pid, _PATIENCE_SECONDS, pid,
                )  # fmt: skip


def _is_stopped(pid: int) -> bool:
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return False
    # It is left to be waited for, by who started it.
    flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
    try:
        return os.waitid(os.P_PID, pid, flags) is not None
    except ChildProcessError:
        return False
