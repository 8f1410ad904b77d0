"""Files that grow: each costs ledger rows and bounded memory, and its neighbours nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from warcio.warcwriter import WARCWriter

from tests.abuse.conftest import WHOLE

GROWN = (2_000 if WHOLE else 500) << 20
"""Bytes that a bomb decompresses to."""
ROOM = 420 << 20
"""Bytes of memory, above that of the libraries: less than any bomb."""
KEPT = "a row of plain text beside the bomb"

PEAK = """
import re
def peak():
    # Of this program alone: ru_maxrss begins with the peak of the process that started it.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read()).group(1)) << 10
"""
READ = f"""{PEAK}
import json, sys
from curate.schemas.settings.source import Source
from curate.schemas.verdict import Drop
from curate.sources import corpus, img2dataset, instructions, pair_tables
kind, path = sys.argv[1:]
formats = dict(pairs="pairs", img2dataset="pairs", instructions="instruction")
source = Source(kind=kind, format=formats.get(kind, "text"))
read = dict(
    instructions=instructions.read_instructions,
    img2dataset=img2dataset.read_img2dataset,
    pairs=pair_tables.read_pair_table,
).get(kind, corpus.read_corpus)
base = peak()
told = []
for item in read(path, source, path.rsplit("/", 1)[-1], "s"):
    drop = getattr(item, "drop", None)
    document = getattr(item, "document", item)
    told.append(drop.rule if drop else document.text if len(document.text) < 99 else "long")
print(json.dumps([told, peak() - base]))
"""


def zeros(open_file: Callable[[], Any], before: bytes, behind: bytes) -> None:
    with open_file() as stream:
        stream.write(before)
        for _ in range(GROWN >> 20):
            stream.write(b"0" * (1 << 20))
        stream.write(behind)


def line(text: str = KEPT) -> bytes:
    return json.dumps({"text": text, "inputs": text, "targets": text}).encode() + b"\n"


COMPRESSED: dict[str, Callable[[Path], Any]] = {
    "gz": lambda path: gzip.open(path, "wb", compresslevel=1),
    "bz2": lambda path: bz2.open(path, "wb", compresslevel=1),
    "xz": lambda path: lzma.open(path, "wb", preset=0),
    "zst": lambda path: zstandard.open(path, "wb"),
}


def read(kind: str, path: Path) -> tuple[list[str], int]:
    command = [sys.executable, "-c", READ, kind, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    told, grown = json.loads(done.stdout)
    return told, grown


@pytest.mark.parametrize("compression", COMPRESSED if WHOLE else ["zst"])
@pytest.mark.parametrize("kind", ["jsonl", "text", "instructions", "pairs"] if WHOLE else ["jsonl"])
def test_a_line_that_grows(tmp_path: Path, kind: str, compression: str) -> None:
    extension = {"text": "txt", "pairs": "csv"}.get(kind, "jsonl")
    path = tmp_path / f"bomb.{extension}.{compression}"
    behind = f"http://h/i.png,{KEPT}\n".encode() if kind == "pairs" else line()
    before = b"url,caption\n" if kind == "pairs" else line()
    zeros(lambda: COMPRESSED[compression](path), before, b"\n" + behind)
    assert path.stat().st_size < GROWN // 100
    told, grown = read(kind, path)
    expected = {
        "text": ["record.too_large"],
        "pairs": ["record.too_large", KEPT],
        "instructions": [f"{KEPT}\n{KEPT}", "record.too_large", f"{KEPT}\n{KEPT}"],
    }
    assert told == expected.get(kind, [KEPT, "record.too_large", KEPT])
    assert grown < ROOM


@pytest.mark.parametrize(
    "kind", ["parquet", "instructions", "pairs", "img2dataset"] if WHOLE else ["parquet"]
)
def test_a_value_of_a_dictionary_named_by_every_row(tmp_path: Path, kind: str) -> None:
    rows = GROWN // (20 << 20)
    values = [*["0" * (20 << 20)] * rows, KEPT]
    column = pa.array(values).dictionary_encode()
    url = pa.array(["http://h/i.png"] * len(values))
    table = {**dict.fromkeys(("text", "inputs", "targets", "caption"), column), "url": url}
    if kind == "img2dataset":
        table = {"caption": column, "url": url, "jpg": pa.array([b"\xff\xd8"] * len(values))}
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table(table), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    told, grown = read(kind, path)
    kept = f"{KEPT}\n{KEPT}" if kind == "instructions" else KEPT
    assert told == ["record.too_large"] * rows + [kept]
    assert grown < ROOM


def test_a_member_of_a_tar_that_grows(tmp_path: Path) -> None:
    """Sparse: of a size that the file does not have."""
    path = tmp_path / "bomb.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("0.jpg", "0.json"):
            member = tarfile.TarInfo(name)
            member.type = tarfile.GNUTYPE_SPARSE
            member.size = 512
            header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
            header[386:410] = b"00000000000\0" + b"00000001000\0"
            header[483:495] = b"%011o\0" % (GROWN << 1)
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            tar.fileobj.write(bytes(header) + b"\0" * 512)
            tar.offset = tar.fileobj.tell()
        for name, data in (("1.jpg", b"\xff\xd8"), ("1.txt", KEPT.encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        about = json.dumps({"url": "http://h/1.png"}).encode()
        member = tarfile.TarInfo("1.json")
        member.size = len(about)
        tar.addfile(member, io.BytesIO(about))
    told, grown = read("img2dataset", path)
    assert told == ["record.too_large", KEPT]
    assert grown < ROOM


@pytest.mark.parametrize("place", ["last", "first"] if WHOLE else ["last"])
def test_a_record_of_an_archive_that_grows(tmp_path: Path, place: str) -> None:
    """WET: a record declares more than it may have, or its member holds more than it declares."""
    plain = io.BytesIO()
    writer = WARCWriter(plain, gzip=True)
    kept = {"Content-Type": "text/plain"}
    writer.write_record(
        writer.create_warc_record(
            "http://h/1", "conversion", io.BytesIO(KEPT.encode()),
            warc_content_type="text/plain", warc_headers_dict=kept,
        )
    )  # fmt: skip
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://h/2\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {GROWN}\r\n\r\n"
    ).encode()
    bomb = tmp_path / "member.gz"
    zeros(lambda: gzip.open(bomb, "wb", compresslevel=1), head, b"\r\n\r\n")
    members = [plain.getvalue(), bomb.read_bytes()]
    path = tmp_path / "bomb.warc.wet.gz"
    path.write_bytes(b"".join(members if place == "last" else members[::-1]))
    told, grown = read("wet", path)
    assert sorted(told) == [KEPT, "record.too_large"]
    assert grown < ROOM


def test_windows_of_two_gibibytes_are_read(tmp_path: Path) -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    path = tmp_path / "long.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor(compression_params=settings).compress(line() * 3))
    told, _ = read("jsonl", path)
    assert told == [KEPT] * 3


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"text": ' + "9" * 90_000 + "}", "\ud800", "{}"]
)
def test_rows_of_strange_json_cost_themselves_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_bytes(line() + text.encode("utf-8", "surrogatepass") + b"\n" + line())
    told, _ = read("jsonl", path)
    assert told[0] == told[2] == KEPT
    assert told[1].startswith("record.")


WRITE = f"""{PEAK}
import sys
from click.testing import CliRunner
from curate.cli import main
from curate import build, progress
from curate.pipelines.engine import worker_processes
from curate.standalone import document_files
base = peak()
done = CliRunner().invoke(main, ["dedup", "--input", sys.argv[1], "--out", sys.argv[2]])
assert done.exit_code == 0, done.output
print(peak() - base)
"""


def test_dedup_writes_what_is_left_of_a_bomb(tmp_path: Path) -> None:
    """Rows over the limit stand in the file that the rows that stay are copied from, too."""
    rows = GROWN // (20 << 20)
    text = pa.array([*["0" * (20 << 20)] * rows, KEPT]).dictionary_encode()
    # Without the Arrow schema, which would make a dictionary of it in any reader.
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": text}), path, compression="zstd", store_schema=False)
    command = [sys.executable, "-c", WRITE, str(path), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "out/documents.parquet")["text"].to_pylist() == [KEPT]
    assert int(done.stdout) < ROOM
