"""Benchmark files and the registry that tells which of their fields are text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.decontamination.benchmarks import (
    BenchmarkError,
    Item,
    built_in_registry,
    read_benchmark,
    read_registry,
)

REGISTRY = read_registry(built_in_registry(), "built in")


def write(path: Path, *rows: dict) -> str:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


@pytest.mark.parametrize(
    ("name", "row", "texts"),
    [
        ("mine.jsonl", {"id": 7, "text": "A text."}, ["A text."]),
        ("hellaswag_val.jsonl.gz", {"id": 7, "ctx": "He", "endings": ["runs", "sits"]},
         ["He", "He runs", "He sits"]),
        ("winograd_wsc.jsonl", {"id": 7, "context_options": ["Paul", "George"],
                                "continuation": "left."}, ["Paul left.", "George left."]),
        ("dataset_coco.jsonl", {"id": 7, "sentences": [{"raw": "A cat."}, {"raw": "A dog."}]},
         ["A cat.", "A dog."]),
        ("arc_easy.dev.jsonl", {"id": 7, "query": "Question: Why? Answer:"}, ["Why?"]),
        ("hellaswag.jsonl", {"id": 7, "text": "Rewritten as text."}, ["Rewritten as text."]),
    ],
)  # fmt: skip
def test_items(tmp_path: Path, name: str, row: dict, texts: list[str]) -> None:
    items = read_benchmark(write(tmp_path / name, row), REGISTRY)
    assert [i.text for i in items] == texts
    assert {i.id for i in items} == {"7"}


def test_a_users_set_in_four_lines(tmp_path: Path) -> None:
    registry = read_registry(
        "my_set:\n  files: [my_set*]\n  id: key\n  texts: ['{q.text} {a[].text}']\n", "user"
    )
    row = {"key": "k", "q": {"text": "Who?"}, "a": [{"text": "I."}, {"text": "You."}]}
    path = tmp_path / "my_set_test.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    assert read_benchmark(str(path), registry) == [
        Item(benchmark="my_set", id="k", text="Who? I."),
        Item(benchmark="my_set", id="k", text="Who? You."),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1, "prompt": "x"}\n', r"rows have no `text` \(they have id, prompt\)"),
        ("", "holds no rows"),
        ("[1]\n", "line 1 is no JSON object"),
        ("{", "can't be read as a benchmark"),
    ],
)
def test_what_can_not_be_used_is_said(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=message):
        read_benchmark(str(path), REGISTRY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "must map names"),
        ("a: {fields: [x]}", "a must have `texts`"),
        ("a: {texts: ['{x}'], remove: ['(']}", "`remove` is no pattern"),
        ("a: [", "can't be read as YAML"),
    ],
)
def test_a_wrong_registry_is_said(text: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        read_registry(text, "r.yaml")
