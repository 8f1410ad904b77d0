"""`curate inspect`: what a packed row or a document really holds, for people."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from curate.runs.damaged_shards import Marker, finished_shards
from curate.runs.image_tars import ImageTars
from curate.runs.run_directory import RunDirectory
from curate.runs.vocabulary import run_vocabulary
from curate.schemas.errors import UsageError
from curate.tokenization.shard_batches import corrupt
from curate.tokenization.shards import Shard
from curate.tokenization.vocabulary import Vocabulary


class NoSuchItemError(UsageError):
    """There is no such row or document; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text, an image, or a boundary, in reading order."""

    kind: str
    """`text`, `image` or `boundary`."""
    text: str = ""
    masked: bool = False
    """Whether none of its tokens counts in the loss."""
    image: bytes = b""
    url: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A titled list of pieces with facts about them."""

    title: str
    facts: dict[str, str]
    pieces: list[Piece]
    documents: list[dict[str, Any]]


@contextmanager
def open_shard(run: RunDirectory, shard: Marker) -> Iterator[Shard]:
    """One of `finished_shards`: memory-mapped on this machine, streamed from an object store.

    Raises:
        CorruptShardError: it is not as it was written, or becomes so while it is read.
    """
    path, seal = shard["path"], shard["seal"]
    name = f"{run.root}/{path}"
    if run.is_local:
        yield Shard(run.path(path), name, seal)
        return
    try:
        stream = run.open(path)
    except FileNotFoundError:
        raise corrupt(name, "is missing") from None
    with stream:
        yield Shard(pa.PythonFile(stream), name, seal)


def count_rows(run: RunDirectory) -> int:
    """Rows in all shards of the run."""
    return sum(shard["rows"] for shard in finished_shards(run).values())


def view_row(run: RunDirectory, number: int) -> View:
    """The row with this number, counting through the shards in order of their names.

    Raises:
        NoSuchItemError: there is no such row.
        CorruptShardError: its shard is not as it was written.
    """
    before = 0
    for finished in finished_shards(run).values():
        if number < before + finished["rows"]:
            vocabulary = run_vocabulary(run)
            with open_shard(run, finished) as shard:
                return _row_view(shard, number - before, finished["path"], vocabulary)
        before += finished["rows"]
    raise NoSuchItemError(
        f"row must be 0 to {before - 1} (got {number})" if before else "no shards"
    )


def view_document(run: RunDirectory, row: dict[str, Any]) -> View:
    """A document as a row of `selected/` or `documents/`."""
    pieces = []
    for segment in row["segments"]:
        if segment["type"] == "text":
            pieces.append(Piece("text", segment["text"]))
            continue
        data = _stored_bytes(run, segment["stored"])
        note = " ".join(t for t in (segment["alt"], segment["caption"]) if t)
        pieces.append(Piece("image", note, image=data, url=segment["url"]))
    facts = {
        "id": row["id"],
        "url": row["url"],
        "title": row["title"],
        "record": f"{row['warc_file']} at byte {row['offset']}",
        "scores": ", ".join(f"{k} {v:.3g}" for k, v in row["scores"]),
    }
    return View(f"Document {row['id']}", facts, pieces, [])


def _stored_bytes(run: RunDirectory, stored: dict[str, int] | None) -> bytes:
    if stored is None:
        return b""
    with ImageTars(run) as tars:
        return tars.read(stored["tar"], stored["offset"], stored["size"])


def _row_view(shard: Shard, number: int, path: str, vocabulary: Vocabulary) -> View:
    row = shard.row(number)
    ids, mask = row["input_ids"], row["loss_mask"]
    slots = {s["offset"]: s for s in row["image_slots"]}
    starts = {d["start"] for d in row["documents"]}
    pieces: list[Piece] = []
    text_from = position = 1

    def close_text(end: int) -> None:
        text = vocabulary.decode(ids[text_from:end])
        if text:
            pieces.append(Piece("text", text, masked=not any(mask[text_from:end])))

    while position < len(ids):
        if position in starts:
            close_text(position)
            pieces.append(Piece("boundary", "document"))
            text_from = position
        if position in slots:
            close_text(position - 1)
            slot = slots[position]
            image = row["images"][slot["image"]]
            pieces.append(Piece("image", "", masked=True, image=image["bytes"], url=image["url"]))
            position += slot["length"] + 1
            text_from = position
        else:
            position += 1
    close_text(len(ids))
    facts = {
        "shard": f"{path} row {number}",
        "tokens": f"{len(ids)} of {shard.metadata['block']}",
        "loss targets": str(sum(mask)),
        "images": str(len(row["images"])),
        "format": shard.metadata["format"],
    }
    return View(f"Row {number} of {path}", facts, pieces, row["documents"])


def data_uri(image: bytes) -> str:
    """The image re-encoded, so that nothing but pixels reaches a page."""
    with Image.open(io.BytesIO(image)) as opened:
        buffer = io.BytesIO()
        opened.convert("RGB").save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def terminal_image(image: bytes, columns: int = 32) -> list[list[tuple[str, str]]]:
    """Rows of (upper colour, lower colour) for half-block characters."""
    with Image.open(io.BytesIO(image)) as opened:
        rows = max(round(opened.height / opened.width * columns / 2), 1) * 2
        small = opened.convert("RGB").resize((columns, rows))
    pixels = np.asarray(small)

    def colour(x: int, y: int) -> str:
        red, green, blue = pixels[y, x].tolist()
        return f"#{red:02x}{green:02x}{blue:02x}"

    return [[(colour(x, y), colour(x, y + 1)) for x in range(columns)] for y in range(0, rows, 2)]
