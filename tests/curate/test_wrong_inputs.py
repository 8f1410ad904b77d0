"""Files that are not what a command wants, as benchmarks, tables or examples; and what is left."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from tests.texts import prose

Curate = Callable[..., Result]

WRONG = {
    "empty.jsonl": b"",
    "array.json": b'[{"text": "a", "id": "b"}]',
    "table.jsonl": b"url,text\nhttp://h/,words\n",
    "lines.parquet": b'{"text": "a"}\n',
    "lines.jsonl.gz": b'{"text": "a"}\n',
    "lines.jsonl.zst": b'{"text": "a"}\n',
    "window.jsonl.zst": b"\x28\xb5\x2f\xfd\x00\xa9\x01\x00\x00",
    "number.jsonl": b"5\n",
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.jsonl"
    path.write_text(json.dumps({"id": "a", "text": prose("a", 60)}) + "\n")
    return path


@pytest.mark.parametrize("name", WRONG)
def test_every_command_says_what_is_wrong(
    curate: Curate, tmp_path: Path, good: Path, name: str
) -> None:
    wrong, out, index = tmp_path / name, tmp_path / "out", tmp_path / "x.index"
    wrong.write_bytes(WRONG[name])
    model = tmp_path / "model.bin"
    for command in (
        ["decontaminate", "--benchmarks", wrong, "--input", good, "--out", out],
        ["benchmark-index", "build", "--benchmarks", wrong, "--out", index],
        ["train-classifier", "--high", wrong, "--low", good, "--model", model],
        ["extract", wrong],
    ):
        result = curate(*command, code=2)
        assert name in result.output, command
    assert not out.exists()
    assert not index.exists()
    assert not model.exists()


@pytest.mark.parametrize("name", ["empty.csv", "lines.tsv", "lines.parquet"])
def test_a_table_of_pairs_that_is_none(curate: Curate, tmp_path: Path, name: str) -> None:
    wrong = tmp_path / name
    wrong.write_bytes(b"" if "empty" in name else b'{"url": "http://h/"}\n' * 2)
    assert name in curate("fetch-pairs", wrong, "--out", tmp_path / "out", code=2).output
    assert not list(tmp_path.glob("out/run/stages"))


def test_a_file_that_is_no_index(curate: Curate, tmp_path: Path, good: Path) -> None:
    wrong = tmp_path / "wrong.index"
    for number in range(3):
        if number == 0:
            wrong.write_bytes(b"")
        elif number == 1:
            wrong.write_bytes(b"PK\x03\x04 no archive")
        else:
            with wrong.open("wb") as stream:
                np.save(stream, np.zeros(3))
        arguments = ["--benchmarks", wrong, "--input", good, "--out", tmp_path / "out"]
        assert "no benchmark index" in curate("decontaminate", *arguments, code=2).output


def test_one_wrong_file_among_good_ones_is_named(
    curate: Curate, tmp_path: Path, good: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = tmp_path / "array.json"
    wrong.write_bytes(WRONG["array.json"])
    with caplog.at_level(logging.WARNING):
        result = curate("dedup", "--input", wrong, good, "--out", tmp_path / "out")
    assert "1 documents in, 1 out" in result.output
    assert "1 of 2 input files gave nothing that can be read: array.json" in caplog.text
    (row,) = map(json.loads, (tmp_path / "out/ledger.jsonl").read_text().splitlines())
    assert (row["id"], row["rule"]) == ("array.json@0", "record.damaged")


def test_a_damaged_parquet_file_beside_a_good_one(curate: Curate, tmp_path: Path) -> None:
    good, wrong = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.table({"text": [prose("a", 60)], "n": [1]}), good)
    wrong.write_bytes(good.read_bytes()[:-40])
    out = tmp_path / "out"
    curate("dedup", "--input", good, wrong, "--out", out)
    assert pq.read_table(out / "documents.parquet")["n"].to_pylist() == [1]


def test_parquet_comes_out_in_its_own_types(curate: Curate, tmp_path: Path) -> None:
    """Nested texts and dictionaries, and many batches of them."""
    table = pa.table(
        {
            "text": [prose(str(n), 40) for n in range(600)],
            "meta": [{"lang": "xx", "tags": ["a", "b"]}] * 600,
            "kind": pa.array(["k"] * 600).dictionary_encode(),
            "raw": pa.array([b"\xff"] * 600),
            "n": range(600),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=250)
    curate("dedup", "--input", tmp_path / "a.parquet", "--out", tmp_path / "out")
    assert pq.read_table(tmp_path / "out/documents.parquet").equals(table)
