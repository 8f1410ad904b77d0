"""Where pipelines run: the only file that knows which runner it is.

`direct` runs on this machine: in this process with one worker, and with more on a pool of worker
processes that is started once per command. Beam's own multi-process mode starts its workers anew
for every pipeline (3 to 7 seconds each time); a resident pool costs 0.1 to 0.2.
"""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import environments
from apache_beam.utils import thread_pool_executor

from pipelines.worker_processes import Process, worker_processes
from schemas.errors import CurateError

# The runner warns that workers without its multi-process mode don't work in parallel; ours do.
logging.getLogger("apache_beam.runners.portability.fn_api_runner.fn_runner").setLevel(logging.ERROR)

RUNNERS = ("direct",)
_START_TIMEOUT_SECONDS = 120
_POLL_SECONDS = 0.5

T = TypeVar("T")


class EngineError(CurateError):
    """The engine, and not the work, failed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class WorkList(Generic[T]):
    """Items of work; iterating yields those that no other worker has taken."""

    items: tuple[T, ...]
    claims: str | None
    """Folder in which an item is claimed by creating a file; None when there is one worker."""

    def __iter__(self) -> Iterator[T]:
        for index, item in enumerate(self.items):
            if self._claim(index):
                yield item

    def _claim(self, index: int) -> bool:
        if self.claims is None:
            return True
        try:
            os.close(os.open(f"{self.claims}/{index}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


class Engine:
    """Runs pipelines one after another. Use as a context manager.

    Args:
        runner: one of `RUNNERS`.
        workers: processes that work at the same time.
        processes: of `worker_processes`, where they were started before; else the engine does.
        beam_options: further pipeline options, as Beam's own command lines take them.
    """

    def __init__(
        self,
        runner: str = "direct",
        workers: int = 1,
        processes: list[Process] | None = None,
        beam_options: Sequence[str] = (),
    ) -> None:
        if runner not in RUNNERS:
            raise ValueError(f"runner must be one of {', '.join(RUNNERS)} (got {runner!r})")
        if workers < 1:
            raise ValueError(f"workers must be at least 1 (got {workers})")
        self.workers = workers
        self._processes = processes
        self._beam_options = list(beam_options)
        self._stack = ExitStack()
        self._pool: WorkerPool | None = None
        self._claims: str | None = None
        self._shares = 0

    def __enter__(self) -> Engine:
        if self.workers > 1:
            processes = self._processes
            if processes is None:
                processes = self._stack.enter_context(worker_processes(self.workers))
            self._pool = WorkerPool(processes)
            self._stack.callback(self._pool.close)
            claims = tempfile.TemporaryDirectory(prefix="curate-claims-")
            self._claims = self._stack.enter_context(claims)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, build: Callable[[beam.Pipeline], object]) -> None:
        """Build a pipeline and run it to its end.

        Raises:
            EngineError: a worker process died.
            RuntimeError: a step of the pipeline raised; Beam's message holds the trace.
        """
        if self._pool is None:
            with beam.Pipeline(
                runner=FnApiRunner(), options=PipelineOptions(self._beam_options)
            ) as pipeline:
                build(pipeline)
            return
        runner = FnApiRunner(
            default_environment=environments.ExternalEnvironment(self._pool.address)
        )
        options = PipelineOptions([*self._beam_options, f"--direct_num_workers={self.workers}"])
        self._pool.watch(lambda: _run(runner, options, build))

    def share(self, items: Sequence[T], cost: Callable[[T], float]) -> list[WorkList[T]]:
        """The elements to create a pipeline of: work lists that the workers empty together.

        The local runner hands elements to workers statically, the same number to each, and a
        worker that drew the quick ones would stand idle. So each worker gets one element that
        names all the work, costliest first, and takes an item by claiming it on this machine's
        disk.
        """
        ordered = tuple(sorted(items, key=cost, reverse=True))
        if self._claims is None:
            return [WorkList(ordered, None)]
        folder = Path(self._claims, str(self._shares))
        folder.mkdir()
        self._shares += 1
        return [WorkList(ordered, str(folder))] * self.workers


def _run(
    runner: FnApiRunner, options: PipelineOptions, build: Callable[[beam.Pipeline], object]
) -> None:
    with beam.Pipeline(runner=runner, options=options) as pipeline:
        build(pipeline)


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Worker processes that live as long as the command, behind one address.

    The runner asks the address for workers; requests go to the processes in turn, and each process
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
        self._server = grpc.server(thread_pool_executor.shared_unbounded_instance())
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def StartWorker(
        self, request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        with self._lock:
            stub = next(self._next_stub)
        return stub.StartWorker(request, timeout=_START_TIMEOUT_SECONDS)

    def StopWorker(
        self, request: beam_fn_api_pb2.StopWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        return beam_fn_api_pb2.StopWorkerResponse()

    def watch(self, job: Callable[[], None]) -> None:
        """Run a job; raise when a worker process dies under it, which the runner would wait out.

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
        thread.start()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            for process in self._processes:
                if process.poll() is not None:
                    raise EngineError(
                        f"worker process {process.pid} ended with status {process.returncode} "
                        "(-9 is usually the system running out of memory). Finished parts are "
                        "kept: run the same command again, with fewer --workers if memory is short."
                    )
        if failure:
            raise failure[0]

    def close(self) -> None:
        """Stop answering the runner; the processes end with whoever started them."""
        self._server.stop(grace=None)
