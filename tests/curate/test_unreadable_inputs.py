"""Inputs of which nothing can be read: a sentence before any stage runs, by every command."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

Curate = Callable[..., Result]

GOOD = json.dumps({"id": "a", "text": "The harbour is quiet in the morning."}).encode()
FILES: dict[str, tuple[bytes, str]] = {
    "empty.jsonl": (b"", "an empty file"),
    "array.json": (b'[\n {"text": "one"},\n {"text": "two"}]', "a JSON array and not lines"),
    "array-of-a-line.jsonl": (b'[{"text": "one"}]', "a JSON array and not lines"),
    "csv.jsonl": (b"url,text\nhttp://h/,one\n", "record.damaged"),
    "html.jsonl": (b"<html>\n<p>one</p>\n", "record.damaged"),
    "other-fields.jsonl": (b'{"content": "one"}\n{"content": "two"}\n', "record.no_text"),
    "binary.jsonl": (bytes(range(256)) * 9, "record.damaged"),
    "not-gzip.jsonl.gz": (GOOD, "record.damaged"),
    "cut.jsonl.gz": (gzip.compress(GOOD * 90)[:20], "record.damaged"),
    "not-zstd.jsonl.zst": (GOOD, "record.damaged"),
    # A window of 4 GiB, of which the frame's header tells.
    "window.jsonl.zst": (b"\x28\xb5\x2f\xfd\x00\xb0" + b"\x00" * 30, "record.damaged"),
    "not-parquet.parquet": (GOOD, "record.damaged"),
    "empty.parquet": (b"", "an empty file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_sentence_says_what_was_expected_and_got(
    curate: Curate, tmp_path: Path, name: str
) -> None:
    data, got = FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    benchmark = tmp_path / "bench.jsonl"
    benchmark.write_text(json.dumps({"id": "b", "text": " ".join(map(str, range(20)))}))
    recipe = tmp_path / "recipe.yaml"
    kind = "parquet" if name.endswith("parquet") else "jsonl"
    recipe.write_text(
        f"{{name: r, sources: {{c: {{kind: {kind}, format: text, paths: ['{path}']}}}}}}"
    )
    for command in (
        ("dedup", "--input", path, "--out", tmp_path / "d"),
        ("decontaminate", "--benchmarks", benchmark, "--input", path, "--out", tmp_path / "e"),
        ("build-shards", recipe, "--out", tmp_path / "o"),
    ):
        told = curate(*command, code=2).output
        assert path.name in told
        assert "Expected " in told
        assert got in told or (data == b"" and "record.damaged" in told)
        assert "Traceback" not in told
        assert not list(tmp_path.glob("*/stages"))
        assert not list(tmp_path.glob("*/run/stages"))


def test_one_bad_file_among_good_ones_costs_itself_alone(curate: Curate, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "bad.jsonl").write_bytes(b"")
    (given / "worse.jsonl").write_bytes(b"not json\n")
    (given / "good.jsonl").write_bytes(GOOD + b"\n")
    curate("dedup", "--input", given, "--out", tmp_path / "d")
    assert (tmp_path / "d" / "documents.jsonl").read_bytes() == GOOD + b"\n"
    told = (tmp_path / "d" / "ledger.jsonl").read_text()
    assert "record.damaged" in told


def test_a_table_without_rows(curate: Curate, tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    told = curate("dedup", "--input", path, "--out", tmp_path / "d", code=2).output
    assert "an empty file" in told


def test_a_file_that_was_mended_is_no_changed_input(curate: Curate, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"")
    curate("dedup", "--input", path, "--out", tmp_path / "d", code=2)
    path.write_bytes(GOOD + b"\n")
    curate("dedup", "--input", path, "--out", tmp_path / "d")
    assert (tmp_path / "d" / "documents.jsonl").read_bytes() == GOOD + b"\n"


@pytest.mark.parametrize(("large", "code"), [(20, 2), (150, 0)])
def test_rows_that_are_too_large_are_rows(
    curate: Curate, tmp_path: Path, large: int, code: int
) -> None:
    """Where a hundred are too large and more follow, what fits may stand behind them."""
    row = json.dumps({"text": "a" * 3_000}) + "\n"
    path = tmp_path / "rows.jsonl"
    path.write_text(row * large + (GOOD.decode() + "\n" if code == 0 else ""))
    recipe = tmp_path / "recipe.yaml"
    source = f"{{kind: jsonl, format: text, max_row_bytes: 2000, paths: ['{path}']}}"
    recipe.write_text(f"{{name: r, sources: {{c: {source}}}}}")
    build = ("build-shards", recipe, "--out", tmp_path / "o", "--until", "documents")
    told = curate(*build, code=code).output
    assert "record.too_large" in told
    if code == 0:
        (ledger,) = (tmp_path / "o" / "ledger" / "documents").rglob("*.parquet")
        rules = pq.read_table(ledger)["rule"].to_pylist()
        assert rules == ["record.too_large"] * large
