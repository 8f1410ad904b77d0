"""Images by HTTP: fetched in any order, decoded as they come, kept at once, given in order.

    fetcher (asyncio) ──bodies──▶ decoder process ──▶ spool/images/part-N/*.arrow ──▶ the part

What has come is written to a spool every few hundred images, so that a run that is killed fetches
nothing again that it had stored; the part is made of the spool when nothing is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from curate.media.fetch import SafeFetcher
from curate.media.fetch_outcome import Failure, Fetched
from curate.runs.run_directory import RunDirectory
from curate.runs.spool import SPOOL, Made, Spool
from curate.schemas.settings.image_settings import Fetch

_LOOKUP_THREADS = 64
_TASKS = 4_096
"""URLs that are looked at together."""
_WAITING_BYTES = 256 << 20
"""Bodies that wait for the decoder before no further request is begun."""

Judge = Callable[[dict[str, Any], Fetched | Failure], Made]


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
    spool = Spool(run, f"{SPOOL}/{part}")
    done = spool.indexes()
    missing = [index for index in range(len(rows)) if index not in done]
    with asyncio.Runner() as loop, ThreadPoolExecutor(1) as decoding:
        # Name look-ups block a thread each; the default of cores + 4 would be the bottleneck.
        loop.get_loop().set_default_executor(ThreadPoolExecutor(_LOOKUP_THREADS))
        loop.run(_fetch_all(spool, rows, missing, rules, judge, decoding))
    spool.flush()
    for index, made in spool.in_order():
        yield rows[index], made


async def _fetch_all(
    spool: Spool,
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
