"""Where pipelines run: the only file that knows which runner it is.

    direct     this machine; in this process with one worker, else on a pool of worker processes
    prism      Beam's single binary, fed by the same pool
    flink      an engine within the job server, or a cluster; by default fed by the same pool
    spark      likewise
    dataflow   Google Cloud; its workers run the container image

The pool is started once per command. Beam's own multi-process mode starts its workers anew for
every pipeline (3 to 7 seconds each time); a resident pool costs 0.1 to 0.2.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner

from curate.pipelines.engine import dataflow
from curate.pipelines.engine.beam_logs import quiet_beam
from curate.pipelines.engine.job_server import job_server
from curate.pipelines.engine.tasks import WorkError, work_error_in
from curate.pipelines.engine.worker_pool import EngineError, LocalEnvironment, WorkerPool
from curate.pipelines.engine.worker_processes import (
    PORTABLE_RUNNERS,
    Process,
    local_processes,
    worker_processes,
)

RUNNERS = ("direct", *PORTABLE_RUNNERS, "dataflow")

Build = Callable[[beam.Pipeline], beam.PCollection[Any]]
"""Adds the steps to a pipeline, and returns what the last of them puts out."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkList(Generic[T]):
    """Items of work; iterating yields those that no other worker has taken."""

    items: tuple[T, ...]
    claims: str | None
    """Folder in which an item is claimed by creating a file; None when the list is one worker's."""

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
        workers: processes that work at the same time, where this machine starts them.
        processes: of `worker_processes`, where they were started before; else the engine does.
        beam_options: further pipeline options, as Beam's own command lines take them.
        accelerator: of the workers for steps that want a GPU, as Dataflow names it.
    """

    def __init__(
        self,
        runner: str = "direct",
        workers: int = 1,
        processes: list[Process] | None = None,
        beam_options: Sequence[str] = (),
        accelerator: str | None = None,
    ) -> None:
        if runner not in RUNNERS:
            raise ValueError(f"runner must be one of {', '.join(RUNNERS)} (got {runner!r})")
        if workers < 1:
            raise ValueError(f"workers must be at least 1 (got {workers})")
        self.runner = runner
        self.workers = workers
        self.accelerator = accelerator
        self.exchanged_bytes = 0
        """Bytes of the files that steps have sent each other, of all steps so far."""
        self._processes = processes
        self._beam_options = list(beam_options)
        self._stack = ExitStack()
        self._pool: WorkerPool | None = None
        self._claims: str | None = None
        self._shares = 0

    def __enter__(self) -> Engine:
        with ExitStack() as stack:
            stack.enter_context(quiet_beam())
            if self.runner == "dataflow":
                dataflow.check_options(self._beam_options)
            if self.runner in PORTABLE_RUNNERS:
                endpoint = stack.enter_context(
                    job_server(self.runner, self.workers, self._beam_options)
                )
                self._beam_options.append(f"--job_endpoint={endpoint}")
            count = local_processes(self.runner, self.workers, self._beam_options)
            if count:
                processes = self._processes
                if processes is None:
                    processes = stack.enter_context(worker_processes(count))
                self._pool = WorkerPool(processes)
                stack.callback(self._pool.close)
            if self._pool is not None and self.runner == "direct":
                claims = tempfile.TemporaryDirectory(prefix="curate-claims-")
                self._claims = stack.enter_context(claims)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, build: Build) -> PipelineResult:
        """Build a pipeline and run it to its end.

        Raises:
            EngineError: a worker process died, or the engine gave up.
            WorkError: the work failed for a cause outside the program.
            RuntimeError: a step of the pipeline raised; Beam's message holds the trace.
        """
        results: list[PipelineResult] = []

        def job() -> None:
            with beam.Pipeline(runner=self._runner(), options=self.options()) as pipeline:
                done = build(pipeline)
                if self.runner == "prism":
                    # Prism 2.77 spins, a core a bundle, while a step works that sends nothing on.
                    done | "What is done" >> beam.WithKeys(None) | "Tell" >> beam.GroupByKey()
            results.append(pipeline.result)

        try:
            if self._pool is None:
                job()
            else:
                self._pool.watch(job, self.runner)
        except (RuntimeError, WorkError) as error:
            raise self._translated(error) from error
        except grpc.RpcError as error:
            raise EngineError(
                f"--runner {self.runner} went away: {str(error)[:300]} Finished parts are kept: "
                "see what became of it and run the same command again."
            ) from error
        return results[0]

    def graph(self, build: Build) -> beam_runner_api_pb2.Pipeline:
        """The job graph of a pipeline, checked by its runner and not submitted.

        Dataflow's runner checks without credentials. The engine need not be entered.
        """
        if self.runner == "dataflow":
            dataflow.check_options(self._beam_options)
            options = self.options("--dry_run=True", "--no_auth")
            # Only Dataflow's has kept the graph.
            runner: Any = self._runner()
            with beam.Pipeline(runner=runner, options=options) as pipeline:
                build(pipeline)
            proto: beam_runner_api_pb2.Pipeline = runner.proto_pipeline
            return proto
        pipeline = beam.Pipeline(options=self.options())
        build(pipeline)
        return pipeline.to_runner_api()

    def submit(self, build: Build) -> None:
        """Submit a pipeline and leave it: for launchers of templates, which must not wait."""
        pipeline = beam.Pipeline(runner=self._runner(), options=self.options())
        build(pipeline)
        pipeline.run()

    def _runner(self) -> PipelineRunner:
        if self.runner == "dataflow":
            from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

            return DataflowRunner()
        if self.runner in PORTABLE_RUNNERS:
            return PortableRunner()
        if self._pool is None:
            return FnApiRunner()
        return FnApiRunner(default_environment=LocalEnvironment(self._pool.address))

    def options(self, *more: str) -> PipelineOptions:
        """Beam's options for a pipeline; what the user gave goes before what the engine chooses."""
        chosen: list[str] = []
        if self.runner == "direct" and self._pool is not None:
            chosen = [f"--direct_num_workers={self.workers}"]
        elif self.runner in PORTABLE_RUNNERS:
            chosen = [f"--sdk_worker_parallelism={self.workers}"]
            if self.runner == "flink":
                chosen.append(f"--parallelism={self.workers}")
            if self._pool is not None:
                chosen += ["--environment_type=EXTERNAL"]
                chosen += [f"--environment_config={self._pool.address}"]
        elif self.runner == "dataflow":
            chosen = ["--runner=DataflowRunner", "--sdk_location=container"]
        return PipelineOptions([*chosen, *self._beam_options, *more])

    def _translated(self, error: RuntimeError | WorkError) -> Exception:
        """The error to raise for one of Beam's: in words where no trace helps."""
        text = str(error)
        told = work_error_in(f"{type(error).__name__}: {text}")
        if told is not None:
            return told
        if self.runner == "direct" or "Traceback (most recent call last)" in text:
            return error
        return EngineError(
            f"--runner {self.runner} gave up: {' '.join(text.split())[:600]}. Finished parts are "
            "kept: mend the cause and run the same command again."
        )

    def share(self, items: Sequence[T], cost: Callable[[T], float]) -> list[WorkList[T]]:
        """The elements to create a pipeline of, costliest first.

        The local runner hands elements to workers statically, the same number to each, and a
        worker that drew the quick ones would stand idle. So each worker gets one element that
        names all the work, and takes an item by claiming it on this machine's disk. An engine that
        balances and tries again by itself gets an element an item.
        """
        ordered = tuple(sorted(items, key=cost, reverse=True))
        if self.runner != "direct":
            return [WorkList((item,), None) for item in ordered]
        if self._claims is None:
            return [WorkList(ordered, None)]
        folder = Path(self._claims, str(self._shares))
        folder.mkdir()
        self._shares += 1
        return [WorkList(ordered, str(folder))] * self.workers

    def hints_for_models(self) -> dict[str, Any]:
        """Beam's resource hints for steps that want a GPU; empty where none was asked for."""
        return {} if self.accelerator is None else {"accelerator": self.accelerator}
