"""One part of one stage: its files, its ledger rows and its counts, committed together."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.runs.run_directory import RunDirectory
from curate.schemas.ledger import LEDGER_SCHEMA, LedgerRow, Tally
from curate.schemas.verdict import Drop

ROWS_PER_GROUP = 1_000
BYTES_PER_GROUP = 32 << 20


def marker_path(stage: str, name: str) -> str:
    return f"stages/{stage}/{name}.json"


def done_parts(run: RunDirectory, stage: str) -> set[str]:
    """Names of the parts of a stage that are committed: one listing, however many there are."""
    folder = f"stages/{stage}/"
    return {
        path[len(folder) : -len(".json")]
        for path in run.files(f"stages/{stage}", suffix=".json")
        if path != f"{folder}_SUCCESS.json"
    }


def read_markers(run: RunDirectory, stage: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the markers of some parts say, by part."""
    listed = list(names)
    found = run.read_many(marker_path(stage, name) for name in listed)
    return {name: json.loads(data) for name, data in zip(listed, found, strict=True)}


class RowWriter:
    """A Parquet file written a row at a time, with bounded rows and bytes in memory."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self.count = 0

    def write(self, row: dict[str, Any], *, size: int = 0) -> None:
        """Add a row; `size` tells about how many bytes it has, where these may be many."""
        self._rows.append(row)
        self._size += size
        self.count += 1
        if len(self._rows) >= ROWS_PER_GROUP or self._size >= BYTES_PER_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()
            self._size = 0


class PartWriter:
    """Context manager: when it ends well, all files of the part are in place, then its marker.

    The marker `stages/STAGE/NAME.json` holds the counts and is the commit: a part with a marker is
    done, one without is made again, and makes the same bytes.
    """

    def __init__(self, run: RunDirectory, stage: str, name: str) -> None:
        self.run = run
        self.stage = stage
        self.name = name
        self.tally = Tally()
        self.facts: dict[str, Any] = {}
        """Small facts for later stages and the report, kept in the marker."""
        self._stack = ExitStack()
        self._writers: list[RowWriter] = []
        self._started = time.monotonic()

    def __enter__(self) -> PartWriter:
        self._stack.__enter__()
        self._ledger = self.rows(f"ledger/{self.stage}/{self.name}.parquet", LEDGER_SCHEMA)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers:
            writer.close()
        self._stack.__exit__(kind, error, trace)
        if error is None:
            marker = {
                "tally": self.tally.to_json(),
                "seconds": round(time.monotonic() - self._started, 3),
                "ledger_rows": self._ledger.count,
                **self.facts,
            }
            self.run.write_json(marker, marker_path(self.stage, self.name))

    def file(self, path: str) -> Path:
        """A local file to fill, to appear at `path` of the run directory with the whole part."""
        return self._stack.enter_context(self.run.publish(path))

    def rows(self, path: str, schema: pa.Schema) -> RowWriter:
        """A Parquet file of the part."""
        writer = RowWriter(self.file(path), schema)
        self._writers.append(writer)
        return writer

    def came_in(self, source: str, kind: str, count: int = 1) -> None:
        self.tally.came_in[source, kind] += count

    def went_out(self, source: str, kind: str, count: int = 1) -> None:
        self.tally.went_out[source, kind] += count

    def drop(
        self,
        source: str,
        kind: str,
        item_id: str,
        url: str,
        verdict: Drop,
        *,
        tokens: int | None = None,
    ) -> None:
        """Count one dropped thing, and the tokens that it costs, and write its ledger row."""
        self.tally.dropped[source, kind, verdict.rule] += 1
        if tokens is not None:
            self.tally.lost_tokens[source, kind, verdict.rule] += tokens
        row = LedgerRow(
            stage=self.stage,
            source=source,
            kind=kind,
            id=item_id,
            url=_printable(url),
            rule=verdict.rule,
            value=_printable(verdict.value_text),
            limit=verdict.limit_text,
            match=verdict.match,
            tokens=tokens,
        )
        self._ledger.write(asdict(row))


def _printable(text: str) -> str:
    """Text that UTF-8 can hold: archives hold lone surrogates, Arrow does not."""
    return text.encode("utf-8", "replace").decode("utf-8")


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
