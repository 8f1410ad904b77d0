"""An input that fails is never taken for a damaged one, which would lose its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.schemas.settings.source import Source
from curate.sources.corpus import read_corpus
from curate.sources.img2dataset import read_img2dataset
from curate.sources.instructions import read_instructions
from curate.sources.pair_tables import read_pair_table
from curate.sources.watched import InputFailedError
from tests.serving import QuietHandler
from tests.serving import serving as served_by

ROWS = [{"text": f"row {n:06d} of many, each with some more words"} for n in range(120_000)]


@contextmanager
def serving(body: bytes, ranges_end: int | None) -> Iterator[str]:
    """A server that breaks off behind `ranges_end` bytes; None knows no ranges at all."""

    class Handler(QuietHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if ranges_end is not None:
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            if ranges_end is None or asked is None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:ranges_end])
                self.close_connection = True
                return
            first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
            last = min(last, len(body) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            self.wfile.write(body[first : min(last + 1, max(ranges_end, first))])
            self.close_connection = True

    with served_by(Handler) as address:
        yield f"http://{address}"


def body_of(kind: str, tmp_path: Path) -> bytes:
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "r.parquet", compression="none")
    return (tmp_path / "r.parquet").read_bytes()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_server_that_breaks_off_is_no_damage(tmp_path: Path, kind: str) -> None:
    body = body_of(kind, tmp_path)
    source = Source(kind=kind, format="text")
    with (
        serving(body, len(body) // 2) as address,
        pytest.raises(InputFailedError, match=rf"rows\.{kind} can't be read: "),
    ):
        list(read_corpus(f"{address}/rows.{kind}", source, "rows", "c"))


def test_a_server_without_ranges_is_no_damage(tmp_path: Path) -> None:
    body = body_of("jsonl", tmp_path)
    with serving(body, None) as address, pytest.raises(InputFailedError, match="range requests"):
        list(read_corpus(f"{address}/rows.jsonl", Source(format="text", kind="jsonl"), "r", "c"))


@pytest.mark.parametrize(
    ("kind", "extension", "read"),
    [
        ("jsonl", "jsonl", read_corpus),
        ("jsonl", "jsonl.zst", read_corpus),
        ("jsonl", "jsonl.gz", read_corpus),
        ("parquet", "parquet", read_corpus),
        ("text", "txt", read_corpus),
        ("instructions", "jsonl", read_instructions),
        ("instructions", "tsv", read_instructions),
        ("pairs", "csv", read_pair_table),
        ("pairs", "parquet", read_pair_table),
        ("img2dataset", "tar", read_img2dataset),
        ("img2dataset", "parquet", read_img2dataset),
    ],
)
def test_a_file_that_is_gone_is_no_damage(
    tmp_path: Path, kind: str, extension: str, read: object
) -> None:
    formats = {"instructions": "instruction", "pairs": "pairs", "img2dataset": "pairs"}
    source = Source.model_validate({"kind": kind, "format": formats.get(kind, "text")})
    path = tmp_path / f"gone.{extension}"
    with pytest.raises(InputFailedError, match="gone"):
        list(read(str(path), source, path.name, "c"))  # type: ignore[operator]
