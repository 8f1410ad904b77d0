"""Images of a part that came already and wait for the rest: kept in files of some hundred."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import pyarrow as pa

from curate.media.store import IMAGE_INDEX_SCHEMA, PLACE
from curate.runs.run_directory import RunDirectory

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

Made = tuple[dict[str, Any], bytes | None]
"""A row of the image index without its place and with its thumbnail, and the JPEG of an image that
is kept."""


@dataclass(slots=True)
class Spool:
    """The images of one part."""

    run: RunDirectory
    folder: str
    _waiting: list[dict[str, Any]] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)
    _files: int = 0

    def __post_init__(self) -> None:
        self._files = len(self.run.files(self.folder, suffix=".arrow"))

    def indexes(self) -> set[int]:
        found: set[int] = set()
        for path in self.run.files(self.folder, suffix=".arrow"):
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
            jpegs: list[pa.ChunkedArray] = []
            places: list[tuple[int, int, int, dict[str, Any]]] = []
            for path in self.run.files(self.folder, suffix=".arrow"):
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


def spool_images(run: RunDirectory, part: str, images: Iterable[tuple[int, Made]]) -> None:
    """Put images that were made before where `fetch_images` finds them; what lay there goes."""
    run.remove(f"{SPOOL}/{part}")
    spool = Spool(run, f"{SPOOL}/{part}")
    for index, made in images:
        spool.add(index, made)
    spool.flush()
