"""Rows that go from every task of one step to every task of the next, through files.

A step's task writes one Arrow file with a record batch per receiver; a receiver reads its own
batches of all files. That is a shuffle whose memory is a chunk and not the corpus, on every
engine: Beam's local runner holds what it groups in memory. Only numbers, keys and addresses go
through it, never text. A task is done when its `.json` is there; the files are removed with the
stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.metrics import Metrics

from pipelines.engine import Engine, WorkList
from pipelines.run_directory import RunDirectory
from pipelines.tasks import working_on

CHUNK_ROWS = 1 << 16
"""Rows that are read, and mostly worked on, at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a step: it writes the files of its name."""

    name: str
    cost: float
    payload: Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """The files of one step, below `exchange/STEP/`."""

    run: RunDirectory
    step: str
    receivers: int

    def path(self, task: str, suffix: str) -> str:
        return f"exchange/{self.step}/{task}.{suffix}"

    def outbox(self, task: str) -> Outbox:
        return Outbox(self, task)

    def done(self) -> set[str]:
        """Names of the tasks that are done."""
        folder = f"exchange/{self.step}/"
        paths = self.run.list(f"exchange/{self.step}", suffix=".json")
        return {path[len(folder) : -len(".json")] for path in paths}

    def facts(self) -> list[dict[str, Any]]:
        """What the step's tasks noted, in the order of their names."""
        paths = self.run.list(f"exchange/{self.step}", suffix=".json")
        return [json.loads(data) for data in self.run.read_many(paths)]

    def rows(self) -> int:
        """Rows sent by all tasks."""
        return sum(facts["rows"] for facts in self.facts())

    def receive(self, receiver: int) -> Iterator[pa.RecordBatch]:
        """The batches sent to a receiver, by sending task, in the order they were sent."""
        for path in self.run.list(f"exchange/{self.step}", suffix=".arrow"):
            with ExitStack() as stack:
                if self.run.is_local:
                    source = stack.enter_context(pa.memory_map(self.run.path(path)))
                else:
                    source = stack.enter_context(self.run.open(path))
                reader = stack.enter_context(pa.ipc.open_file(source))
                for index in range(receiver, reader.num_record_batches, self.receivers):
                    batch = reader.get_batch(index)
                    for start in range(0, batch.num_rows, CHUNK_ROWS):
                        yield batch.slice(start, CHUNK_ROWS)

    def receive_rows(self, receiver: int) -> Iterator[tuple[Any, ...]]:
        """As `receive`, a tuple of Python values a row."""
        for batch in self.receive(receiver):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def receive_numbers(self, receiver: int) -> Iterator[dict[str, Any]]:
        """As `receive`, with each column as a NumPy array."""
        for batch in self.receive(receiver):
            yield {
                name: _to_numpy(column)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            }

    def receive_all(self, receiver: int) -> dict[str, Any] | None:
        """All numbers for a receiver, or None: for what is known to be small."""
        chunks = list(self.receive_numbers(receiver))
        if not chunks:
            return None
        return {name: np.concatenate([c[name] for c in chunks]) for name in chunks[0]}


def _to_numpy(column: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    return column.to_numpy(zero_copy_only=False)


@dataclass(slots=True)
class Outbox:
    """Context manager: what one task sends; it appears whole when the block ends well."""

    exchange: Exchange
    task: str
    facts: dict[str, Any] = field(default_factory=lambda: {"rows": 0, "bytes": 0})
    """Small facts for whoever drives the steps."""
    _stack: ExitStack = field(default_factory=ExitStack)
    _writer: Any = None
    _written: Path = Path()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            self.facts["bytes"] = self._written.stat().st_size
            Metrics.counter("exchange", "bytes").inc(self.facts["bytes"])
        self._stack.__exit__(kind, error, trace)
        if error is None:
            self.exchange.run.write_json(self.facts, self.exchange.path(self.task, "json"))

    def send(self, columns: Mapping[str, Any], to: npt.NDArray[np.integer[Any]]) -> None:
        """Send rows; `to` names the receiver of each. Rows of a receiver keep their order."""
        if not len(to):
            return
        order = np.argsort(to, kind="stable")
        bounds = np.searchsorted(to[order], np.arange(self.exchange.receivers + 1))
        batch = pa.record_batch({n: _to_arrow(c).take(pa.array(order)) for n, c in columns.items()})
        if self._writer is None:
            path = self._stack.enter_context(
                self.exchange.run.publish(self.exchange.path(self.task, "arrow"))
            )
            self._written = path
            options = pa.ipc.IpcWriteOptions(compression=_compression(batch.schema))
            self._writer = pa.ipc.new_file(str(path), batch.schema, options=options)
        for start, end in pairwise(bounds.tolist()):
            self._writer.write_batch(batch.slice(start, end - start))
        self.facts["rows"] += len(to)

    def send_rows(self, rows: Iterable[tuple[int, tuple[Any, ...]]], schema: pa.Schema) -> None:
        """Send tuples of the schema's columns, each with the number of its receiver."""
        remaining = iter(rows)
        while chunk := list(islice(remaining, CHUNK_ROWS)):
            columns = zip(*(row for _, row in chunk), strict=True)
            arrays = (pa.array(c, f.type) for c, f in zip(columns, schema, strict=True))
            self.send(
                dict(zip(schema.names, arrays, strict=True)),
                np.array([receiver for receiver, _ in chunk]),
            )


def _compression(schema: pa.Schema) -> str | None:
    """Addresses shrink to a third; hashes, which most exchanges hold, do not."""
    return "zstd" if any(pa.types.is_string(field.type) for field in schema) else None


def _to_arrow(column: Any) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if column.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), column.shape[1])
    return pa.array(column)


Make = Callable[[Any, Task], None]


class _DoTasks(beam.DoFn):
    def __init__(self, step: str, job: Any, make: Make) -> None:
        self._step = step
        self._job = job
        self._make = make

    def process(self, tasks: WorkList[Task]) -> Iterator[str]:
        for task in tasks:
            with working_on(f"step {self._step}, task {task.name}"):
                self._make(self._job, task)
            yield task.name


def run_step(
    engine: Engine, exchange: Exchange, tasks: Iterable[Task], job: Any, make: Make
) -> None:
    """Do those tasks of a step that are not done yet.

    `make(job, task)` must fill `exchange.outbox(task.name)`, last if it fills several. A single
    task is small by the way tasks are cut, and is done here, without a pipeline.
    """
    _do_missing(engine, exchange, tasks, job, make)
    engine.exchanged_bytes += sum(facts["bytes"] for facts in exchange.facts())


def _do_missing(
    engine: Engine, exchange: Exchange, tasks: Iterable[Task], job: Any, make: Make
) -> None:
    done = exchange.done()
    missing = [t for t in tasks if t.name not in done]
    if len(missing) <= 1:
        for task in missing:
            make(job, task)
        return
    lists = engine.share(missing, lambda task: task.cost)

    def build(pipeline: beam.Pipeline) -> beam.PCollection[str]:
        return (
            pipeline
            | "Tasks" >> beam.Create(lists)
            | f"Do {exchange.step}" >> beam.ParDo(_DoTasks(exchange.step, job, make))
        )

    engine.run(build)
