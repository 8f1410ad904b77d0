"""Rows that go from every task of one step to every task of the next, through files.

    task ──▶ TASK.arrow, a record batch per receiver that has rows
             TASK.json, what the task noted: the task is done      ┐
             ...                                                   ├─▶ index.arrow, where the
                                                                   ┘   rows of each receiver lie
    receiver ──▶ its batch of the index, then its bytes of the files that hold some for it

A step's task writes one file; when all are done the step is sealed: one index tells each receiver
which files to open. That is a shuffle whose memory is a chunk and not the corpus, on every engine:
Beam's local runner holds what it groups in memory. Nothing is written or opened for a receiver that
gets nothing, so cost follows the rows. Only numbers, keys and addresses go through it, never text.
The files are removed with the stage.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise
from types import TracebackType
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.metrics import Metrics

from curate.pipelines.engine.engine import Engine, WorkList
from curate.pipelines.engine.tasks import working_on
from curate.runs.run_directory import RunDirectory

CHUNK_ROWS = 1 << 16
"""Rows that are read, and mostly worked on, at a time."""

_SENT = np.dtype([("receiver", "<i8"), ("offset", "<i8"), ("size", "<i8")])
"""A batch in a task's file: for whom, and where it lies."""
_INDEX_SCHEMA = pa.schema([("task", pa.string()), ("offset", pa.int64()), ("size", pa.int64())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a step: it writes the files of its name."""

    name: str
    cost: float
    payload: Any


class Sent(NamedTuple):
    """What a step has sent, all its tasks together."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """The files of one step, below `exchange/STEP/`."""

    run: RunDirectory
    step: str
    receivers: int

    def path(self, task: str, suffix: str) -> str:
        return f"exchange/{self.step}/{task}.{suffix}"

    @property
    def _index_path(self) -> str:
        return f"exchange/{self.step}/index.arrow"

    def outbox(self, task: str) -> Outbox:
        return Outbox(self, task)

    def done(self) -> set[str]:
        """Names of the tasks that are done."""
        folder = f"exchange/{self.step}/"
        paths = self.run.files(f"exchange/{self.step}", suffix=".json")
        return {path[len(folder) : -len(".json")] for path in paths}

    def facts(self) -> list[dict[str, Any]]:
        """What the step's tasks noted, in the order of their names."""
        found = self.run.read_many(self.path(name, "json") for name in sorted(self.done()))
        return [json.loads(data) for data in found]

    def seal(self) -> Sent:
        """Index what the tasks have sent: when all of them are done, for it is received only then.

        A step that is sealed stays as it is.
        """
        if not self.run.exists(self._index_path):
            self._write_index(sorted(self.done()), self.facts())
        with self._open(self._index_path) as source, pa.ipc.open_file(source) as index:
            told = index.schema.metadata
            return Sent(int(told[b"rows"]), int(told[b"bytes"]))

    def _write_index(self, names: list[str], facts: list[dict[str, Any]]) -> None:
        sent = [_batches_of(f) for f in facts]
        batches = np.concatenate([np.empty(0, _SENT), *sent])
        tasks = np.repeat(np.arange(len(names)), [len(s) for s in sent])
        order = np.argsort(batches["receiver"], kind="stable")
        bounds = np.searchsorted(batches["receiver"][order], np.arange(self.receivers + 1))
        rows = pa.record_batch(
            [
                pa.array(names, pa.string()).take(pa.array(tasks[order])),
                pa.array(batches["offset"][order]),
                pa.array(batches["size"][order]),
            ],
            schema=_INDEX_SCHEMA,
        )
        schema = next((f["schema"] for f in facts if "schema" in f), "")
        totals = {name: str(sum(f[name] for f in facts)) for name in Sent._fields}
        told = rows.schema.with_metadata({**totals, "schema": schema})
        with (
            self.run.publish(self._index_path) as path,
            pa.ipc.new_file(str(path), told) as index,
        ):
            for start, end in pairwise(bounds.tolist()):
                index.write_batch(rows.slice(start, end - start))

    def receive(self, receiver: int) -> Iterator[pa.RecordBatch]:
        """The rows sent to a receiver, some at a time, by sending task, in the order sent.

        Raises:
            FileNotFoundError: the step was not sealed.
        """
        with self._open(self._index_path) as source, pa.ipc.open_file(source) as index:
            schema = index.schema.metadata[b"schema"]
            places = index.get_batch(receiver).to_pylist()
        for task, held in groupby(places, key=lambda place: place["task"]):
            spans = [(place["offset"], place["size"]) for place in held]
            yield from self._read(task, schema, spans)

    def receive_from(self, task: str, receiver: int) -> Iterator[pa.RecordBatch]:
        """As `receive`, what one task alone has sent: nothing else is read for it."""
        facts = self.run.read_json(self.path(task, "json"))
        sent = _batches_of(facts)
        spans = sent[sent["receiver"] == receiver][["offset", "size"]].tolist()
        if spans:
            yield from self._read(task, facts["schema"].encode(), spans)

    def _read(
        self, task: str, schema: bytes, spans: list[tuple[int, int]]
    ) -> Iterator[pa.RecordBatch]:
        columns = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema)))
        with self._open(self.path(task, "arrow")) as source:
            for offset, size in spans:
                source.seek(offset)
                data = source.read_buffer(size) if self.run.is_local else source.read(size)
                batch = pa.ipc.read_record_batch(pa.ipc.read_message(data), columns)
                for start in range(0, batch.num_rows, CHUNK_ROWS):
                    yield batch.slice(start, CHUNK_ROWS)

    def _open(self, path: str) -> Any:
        return pa.memory_map(self.run.path(path)) if self.run.is_local else self.run.open(path)

    def receive_rows(self, receiver: int) -> Iterator[tuple[Any, ...]]:
        """As `receive`, a tuple of Python values a row."""
        for batch in self.receive(receiver):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def receive_numbers(self, receiver: int) -> Iterator[dict[str, Any]]:
        """As `receive`, with each column as a NumPy array."""
        return map(numbers_of, _joined(self.receive(receiver)))

    def receive_all(self, receiver: int) -> dict[str, Any] | None:
        """All numbers for a receiver, or None: for what is known to be small."""
        return all_numbers(self.receive(receiver))


def numbers_of(batch: pa.RecordBatch) -> dict[str, Any]:
    """Each column of a batch as a NumPy array."""
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return {name: _to_numpy(column) for name, column in columns}


def all_numbers(batches: Iterable[pa.RecordBatch]) -> dict[str, Any] | None:
    """All rows of some batches as NumPy arrays, or None where there is none."""
    held = list(batches)
    return numbers_of(pa.concat_batches(held)) if held else None


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in chunks: what many tasks sent a few rows of is worked on together."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if held and rows + batch.num_rows > CHUNK_ROWS:
            yield pa.concat_batches(held)
            held, rows = [], 0
        held.append(batch)
        rows += batch.num_rows
    if held:
        yield pa.concat_batches(held)


def _batches_of(facts: dict[str, Any]) -> npt.NDArray[Any]:
    """What a task sent, as it noted it."""
    if not facts["rows"]:
        return np.empty(0, _SENT)
    sent: npt.NDArray[Any] = np.frombuffer(base64.b64decode(facts["batches"]), _SENT)
    return sent


def _to_numpy(column: pa.Array) -> npt.NDArray[Any]:
    numbers: npt.NDArray[Any]
    if pa.types.is_fixed_size_list(column.type):
        numbers = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    else:
        numbers = column.to_numpy(zero_copy_only=False)
    return numbers


@dataclass(slots=True)
class Outbox:
    """Context manager: what one task sends; it appears whole when the block ends well."""

    exchange: Exchange
    task: str
    facts: dict[str, Any] = field(default_factory=lambda: {"rows": 0, "bytes": 0})
    """Small facts for whoever drives the steps."""
    _waiting: list[tuple[pa.RecordBatch, npt.NDArray[np.integer[Any]]]] = field(
        default_factory=list
    )
    _waiting_rows: int = 0
    _batches: list[tuple[int, int, int]] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _sink: Any = None
    _end: int = 0
    """Of what is written."""
    _writer: Any = None

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._write_waiting()
            if self._writer is not None:
                self.facts["bytes"] = self._sink.tell()
                self.facts["batches"] = base64.b64encode(
                    np.array(self._batches, _SENT).tobytes()
                ).decode()
                Metrics.counter("exchange", "bytes").inc(self.facts["bytes"])
        self.exchange.run.write_json(self.facts, self.exchange.path(self.task, "json"))

    def send(self, columns: Mapping[str, Any], to: npt.NDArray[np.integer[Any]]) -> None:
        """Send rows; `to` names the receiver of each. Rows of a receiver keep their order."""
        if not len(to):
            return
        batch = pa.record_batch({name: _to_arrow(column) for name, column in columns.items()})
        self._waiting.append((batch, to))
        self._waiting_rows += len(to)
        if self._waiting_rows >= CHUNK_ROWS:
            self._write_waiting()

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

    def _write_waiting(self) -> None:
        """A batch for each receiver that has rows."""
        if not self._waiting:
            return
        batches, receivers = zip(*self._waiting, strict=True)
        to = np.concatenate(receivers)
        order = np.argsort(to, kind="stable")
        batch = pa.concat_batches(batches).take(pa.array(order))
        firsts = np.flatnonzero(np.diff(to[order], prepend=-1))
        if self._writer is None:
            self._open(batch.schema)
        for start, end in pairwise([*firsts.tolist(), len(to)]):
            self._writer.write_batch(batch.slice(start, end - start))
            written, self._end = self._end, self._sink.tell()
            self._batches.append((int(to[order[start]]), written, self._end - written))
        self.facts["rows"] += len(to)
        self._waiting.clear()
        self._waiting_rows = 0

    def _open(self, schema: pa.Schema) -> None:
        target = self.exchange.path(self.task, "arrow")
        path = self._stack.enter_context(self.exchange.run.publish(target))
        self._sink = self._stack.enter_context(pa.OSFile(str(path), "wb"))
        options = pa.ipc.IpcWriteOptions(compression=_compression(schema))
        self._writer = pa.ipc.new_stream(self._sink, schema, options=options)
        message = schema.serialize()
        self._end = message.size  # it is written with the first batch
        self.facts["schema"] = base64.b64encode(message).decode()


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
) -> Sent:
    """Do those tasks of a step that are not done yet, and seal it; what was sent.

    `make(job, task)` must fill `exchange.outbox(task.name)`, which tells that the task is done: of
    several it is the outermost, for it must end last.
    """
    do_tasks(engine, exchange, tasks, job, make)
    sent = exchange.seal()
    engine.exchanged_bytes += sent.bytes
    return sent


def do_tasks(
    engine: Engine, exchange: Exchange, tasks: Iterable[Task], job: Any, make: Make
) -> None:
    """As `run_step`, without an index: for a step whose files are read by their tasks' names.

    A single task is small by the way tasks are cut, and is done here, without a pipeline.
    """
    done = exchange.done()
    missing = [t for t in tasks if t.name not in done]
    if len(missing) <= 1:
        for task in missing:
            make(job, task)
        return
    lists = engine.share(missing, lambda task: task.cost)

    def build(pipeline: beam.Pipeline) -> beam.PCollection[str]:
        done: beam.PCollection[str] = (
            pipeline
            | "Tasks" >> beam.Create(lists)
            | f"Do {exchange.step}" >> beam.ParDo(_DoTasks(exchange.step, job, make))
        )
        return done

    engine.run(build)
