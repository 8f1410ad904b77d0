"""Instruction data in its published layouts, to prompts and answers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.schemas.document import Document, TextSegment
from curate.schemas.settings.recipe_file import RecipeError, parse_recipe
from curate.schemas.settings.source import Source
from curate.sources.corpus import RejectedRow
from curate.sources.instructions import exchanges_of, read_instructions
from curate.sources.listing import list_inputs
from tests.conftest import SHARED_DATA, needs_shared_data


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {
                "instruction": "Sort.",
                "instances": [
                    {
                        "instruction_with_input": "Sort.\n3 1",
                        "input": "3 1",
                        "constraints": "None.",
                        "output": "1 3",
                    },
                    {"input": "2 1", "output": "1 2"},
                    {"input": "", "output": "Nothing."},
                ],
            },
            [("Sort.\n3 1", "1 3"), ("Sort.\n2 1", "1 2"), ("Sort.", "Nothing.")],
        ),
        (
            {"instruction": "Greet.", "input": "<noinput>", "output": " Hello. "},
            [("Greet.", "Hello.")],
        ),
        ({"instruction": "Greet.", "input": "Ann", "output": "Hi"}, [("Greet.\nAnn", "Hi")]),
        (
            {"inputs": "Q", "targets": "A", "_template_type": "zs_opt", "_task_name": "t"},
            [("Q", "A")],
        ),
        ({"inputs_pretokenized": "Q ", "targets_pretokenized": "\nA"}, [("Q", "A")]),
        ({"prompt": "Q", "completion": "A"}, [("Q", "A")]),
        (("Q", "no", "Because."), [("Q", "Because. The answer is no.")]),
    ],
)
def test_published_layouts(row: Any, expected: list[tuple[str, str]]) -> None:
    assert exchanges_of(row) == expected


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ([1], "record.damaged"),
        ({"question": "Q", "answer": "A"}, "record.no_instruction"),
        ({"instruction": "Q", "output": " "}, "record.no_text"),
        ({"instruction": "Q", "instances": []}, "record.no_text"),
        ({"instruction": "Q", "instances": [{"input": "x"}]}, "record.damaged"),
        ({"instruction": "Q", "instances": [3]}, "record.damaged"),
        ({"prompt": None, "completion": ""}, "record.no_text"),
    ],
)
def test_what_gives_no_document_has_a_rule(row: Any, rule: str) -> None:
    found = exchanges_of(row)
    assert not isinstance(found, list)
    assert found.rule == rule


def read(path: Path, **settings: Any) -> list[Document | RejectedRow]:
    source = Source.model_validate({"kind": "instructions", "format": "instruction", **settings})
    return list(read_instructions(str(path), source, path.name, "asked"))


def test_files_of_every_kind(tmp_path: Path) -> None:
    rows = [{"id": 7, "inputs": "Q1", "targets": "A1"}, {"inputs": "Q2", "targets": "A2"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows) + "{broken\n"
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.encode()))
    found = read(packed)
    first, second, broken = found
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert isinstance(broken, RejectedRow)
    assert first.segments == (TextSegment(text="Q1", prompt=True), TextSegment(text="A1"))
    assert first.id == "7"
    assert len(second.id) == 32
    assert broken.drop.rule == "record.damaged"
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"inputs": ["Q1"], "targets": ["A1"]}), table)
    (only,) = read(table)
    assert isinstance(only, Document)
    assert only.text == "Q1\nA1"
    tsv = tmp_path / "cot.tsv"
    tsv.write_text("Is it?\\nOptions:\\n- yes\tyes\tIt is.\nbroken line\n")
    chain, damaged = read(tsv)
    assert isinstance(chain, Document)
    assert chain.segments[0] == TextSegment(text="Is it?\nOptions:\n- yes", prompt=True)
    assert chain.segments[1] == TextSegment(text="It is. The answer is yes.")
    assert isinstance(damaged, RejectedRow)
    source = Source.model_validate(
        {"kind": "instructions", "format": "instruction", "paths": [str(tmp_path)]}
    )
    names = [file.name for file in list_inputs("asked", source)]
    assert names == ["cot.tsv", "rows.jsonl.gz", "rows.parquet"]


def test_rows_are_selected(tmp_path: Path) -> None:
    path = tmp_path / "flan.jsonl"
    rows = [{"inputs": f"Q{i}", "targets": "A", "_task_name": f"task{i}"} for i in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(path, select={"_task_name": ["task1"]})
    assert [isinstance(item, Document) for item in found] == [False, True, False]
    assert isinstance(found[0], RejectedRow)
    assert found[0].drop.rule == "record.not_selected"


def test_kind_and_format_go_together() -> None:
    for source in (
        {"kind": "instructions", "format": "text"},
        {"kind": "jsonl", "format": "instruction"},
    ):
        with pytest.raises(RecipeError, match="go together"):
            parse_recipe({"name": "r", "sources": {"asked": source}}, "r.yaml")


@needs_shared_data
@pytest.mark.parametrize("name", ["selfinstruct_seed", "selfinstruct_user_oriented", "t0_train"])
def test_real_rows(name: str) -> None:
    (path,) = (SHARED_DATA / "instruct").glob(f"{name}*.jsonl.gz")
    found = read(path)
    documents = [item for item in found if isinstance(item, Document)]
    assert len(documents) >= 0.98 * len(found)
    assert len({document.id for document in documents}) == len(documents)
    for document in documents:
        prompt, answer = document.segments
        assert isinstance(prompt, TextSegment)
        assert isinstance(answer, TextSegment)
        assert prompt.prompt
        assert not answer.prompt
        assert answer.text.strip()


@needs_shared_data
def test_real_chains_of_thought(tmp_path: Path) -> None:
    """FLAN's files are tab-separated; the shared rows hold their columns."""
    (held,) = (SHARED_DATA / "instruct").glob("flan_v2_cot_gsm8k*.jsonl.gz")
    lines = gzip.decompress(held.read_bytes()).decode().splitlines()
    rows = [json.loads(line)["cols"] for line in lines]
    path = tmp_path / "gsm8k_train.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    found = read(path)
    assert len(found) == len(rows)
    assert all(isinstance(item, Document) for item in found)
