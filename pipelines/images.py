"""Stage `images`: resolve, decode, judge and store every distinct image once.

A part is a WebDataset tar `images/part-N.tar` of what was kept, and an index of everything that was
wanted, with the reason where it was dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow.parquet as pq

from filters.consent import header_rule
from filters.image import spread_rule
from filters.record import classify_record
from media.decode import decode_image
from media.fetch import Failure, Fetched, SafeFetcher
from media.store import IMAGE_INDEX_SCHEMA, ImageTarWriter
from pipelines.image_plan import ARCHIVED, INLINE, bucket_name
from pipelines.part import PartWriter
from pipelines.plan import RunPlan
from schemas.page import Origin
from schemas.verdict import Drop
from sources.archive import read_record_at

STAGE = "images"
EVERY_SOURCE = "all"
"""Images are shared by the sources: their counts stand under this name."""

_LOOKUP_THREADS = 64
_FETCH_WINDOW = 256
"""Responses held in memory at once by one worker, before they are decoded and written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBytes:
    """An image as it came, with the evidence that goes into the index."""

    data: bytes
    origin: str
    time: str
    consent: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """Why an image could not be had, with the evidence, if any, of a refusal."""

    drop: Drop
    origin: str
    consent: dict[str, str]


Resolved = ImageBytes | Unresolved


def make_images(plan: RunPlan, part: PartWriter, bucket: int) -> None:
    """Make one part from its plan."""
    with part.run.open(f"references/plan/{bucket_name(bucket)}.parquet") as stream:
        rows = pq.read_table(stream).to_pylist()
    index = part.rows(f"images/{bucket_name(bucket)}.parquet", IMAGE_INDEX_SCHEMA)
    with ExitStack() as stack:
        tar: ImageTarWriter | None = None
        for row, resolved in _resolve(plan, part, bucket, rows):
            part.came_in(EVERY_SOURCE, "image")
            entry = _index_row(row, resolved)
            outcome = _judge(plan, row, resolved, entry)
            if isinstance(outcome, Drop):
                part.drop(EVERY_SOURCE, "image", row["key"].hex(), row["url"], outcome)
                entry.update(rule=outcome.rule, value=outcome.value_text, limit=outcome.limit_text)
            else:
                if tar is None:
                    target = part.file(f"images/{bucket_name(bucket)}.tar")
                    tar = ImageTarWriter(stack.enter_context(target.open("wb")))
                    stack.callback(tar.close)
                part.went_out(EVERY_SOURCE, "image")
                meta = {"key": row["key"].hex(), "url": row["url"], "consent": entry["consent"]}
                offset = tar.add(row["key"], outcome, meta)
                entry.update(tar=bucket, offset=offset, size=len(outcome))
            index.write(entry)


def _judge(
    plan: RunPlan, row: dict[str, Any], resolved: Resolved, entry: dict[str, Any]
) -> bytes | Drop:
    """The JPEG to store, or why not; what was measured goes into the index entry."""
    if isinstance(resolved, Unresolved):
        return resolved.drop
    entry["sha256"] = hashlib.sha256(resolved.data).hexdigest()
    rules = plan.recipe.filters.image
    spread = spread_rule(row["documents"], rules)
    if isinstance(spread, Drop):
        return spread
    image = decode_image(resolved.data, rules, plan.recipe.images)
    if isinstance(image, Drop):
        return image
    entry.update(
        width=image.width,
        height=image.height,
        original_format=image.facts.format,
        original_width=image.facts.width,
        original_height=image.facts.height,
        original_bytes=image.facts.encoded_bytes,
        channel_spread=image.facts.channel_spread,
    )
    return image.jpeg


def _index_row(row: dict[str, Any], resolved: Resolved) -> dict[str, Any]:
    return {
        "key": row["key"],
        "url": row["url"],
        "documents": row["documents"],
        "origin": resolved.origin,
        "time": resolved.time if isinstance(resolved, ImageBytes) else "",
        "consent": json.dumps(resolved.consent, sort_keys=True),
    }


def _resolve(
    plan: RunPlan, part: PartWriter, bucket: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
    if bucket >= len(plan.parts):
        if plan.recipe.images.fetch.enabled:
            yield from _fetch(plan, rows)
        else:
            off = Unresolved(drop=Drop("fetch.disabled", "http"), origin="http", consent={})
            yield from ((row, off) for row in rows)
        return
    archived = [r for r in rows if r["origin"] == ARCHIVED]
    inline = [r for r in rows if r["origin"] == INLINE]
    if archived:
        yield from _read_archived(plan, bucket, archived)
    if inline:
        yield from _read_inline(plan, part, bucket, inline)


def _read_archived(
    plan: RunPlan, bucket: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
    """Images whose records lie in the bucket's input archive, in file order."""
    source = plan.parts[bucket]
    with fsspec.open(source.path, "rb") as stream:
        for row in rows:
            where = Origin(warc_file=source.file_name, offset=row["offset"], length=row["length"])
            label = f"warc:{where.warc_file}@{where.offset}"
            record = read_record_at(stream, where, plan.recipe.extraction.max_record_bytes)
            if record is None or classify_record(record) != "image":
                lost = Drop("image.record_unreadable", label)
                yield row, Unresolved(drop=lost, origin=label, consent={})
                continue
            consent = {
                "x_robots_tag": record.headers.get("x-robots-tag", ""),
                "tdm_reservation": record.headers.get("tdm-reservation", ""),
            }
            refusal = header_rule(record.headers, plan.recipe.images.fetch)
            if isinstance(refusal, Drop):
                yield row, Unresolved(drop=refusal, origin=label, consent=consent)
                continue
            yield (
                row,
                ImageBytes(data=record.payload, origin=label, time=record.date, consent=consent),
            )


def _read_inline(
    plan: RunPlan, part: PartWriter, bucket: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
    """`data:` images of the bucket's documents part."""
    wanted = {row["key"]: row for row in rows}
    with part.run.open(f"references/inline/{plan.parts[bucket].name}.parquet") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
            for held in batch.to_pylist():
                if row := wanted.get(held["key"]):
                    data = ImageBytes(data=held["bytes"], origin="inline", time="", consent={})
                    yield row, data


def _fetch(plan: RunPlan, rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Resolved]]:
    """Images by HTTP, a window at a time, in the order of the plan."""
    with asyncio.Runner() as loop:
        # Name look-ups block a thread each; the default of cores + 4 would be the bottleneck.
        loop.get_loop().set_default_executor(ThreadPoolExecutor(_LOOKUP_THREADS))
        fetcher = SafeFetcher(plan.recipe.images.fetch)
        loop.run(fetcher.__aenter__())
        try:
            for start in range(0, len(rows), _FETCH_WINDOW):
                window = rows[start : start + _FETCH_WINDOW]
                outcomes = loop.run(_fetch_window(fetcher, window))
                yield from zip(window, map(_from_http, outcomes), strict=True)
        finally:
            loop.run(fetcher.__aexit__(None, None, None))


async def _fetch_window(
    fetcher: SafeFetcher, rows: list[dict[str, Any]]
) -> list[Fetched | Failure]:
    return await asyncio.gather(*(fetcher.fetch(row["url"]) for row in rows))


def _from_http(outcome: Fetched | Failure) -> Resolved:
    if isinstance(outcome, Failure):
        return Unresolved(drop=outcome.drop, origin="http", consent=outcome.consent)
    return ImageBytes(data=outcome.body, origin="http", time=outcome.time, consent=outcome.consent)
