"""The pool of worker processes as an engine sees it."""

from __future__ import annotations

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipelines.worker_pool import WorkerPool
from pipelines.worker_processes import worker_processes


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
