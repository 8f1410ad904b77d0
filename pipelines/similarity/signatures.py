"""Stage `signatures`: what duplicates are found by, a row per document, without its text.

Of pairs only the same image with the same caption is a duplicate (LAION).

documents/SOURCE/part-N.parquet ──▶ signatures/SOURCE/part-N.parquet

The files are also what a later run is given as `dedup.against`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.dedup.minhash import MinHasher
from curate.dedup.nodes import capture_number, preference
from curate.runs.part import PartWriter
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.schemas.address import wire_address
from curate.schemas.identity import content_key
from curate.schemas.settings.purging import Dedup
from curate.schemas.settings.source import Source

BATCH_DOCUMENTS = 512
_WEB_ADDRESS = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_PARAMETERS = ("bands", "rows", "shingle_words", "normalization")


def hasher_of(dedup: Dedup) -> MinHasher:
    return MinHasher(dedup.bands, dedup.rows, dedup.shingle_words)


def signature_schema(dedup: Dedup, row_format: str) -> pa.Schema:
    """Columns of a signatures file; its metadata tells the parameters.

    `high` and `low` are `dedup.nodes.preference`; `url_key` and `content_key` are 0 where the
    document is no page or has no text; `captured` is the date as a number (20240131235959) or 0;
    `signature` holds 32-bit numbers in little-endian order, nothing but zeros where `comparable` is
    false.
    """
    return pa.schema(
        [
            ("id", pa.string()),
            ("url", pa.string()),
            ("high", pa.uint64()),
            ("low", pa.uint64()),
            ("url_key", pa.uint64()),
            ("captured", pa.uint64()),
            ("content_key", pa.uint64()),
            ("content_key_2", pa.uint64()),
            ("comparable", pa.bool_()),
            ("signature", pa.binary(4 * dedup.bands * dedup.rows)),
        ],
        metadata={**signature_parameters(dedup), "format": row_format},
    )


def signature_parameters(dedup: Dedup) -> dict[str, str]:
    return {name: str(getattr(dedup, name)) for name in _PARAMETERS}


def make_signatures(plan: RunPlan, part: PartWriter, task: InputPart) -> None:
    """Read the texts of one documents part and write their signatures."""
    dedup = plan.recipe.dedup
    assert dedup is not None
    source = plan.recipe.sources[task.source]
    row_format = source.format
    schema = signature_schema(dedup, row_format)
    hasher = hasher_of(dedup)
    columns = ["id", "url", "date", "segments.list.element.text", "segments.list.element.url"]
    if dedup.quality_score is not None:
        columns.append("scores")
    compression = {n: "none" if n == "signature" else "zstd" for n in schema.names}
    path = part.file(f"signatures/{task.name}.parquet")
    with (
        pq.ParquetWriter(path, schema, compression=compression, use_dictionary=False) as writer,
        part.run.open(f"documents/{task.name}.parquet") as stream,
    ):
        for batch in pq.ParquetFile(stream).iter_batches(BATCH_DOCUMENTS, columns=columns):
            rows = [
                _signature_row(row, dedup, hasher, source, plan.recipe.seed)
                for row in _text_rows(batch)
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema))


@dataclass(frozen=True, slots=True, kw_only=True)
class _TextRow:
    id: str
    url: str
    date: str
    text: str
    scores: dict[str, float]
    images: tuple[str, ...]


def _text_rows(batch: pa.RecordBatch) -> Iterator[_TextRow]:
    segments = batch["segments"]
    texts = segments.flatten().field("text").to_pylist()
    images = segments.flatten().field("url").to_pylist()
    bounds = (segments.offsets.to_numpy() - segments.offsets[0].as_py()).tolist()
    scores = batch["scores"].to_pylist() if "scores" in batch.schema.names else None
    identity = zip(*(batch[n].to_pylist() for n in ("id", "url", "date")), strict=True)
    for index, (document_id, url, date) in enumerate(identity):
        own = slice(bounds[index], bounds[index + 1])
        yield _TextRow(
            id=document_id,
            url=url,
            date=date,
            text="\n".join(t for t in texts[own] if t is not None),
            images=tuple(u for u in images[own] if u is not None),
            scores={} if scores is None else dict(scores[index]),
        )


def _signature_row(
    row: _TextRow, dedup: Dedup, hasher: MinHasher, source: Source, seed: int
) -> dict[str, Any]:
    row_format = source.format
    quality = row.scores.get(dedup.quality_score or "", 0.0)
    keyed = int.from_bytes(content_key(str(seed), "dedup", row.id)[:8], "little")
    high, low = preference(quality, len(row.text), keyed)
    is_pair = row_format == "pairs"
    # Instructions of one task share a template: what is new in one is a small part of its words.
    near = dedup.near and row_format in ("text", "interleaved")
    shingles = hasher.shingles(row.text) if near else np.empty(0, np.uint32)
    signature = hasher.signature(shingles) if shingles.size else np.zeros(hasher.size, "<u4")
    shown = (wire_address(url) for url in row.images) if is_pair else ()
    content = content_key("text", row_format, row.text, *shown) if row.text else bytes(16)
    is_page = source.has_pages and not is_pair and _WEB_ADDRESS.match(row.url) is not None
    address = wire_address(row.url) if is_page else ""
    url_key = content_key("url", row_format, address) if address else bytes(8)
    return {
        "id": row.id,
        "url": row.url,
        "high": high,
        "low": low,
        "url_key": int.from_bytes(url_key[:8], "little"),
        "captured": capture_number(row.date),
        "content_key": int.from_bytes(content[:8], "little"),
        "content_key_2": int.from_bytes(content[8:], "little"),
        "comparable": bool(shingles.size),
        "signature": signature.tobytes(),
    }


def check_parameters(run: RunDirectory, path: str, dedup: Dedup) -> str | None:
    """A sentence on how an earlier run's signatures differ from what `dedup` asks for, or None."""
    with run.open(path) as stream:
        found = pq.read_schema(stream).metadata or {}
    for name, wanted in signature_parameters(dedup).items():
        got = found.get(name.encode(), b"").decode()
        if got != wanted:
            return f"dedup.{name} is {wanted} here and {got or 'unknown'} there"
    return None
