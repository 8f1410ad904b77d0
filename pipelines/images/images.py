"""Stage `images`: resolve, decode, judge and store every distinct image once.

A part is a WebDataset tar `images/part-N.tar` of what was kept, an index of everything that was
wanted, with the reason where it was dropped, and what pictures that look the same are found by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import fsspec
import pyarrow.parquet as pq

from curate.dedup.nodes import preference
from curate.dedup.pictures import is_comparable
from curate.filters.image import blocked_phash_rule, blocked_rule, spread_rule
from curate.filters.web.consent import header_rule
from curate.filters.web.record import classify_record
from curate.media.decoder import Decoder
from curate.media.fetch_outcome import Failure, Fetched
from curate.media.store import FINGERPRINT_SCHEMA, IMAGE_INDEX_SCHEMA, SampleTarWriter
from curate.pipelines.images.fetched_images import fetch_images
from curate.pipelines.images.image_plan import ARCHIVED, INLINE
from curate.runs.buckets import bucket_name
from curate.runs.part import PartWriter
from curate.runs.plan import InputPart, RunPlan
from curate.runs.spool import Made
from curate.schemas.identity import content_key
from curate.schemas.page import Origin
from curate.schemas.settings.recipe import Recipe
from curate.schemas.verdict import Drop
from curate.sources.archives.record_reader import RecordReader
from curate.sources.img2dataset import KIND as IMPORTED
from curate.sources.input_identity import unchanged

EVERY_SOURCE = "all"
"""Images are shared by the sources: their counts stand under this name."""


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
    retryable: bool = False


Resolved = ImageBytes | Unresolved


def make_images(plan: RunPlan, part: PartWriter, bucket: int) -> None:
    """Make one part from its plan."""
    name = bucket_name(bucket)
    with part.run.open(f"references/plan/{name}.parquet") as stream:
        rows = pq.read_table(stream).to_pylist()
    index = part.rows(f"images/{name}.parquet", IMAGE_INDEX_SCHEMA)
    fingerprints = part.rows(f"fingerprints/{name}.parquet", FINGERPRINT_SCHEMA)
    with ExitStack() as stack:
        tar: SampleTarWriter | None = None
        for row, (entry, jpeg) in _make(plan, part, bucket, rows):
            part.came_in(EVERY_SOURCE, "image")
            if jpeg is None:
                outcome = Drop(entry["rule"], entry["value"], entry["limit"])
                part.drop(EVERY_SOURCE, "image", row["key"].hex(), row["url"], outcome)
            else:
                if tar is None:
                    target = part.file(f"images/{name}.tar")
                    tar = SampleTarWriter(stack.enter_context(target.open("wb")))
                    stack.callback(tar.close)
                part.went_out(EVERY_SOURCE, "image")
                meta = {"key": row["key"].hex(), "url": row["url"], "consent": entry["consent"]}
                members = {"jpg": jpeg, "json": json.dumps(meta, sort_keys=True).encode()}
                offset = tar.add(row["key"].hex(), members)
                fingerprints.write(fingerprint_row(entry, entry.pop("thumbnail"), plan.recipe.seed))
                entry.update(tar=bucket, offset=offset, size=len(jpeg))
            index.write({name: entry.get(name) for name in IMAGE_INDEX_SCHEMA.names})


def fingerprint_row(entry: dict[str, Any], thumbnail: bytes, seed: int) -> dict[str, Any]:
    """A row of `FINGERPRINT_SCHEMA` for an entry of the image index."""
    image_id = entry["key"].hex()
    keyed = int.from_bytes(content_key(str(seed), "picture", image_id)[:8], "little")
    high, low = preference(0.0, entry["original_width"] * entry["original_height"], keyed)
    content = content_key("image", entry["sha256"])
    return {
        "id": image_id,
        "url": entry["url"],
        "high": high,
        "low": low,
        "content_key": int.from_bytes(content[:8], "little"),
        "content_key_2": int.from_bytes(content[8:], "little"),
        "comparable": is_comparable(thumbnail),
        "signature": thumbnail,
    }


def _make(
    plan: RunPlan, part: PartWriter, bucket: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Made]]:
    recipe = plan.recipe
    decoder = _decoder(recipe)
    if bucket < len(plan.parts):
        for row, resolved in _read(plan, part, bucket, rows):
            yield row, _judge(recipe, decoder, row, resolved)
    elif recipe.images.fetch.enabled:
        yield from fetch_images(
            part.run,
            bucket_name(bucket),
            rows,
            recipe.images.fetch,
            lambda row, outcome: _judge(recipe, decoder, row, _from_http(outcome)),
        )
    else:
        off = Unresolved(drop=Drop("fetch.disabled", "http"), origin="http", consent={})
        yield from ((row, _judge(recipe, decoder, row, off)) for row in rows)


def _judge(recipe: Recipe, decoder: Decoder, row: dict[str, Any], resolved: Resolved) -> Made:
    """The row of the image index, and the JPEG to store if the image is kept."""
    entry = _index_row(row, resolved)
    if isinstance(resolved, Unresolved):
        outcome: bytes | Drop = resolved.drop
    else:
        outcome = _decode(recipe, decoder, row, resolved, entry)
    if isinstance(outcome, Drop):
        entry.update(rule=outcome.rule, value=outcome.value_text, limit=outcome.limit_text)
        return entry, None
    return entry, outcome


def _decode(
    recipe: Recipe,
    decoder: Decoder,
    row: dict[str, Any],
    image: ImageBytes,
    entry: dict[str, Any],
) -> bytes | Drop:
    """The JPEG to store, or why not; what was measured goes into the index entry."""
    entry["sha256"] = hashlib.sha256(image.data).hexdigest()
    rules = recipe.filters.image
    for verdict in (
        blocked_rule(rules, image.data, entry["sha256"]),
        spread_rule(row["documents"], rules),
    ):
        if isinstance(verdict, Drop):
            return verdict
    decoded = decoder.decode(image.data)
    if isinstance(decoded, Drop):
        return decoded
    entry.update(
        width=decoded.width,
        height=decoded.height,
        original_format=decoded.facts.format,
        original_width=decoded.facts.width,
        original_height=decoded.facts.height,
        original_bytes=decoded.facts.encoded_bytes,
        frames=decoded.facts.frames,
        channel_spread=decoded.facts.channel_spread,
        blank_share=decoded.facts.blank_share,
        sharpness=decoded.facts.sharpness,
        **asdict(decoded.fingerprint),
    )
    listed = blocked_phash_rule(rules, decoded.fingerprint.phash)
    return listed if isinstance(listed, Drop) else decoded.jpeg


_decoders: dict[str, Decoder] = {}
"""The decoder of this process, by its settings."""


def _decoder(recipe: Recipe) -> Decoder:
    settings = recipe.filters.image.model_dump_json() + recipe.images.model_dump_json()
    if settings not in _decoders:
        while _decoders:
            _decoders.popitem()[1].close()
        _decoders[settings] = Decoder(recipe.filters.image, recipe.images)
    return _decoders[settings]


def _index_row(row: dict[str, Any], resolved: Resolved) -> dict[str, Any]:
    return {
        "key": row["key"],
        "url": row["url"],
        "documents": row["documents"],
        "origin": resolved.origin,
        "time": resolved.time if isinstance(resolved, ImageBytes) else "",
        "consent": json.dumps(resolved.consent, sort_keys=True),
        "retryable": isinstance(resolved, Unresolved) and resolved.retryable,
    }


def _read(
    plan: RunPlan, part: PartWriter, bucket: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
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
    with unchanged(source.path, source.size, source.stamp):
        yield from _read_unchanged(plan, source, rows)


def _read_unchanged(
    plan: RunPlan, source: InputPart, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
    if plan.recipe.sources[source.source].kind == IMPORTED:
        yield from _read_imported(source, rows)
        return
    with fsspec.open(source.path, "rb") as stream:
        records = RecordReader(stream, plan.recipe.extraction.max_record_bytes)
        for row in rows:
            place = {name: row[name] for name in ("offset", "length", "inside")}
            where = Origin(warc_file=source.file_name, **place)
            label = f"warc:{where.label}"
            record = records.read(where)
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


def _read_imported(
    source: InputPart, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
    """Images that img2dataset stored in a tar; it tells of no consent."""
    with fsspec.open(source.path, "rb") as stream:
        for row in rows:
            stream.seek(row["offset"])
            origin = f"tar:{source.file_name}@{row['offset']}"
            data = stream.read(row["length"])
            yield row, ImageBytes(data=data, origin=origin, time="", consent={})


def _read_inline(
    plan: RunPlan, part: PartWriter, bucket: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Resolved]]:
    """Images that were put beside the bucket's documents part."""
    wanted = {row["key"]: row for row in rows}
    with part.run.open(f"references/inline/{plan.parts[bucket].name}.parquet") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
            for held in batch.to_pylist():
                if row := wanted.get(held["key"]):
                    data = ImageBytes(data=held["bytes"], origin="inline", time="", consent={})
                    yield row, data


def _from_http(outcome: Fetched | Failure) -> Resolved:
    if isinstance(outcome, Failure):
        return Unresolved(
            drop=outcome.drop,
            origin="http",
            consent=outcome.consent,
            retryable=outcome.retryable,
        )
    return ImageBytes(data=outcome.body, origin="http", time=outcome.time, consent=outcome.consent)
