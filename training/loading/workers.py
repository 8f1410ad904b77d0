"""Processes that read and decode batches, and hand them over through shared memory."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Any

import numpy as np

from curate.schemas.errors import CurateError
from curate.training.loading.batches import Batch
from curate.training.loading.reader import LoaderOptions, ShardReader
from curate.training.loading.shard_set import ShardSet

_ALIGNMENT = 64
ARRAYS = ("input_ids", "loss_mask", "segments", "positions", "images", "image_positions")
"""Fields of a batch that are handed over through shared memory."""


class WorkerError(CurateError):
    """A worker was killed, or ended by a fault of ours, whose trace the message holds."""


class WorkerPool:
    """Context manager: worker `w` of `n` makes the units w, w + n, w + 2n, ... after the first."""

    def __init__(
        self, shards: ShardSet, options: LoaderOptions, workers: int, prefetch: int, first: int
    ) -> None:
        # Threads of the training framework do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self._memory: dict[str, SharedMemory] = {}
        self._connections: list[Connection] = []
        self._processes = []
        for worker in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(theirs, shards, options, first + worker, workers),
                daemon=True,
                name=f"shard-loader-{worker}",
            )
            process.start()
            theirs.close()
            for _ in range(prefetch):
                ours.send(None)
            self._connections.append(ours)
            self._processes.append(process)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for memory in self._memory.values():
            memory.close()
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            # It sees the closed connection after the batch that it is at, and frees its memory.
            process.join()

    def batches(self) -> Iterator[Batch]:
        """The units in order, for ever.

        Raises:
            CurateError: a worker raised it.
            WorkerError: a worker raised something else, or was killed.
        """
        turn = 0
        while True:
            connection = self._connections[turn]
            with self._alive(turn):
                message = connection.recv()
            if isinstance(message, CurateError):
                raise message
            yield self._receive(*message)
            with suppress(BrokenPipeError, ConnectionResetError):
                # What became of a worker that is gone is told when its turn comes again.
                connection.send(message[0])
            turn = (turn + 1) % len(self._connections)

    @contextmanager
    def _alive(self, turn: int) -> Iterator[None]:
        """Listen to a worker; one that is gone is told in words."""
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._processes[turn].join(5)
            code = self._processes[turn].exitcode
            raise WorkerError(
                f"loader worker {turn} was killed (exit code {code}). Is memory short? "
                "Fewer workers or smaller micro-batches need less."
            ) from error

    def _receive(
        self, name: str, outgrown: str | None, layout: dict[str, Any], plain: dict[str, Any]
    ) -> Batch:
        if outgrown in self._memory:
            self._memory.pop(outgrown).close()
        if name not in self._memory:
            self._memory[name] = SharedMemory(name)
        memory = self._memory[name].buf
        arrays: dict[str, Any] = {
            key: np.ndarray(shape, dtype, memory, offset).copy()
            for key, (offset, shape, dtype) in layout.items()
        }
        return Batch(**arrays, **plain)


def _work(
    connection: Connection,
    shards: ShardSet,
    options: LoaderOptions,
    first: int,
    stride: int,
) -> None:
    # Ctrl-C is for the training process, which closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owned: dict[str, SharedMemory] = {}
    try:
        reader = ShardReader(shards, options)
        number = first
        while True:
            free = connection.recv()
            connection.send(_hand_over(reader.unit(number), free, owned))
            number += stride
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The training process has ended.
    except CurateError as error:  # To be raised there.
        connection.send(error)
    except Exception:
        connection.send(WorkerError(f"a loader worker failed:\n{traceback.format_exc()}"))
    finally:
        for memory in owned.values():
            memory.close()
            memory.unlink()


def _hand_over(
    batch: Batch, free: str | None, owned: dict[str, SharedMemory]
) -> tuple[str, str | None, Any, Any]:
    """Write a batch into a free piece of memory, or into a new one that is large enough."""
    layout: dict[str, tuple[int, tuple[int, ...], str]] = {}
    end = 0
    for name in ARRAYS:
        array = getattr(batch, name)
        layout[name] = (end, array.shape, array.dtype.str)
        end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    outgrown = None
    if free is not None and owned[free].size < end:
        small = owned.pop(free)
        small.close()
        small.unlink()
        free, outgrown = None, free
    if free is None:
        memory = SharedMemory(create=True, size=end * 5 // 4 + 1)
        owned[memory.name] = memory
    else:
        memory = owned[free]
    for name, (offset, shape, dtype) in layout.items():
        np.ndarray(shape, dtype, memory.buf, offset)[...] = getattr(batch, name)
    plain = {f.name: getattr(batch, f.name) for f in fields(batch) if f.name not in ARRAYS}
    return memory.name, outgrown, layout, plain
