"""Sources of which nothing can be read are told of in words, before anything is done."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from schemas.errors import UsageError
from schemas.source import Source
from sources.listing import InputError
from sources.readable import require_readable
from tests.conftest import html_page, write_warc

LINES = b'{"text": "a row of text"}\n' * 3


def table(columns: dict[str, list[str]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def window_over_the_limit() -> bytes:
    """A frame whose header asks for a window of 2.25 GiB."""
    return b"\x28\xb5\x2f\xfd\x00\xa9\x01\x00\x00"


def look(path: Path, kind: str, **settings: Any) -> None:
    formats = {"pairs": "pairs", "img2dataset": "pairs", "instructions": "instruction"}
    given = {"kind": kind, "format": formats.get(kind, "text"), **settings}
    require_readable("s", Source.model_validate(given), [str(path)])


@pytest.mark.parametrize(
    ("kind", "name", "data", "told"),
    [
        ("jsonl", "a.jsonl", b"", "got an empty file"),
        ("jsonl", "a.jsonl", b"\n\n", "rows of which none fits"),
        ("jsonl", "a.jsonl", json.dumps([{"text": "a"}]).encode(), "got a JSON array, not lines"),
        ("jsonl", "a.jsonl", json.dumps([{"text": "a"}], indent=1).encode(), "a JSON array"),
        ("jsonl", "a.jsonl", b"url,text\nhttp://h/,words\n", "2 rows of which none fits"),
        ("jsonl", "a.jsonl", gzip.compress(LINES), "Give it its ending, .gz"),
        ("jsonl", "a.jsonl", table({"text": ["a"]}), "got a Parquet file"),
        ("jsonl", "a.jsonl.gz", LINES, "BadGzipFile"),
        ("jsonl", "a.jsonl.xz", LINES, "LZMAError"),
        ("jsonl", "a.jsonl.bz2", LINES, "OSError"),
        ("jsonl", "a.jsonl.zst", LINES, "ZstdError"),
        ("jsonl", "a.jsonl.zst", window_over_the_limit(), "window of more than 2 GiB"),
        ("jsonl", "a.jsonl", b'{"content": "a row"}\n', "`text_field`"),
        ("parquet", "a.parquet", b"", "got an empty file"),
        ("parquet", "a.parquet", LINES, "record.damaged: ArrowInvalid"),
        ("parquet", "a.parquet", table({"content": ["a"]}), "columns content"),
        ("parquet", "a.parquet", table({"text": []}), "a file without a row"),
        ("warc", "a.warc.gz", b"", "got an empty file"),
        ("warc", "a.warc.gz", b"<html>no archive</html>", "Expected WARC or ARC records"),
        ("warc", "a.warc.gz", gzip.compress(b"<html>no archive</html>"), "record.damaged"),
        ("warc", "a.warc.zst", window_over_the_limit(), "window of more than 2 GiB"),
        ("wet", "a.wet", b"no archive", "records of type conversion"),
        ("text", "a.txt", b"  \n", "Expected plain text"),
        ("pairs", "a.csv", b"", "got an empty file"),
        ("pairs", "a.csv", b"link,words\nhttp://h/i.png,a boat\n", "no column of addresses"),
        ("pairs", "a.parquet", LINES, "is no Parquet file"),
        ("pairs", "a.parquet", table({"url": ["http://h/"]}), "no column of captions"),
        ("img2dataset", "a.tar", LINES, "that img2dataset wrote"),
        ("img2dataset", "a.tar", b"", "got an empty file"),
        ("img2dataset", "a.parquet", LINES, "record.damaged"),
        ("instructions", "a.json", b'[{"instruction": "a", "output": "b"}]', "a JSON array"),
        ("instructions", "a.jsonl", LINES, "record.no_instruction"),
        ("instructions", "a.tsv", LINES, "1 columns"),
    ],
)
def test_what_was_expected_and_what_was_got(
    tmp_path: Path, kind: str, name: str, data: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        look(path, kind)
    assert told in str(caught.value)
    assert name in str(caught.value)


def test_rows_over_the_limit_are_told_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    with pytest.raises(InputError, match=r"record.too_large: 26, limit 9.*`max_row_bytes`"):
        look(path, "jsonl", max_row_bytes=9)


@pytest.mark.parametrize(
    ("kind", "name", "data"),
    [
        ("jsonl", "a.jsonl", b"no json\n" * 50 + LINES),
        ("jsonl", "a.jsonl.zst", zstandard.compress(LINES)),
        ("parquet", "a.parquet", table({"text": ["", "a"]})),
        ("text", "a.txt", b"words"),
        ("pairs", "a.csv", b"url,caption\n,\nhttp://h/i.png,a boat\n"),
        ("instructions", "a.tsv", b"one column\nquestion\tanswer\treason\n"),
    ],
)
def test_one_row_is_enough(tmp_path: Path, kind: str, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    look(path, kind)


def test_rows_that_were_left_out_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    look(path, "jsonl", select={"set": ["x"]})


def test_one_good_file_is_enough(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.warc.gz" for n in range(3)]
    for path in paths:
        path.write_bytes(b"nothing")
    source = Source(kind="warc", format="text")
    with pytest.raises(InputError, match=r"0\.warc\.gz \(nor of 2 other files\)"):
        require_readable("s", source, [str(p) for p in paths])
    write_warc(paths[2], [html_page("http://h/", "<p>one</p>")])
    require_readable("s", source, [str(p) for p in paths])
