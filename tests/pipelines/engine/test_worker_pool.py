"""The pool of worker processes as an engine sees it."""

from __future__ import annotations

import logging
import signal
import time
from functools import partial

import apache_beam as beam
import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from curate.pipelines.engine import worker_pool
from curate.pipelines.engine.engine import Engine
from curate.pipelines.engine.worker_pool import WorkerPool
from curate.pipelines.engine.worker_processes import Process, worker_processes


def test_no_worker_is_started_once_one_has_died() -> None:
    with worker_processes(2) as processes:
        pool = WorkerPool(processes)
        processes[0].kill()
        processes[0].wait()
        with grpc.insecure_channel(pool.address) as channel:
            engine = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
            for _ in processes:
                with pytest.raises(grpc.RpcError, match="a worker process of the command ended"):
                    engine.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="1"))
        pool.close()


def test_an_engine_that_asks_for_no_worker_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_pool, "_PATIENCE_SECONDS", 0.1)
    caplog.set_level(logging.WARNING)
    with worker_processes(1) as processes:
        pool = WorkerPool(processes)
        pool.watch(lambda: time.sleep(2), "spark")
        pool.close()
    (record,) = caplog.records
    assert "--runner spark has asked for no worker in 0 seconds" in record.getMessage()


def test_a_worker_that_stays_stopped_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_pool, "_PATIENCE_SECONDS", 1.5)
    caplog.set_level(logging.WARNING)

    def stop(process: Process, seconds: float) -> None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
        time.sleep(1)

    with worker_processes(2) as processes:
        pool = WorkerPool(processes)
        pool._asked = -1  # as if the engine had its workers
        for seconds in (1.0, 4.0, 1.0):
            pool.watch(partial(stop, processes[1], seconds), "direct")
        pool.close()
    told = [r.getMessage() for r in caplog.records if "stopped" in r.getMessage()]
    pid = processes[1].pid
    assert [text.split(" has")[0] for text in told] == [f"worker process {pid}"]
    assert f"`kill -CONT {pid}`" in told[0]


def test_an_engine_whose_workers_are_busy_is_not_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_pool, "_PATIENCE_SECONDS", 4.0)
    caplog.set_level(logging.WARNING)

    def work(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    with Engine("direct", 2) as engine:
        for _ in range(2):
            engine.run(lambda p: p | beam.Create([5]) | beam.Map(work))
    assert not caplog.records
