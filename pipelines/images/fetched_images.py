"""Images by HTTP: fetched in any order, decoded as they come, kept at once, given in order.

    fetcher (asyncio) ──bodies──▶ decoder process ──▶ spool/images/part-N/*.arrow ──▶ the part

What has come is written to a spool every few hundred images, so that a run that is killed fetches
nothing again that it had stored; the part is made of the spool when nothing is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import pyarrow as pa

from curate.media.fetch import SafeFetcher
from curate.media.fetch_outcome import Failure, Fetched
from curate.media.store import IMAGE_INDEX_SCHEMA, PLACE
from curate.runs.run_directory import RunDirectory
from curate.schemas.settings.image_settings import Fetch

SPOOL = "spool/images"
_SPOOL_SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("jpeg", pa.large_binary()),
        ("thumbnail", pa.binary()),
        *(column for column in IMAGE_INDEX_SCHEMA if column.name not in PLACE),
    ]
)
_SPOOLED_IMAGES = 256
_SPOOLED_SECONDS = 10.0
_LOOKUP_THREADS = 64
_TASKS = 4_096
"""URLs that are looked at together."""
_WAITING_BYTES = 256 << 20
"""Bodies that wait for the decoder before no further request is begun."""

Made = tuple[dict[str, Any], bytes | None]
"""A row of the image index without its place and with its thumbnail, and the JPEG of an image that
is kept."""
Judge = Callable[[dict[str, Any], Fetched | Failure], Made]


@dataclass(slots=True)
class _Spool:
    """Images of one part that came already, in files of some hundred."""

    run: RunDirectory
    folder: str
    _waiting: list[dict[str, Any]] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)
    _files: int = 0

    def __post_init__(self) -> None:
        self._files = len(self.run.list(self.folder, suffix=".arrow"))

    def indexes(self) -> set[int]:
        found: set[int] = set()
        for path in self.run.list(self.folder, suffix=".arrow"):
            with self.run.open(path) as stream:
                found.update(pa.ipc.open_file(stream).read_all()["index"].to_pylist())
        return found

    def add(self, index: int, made: Made) -> None:
        entry, jpeg = made
        self._waiting.append({"index": index, "jpeg": jpeg, **entry})
        is_late = time.monotonic() - self._written > _SPOOLED_SECONDS
        if len(self._waiting) >= _SPOOLED_IMAGES or is_late:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            with self.run.publish(f"{self.folder}/{self._files:06d}.arrow") as path:
                table = pa.Table.from_pylist(self._waiting, _SPOOL_SCHEMA)
                with pa.ipc.new_file(str(path), _SPOOL_SCHEMA) as writer:
                    writer.write_table(table)
            self._files += 1
            self._waiting.clear()
        self._written = time.monotonic()

    def in_order(self) -> Iterator[tuple[int, Made]]:
        with ExitStack() as stack:
            jpegs, places = [], []
            for path in self.run.list(self.folder, suffix=".arrow"):
                if self.run.is_local:
                    source = stack.enter_context(pa.memory_map(self.run.path(path)))
                else:
                    source = stack.enter_context(self.run.open(path))
                table = pa.ipc.open_file(source).read_all()
                for row, entry in enumerate(table.drop_columns("jpeg").to_pylist()):
                    places.append((entry.pop("index"), len(jpegs), row, entry))
                jpegs.append(table["jpeg"])
            for index, number, row, entry in sorted(places, key=itemgetter(0)):
                yield index, (entry, jpegs[number][row].as_py())


def fetch_images(
    run: RunDirectory, part: str, rows: list[dict[str, Any]], rules: Fetch, judge: Judge
) -> Iterator[tuple[dict[str, Any], Made]]:
    """Every row of a plan with what became of its image, in the order of the plan.

    Args:
        run: where the spool lies.
        part: name of the part.
        rows: with the `url` of each.
        rules: of the fetcher.
        judge: decodes a response; called in a thread, for one image at a time.
    """
    spool = _Spool(run, f"{SPOOL}/{part}")
    done = spool.indexes()
    missing = [index for index in range(len(rows)) if index not in done]
    with asyncio.Runner() as loop, ThreadPoolExecutor(1) as decoding:
        # Name look-ups block a thread each; the default of cores + 4 would be the bottleneck.
        loop.get_loop().set_default_executor(ThreadPoolExecutor(_LOOKUP_THREADS))
        loop.run(_fetch_all(spool, rows, missing, rules, judge, decoding))
    spool.flush()
    for index, made in spool.in_order():
        yield rows[index], made


def spool_images(run: RunDirectory, part: str, images: Iterable[tuple[int, Made]]) -> None:
    """Put images that were made before where `fetch_images` finds them; what lay there goes."""
    run.remove(f"{SPOOL}/{part}")
    spool = _Spool(run, f"{SPOOL}/{part}")
    for index, made in images:
        spool.add(index, made)
    spool.flush()


async def _fetch_all(
    spool: _Spool,
    rows: list[dict[str, Any]],
    missing: list[int],
    rules: Fetch,
    judge: Judge,
    decoding: ThreadPoolExecutor,
) -> None:
    backlog = _Backlog()
    loop = asyncio.get_running_loop()

    async def make(index: int) -> None:
        outcome = await fetcher.fetch(rows[index]["url"])
        size = len(outcome.body) if isinstance(outcome, Fetched) else 0
        backlog.grow(size)
        made = await loop.run_in_executor(decoding, judge, rows[index], outcome)
        backlog.shrink(size)
        spool.add(index, made)

    async with SafeFetcher(rules, backlog.wait) as fetcher:
        for start in range(0, len(missing), _TASKS):
            async with asyncio.TaskGroup() as group:
                for index in missing[start : start + _TASKS]:
                    group.create_task(make(index))


class _Backlog:
    """Holds new requests back while too many bodies wait for the decoder."""

    def __init__(self) -> None:
        self._bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def wait(self) -> None:
        await self._has_room.wait()

    def grow(self, size: int) -> None:
        self._bytes += size
        if self._bytes > _WAITING_BYTES:
            self._has_room.clear()

    def shrink(self, size: int) -> None:
        self._bytes -= size
        if self._bytes <= _WAITING_BYTES:
            self._has_room.set()
