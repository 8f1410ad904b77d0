"""`curate why`: everything that happened to a URL, from the ledger and the lineage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.reports.inspection import open_shard
from curate.runs.damaged_shards import finished_shards
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import STAGE_NAMES
from curate.schemas.identity import image_key


def explain_url(run: RunDirectory, url: str) -> list[dict[str, Any]]:
    """Events in the order of the stages; empty when the input never mentions the URL.

    An event has `stage`, `what` (`read`, `dropped`, `kept`, `stored`, `packed`), `detail` for
    people, and the fields of the ledger row or lineage entry it comes from.
    """
    url = url.encode("utf-8", "replace").decode("utf-8")
    events = [
        *_archived(run, url),
        *_ledger(run, url),
        *_documents(run, url, "documents", "documents"),
        *_image_fate(run, url),
        *_documents(run, url, "selected", "selection"),
        *_packed(run, url),
    ]
    return sorted(events, key=lambda e: STAGE_NAMES.index(e["stage"]))


def _archived(run: RunDirectory, url: str) -> Iterator[dict[str, Any]]:
    for path, row in _matching(run, "references/available", "url", url):
        detail = (
            f"an image record of the input at byte {_place(row)}, held for documents that show it"
        )
        yield {"stage": "documents", "what": "read", "detail": detail, "part": path, **_plain(row)}


def _place(row: dict[str, Any]) -> str:
    return f"{row['offset']}:{row['inside']}" if row["inside"] else str(row["offset"])


def _ledger(run: RunDirectory, url: str) -> Iterator[dict[str, Any]]:
    for _, row in _matching(run, "ledger", "url", url):
        limit = f", limit {row['limit']}" if row["limit"] else ""
        cost = f", {row['tokens']:,} tokens lost" if row["tokens"] else ""
        where = f" in document {row['id']}" if row["kind"] in ("node", "passage") else ""
        dropped = f"{row['kind']}{where} dropped by {row['rule']}"
        detail = f"{dropped}: {row['value']}{limit}{cost}{_match(row)}"
        yield {"what": "dropped", "detail": detail, **_plain(row)}


def _match(row: dict[str, Any]) -> str:
    if not row["match"]:
        return ""
    if row["rule"].startswith("dedup.") or row["rule"] == "document.same_pictures":
        return f" (document {row['match']} is kept instead)"
    return f" (item {row['match']})"


def _documents(run: RunDirectory, url: str, folder: str, stage: str) -> Iterator[dict[str, Any]]:
    for path in run.files(folder, suffix=".parquet"):
        with run.open(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=["id", "url", "segments"]):
                pages = pc.equal(batch["url"], url)
                segments = pc.list_flatten(batch["segments"])
                shown = pc.equal(pc.struct_field(segments, "url"), url)
                owners = pc.list_parent_indices(batch["segments"])
                showing = set(owners.filter(pc.fill_null(shown, False)).to_pylist())
                for index, is_page in enumerate(pages.to_pylist()):
                    if not is_page and index not in showing:
                        continue
                    row = batch.slice(index, 1).to_pylist()[0]
                    what = "kept as document" if is_page else "kept as image of document"
                    yield {
                        "stage": stage,
                        "what": "kept",
                        "detail": f"{what} {row['id']} ({_summary(row['segments'])})",
                        "id": row["id"],
                        "url": row["url"],
                    }


def _image_fate(run: RunDirectory, url: str) -> Iterator[dict[str, Any]]:
    for _, row in _matching(run, "images", "key", image_key(url)):
        if row["rule"] is None:
            detail = (
                f"stored as {row['width']}x{row['height']} JPEG from {row['origin']} "
                f"({row['original_format']} {row['original_width']}x{row['original_height']}), "
                f"shown by {row['documents']} documents, consent {row['consent']}"
            )
            yield {"stage": "images", "what": "stored", "detail": detail, **_plain(row)}


def _packed(run: RunDirectory, url: str) -> Iterator[dict[str, Any]]:
    key = image_key(url)
    for finished in finished_shards(run).values():
        path = finished["path"]
        with open_shard(run, finished) as shard:
            for number, row in enumerate(shard.lineage()):
                spans = [
                    f"tokens {d['start']} to {d['end']}"
                    for d in row["documents"]
                    if d["url"] == url
                ]
                spans += [
                    f"image slots {s['offset']} to {s['offset'] + s['length']}"
                    for s in row["image_slots"]
                    if row["keys"][s["image"]] == key
                ]
                for span in spans:
                    yield {
                        "stage": "shards",
                        "what": "packed",
                        "detail": f"{path} row {number}, {span}",
                        "path": path,
                        "row": number,
                    }


def _matching(
    run: RunDirectory, folder: str, column: str, value: str | bytes
) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in run.files(folder, suffix=".parquet"):
        with run.open(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches():
                wanted = pa.scalar(value, batch.schema.field(column).type)
                hits = batch.filter(pc.equal(batch[column], wanted))
                for row in hits.to_pylist():
                    yield path, row


def _summary(segments: list[dict[str, Any]]) -> str:
    images = sum(s["type"] == "image" for s in segments)
    chars = sum(len(s["text"] or "") for s in segments)
    return f"{images} images, {chars} characters of text"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in row.items()}


def find_document(run: RunDirectory, document_id: str) -> dict[str, Any] | None:
    """The row of a document as selected, or as it came from extraction, or None."""
    for folder in ("selected", "documents"):
        for _, row in _matching(run, folder, "id", document_id):
            return row
    return None
