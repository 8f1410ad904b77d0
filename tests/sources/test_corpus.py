"""Text corpora, well-formed and damaged, to documents."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from warcio.warcwriter import WARCWriter

from curate.demo.server import Resource, serve
from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.settings.recipe_file import RecipeError, parse_recipe
from curate.schemas.settings.source import Source
from curate.sources.corpus import RejectedRow, read_corpus
from curate.sources.listing import InputError, list_inputs

ROWS: list[dict[str, Any]] = [
    {"text": "First line.\nSecond line.", "meta": {"pile_set_name": "Pile-CC"}},
    {"id": 12, "text": "Code.", "meta": {"pile_set_name": "Github"}},
    {"id": "b3", "text": "Book.", "meta": {"pile_set_name": "Books3", "url": "http://h/b"}},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def read(path: Path, kind: str = "jsonl", **settings: Any) -> list[Document | RejectedRow]:
    source = Source.model_validate({"kind": kind, "format": "text", **settings})
    return list(read_corpus(str(path), source, path.name, "corpus"))


def told(items: list[Document | RejectedRow]) -> list[str]:
    return [i.text if isinstance(i, Document) else i.drop.rule for i in items]


def to_parquet(data: bytes) -> bytes:
    buffer = io.BytesIO()
    rows = [json.loads(line) for line in data.splitlines()]
    pq.write_table(pa.Table.from_pylist([{**r, "id": str(r.get("id", ""))} for r in rows]), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.zst", zstandard.compress),
        ("frames.jsonl.zst", lambda d: zstandard.compress(d[:9]) + zstandard.compress(d[9:])),
        ("a.jsonl.bz2", bz2.compress),
        ("a.parquet", to_parquet),
    ],
)
def test_every_container_gives_the_same(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(LINES))
    kind = "parquet" if name.endswith("parquet") else "jsonl"
    documents = read(path, kind)
    assert told(documents) == [row["text"] for row in ROWS]
    assert [d.origin.offset for d in documents] == [0, 1, 2]
    ids = [d.id for d in documents if isinstance(d, Document)]
    assert ids[1:] == ["12", "b3"]
    assert len(ids[0]) == 32
    assert documents[2].url == "http://h/b"


def test_the_piles_sets_are_selected(tmp_path: Path) -> None:
    path = tmp_path / "pile.jsonl"
    path.write_bytes(LINES)
    select = {"meta.pile_set_name": ["Pile-CC", "Books3"]}
    assert told(read(path, select=select)) == [
        ROWS[0]["text"], "record.not_selected", ROWS[2]["text"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"text": "fine"}', "fine"),
        (b'{"text": ', "record.damaged"),
        (b"[1, 2]", "record.damaged"),
        (b"\xff\xfe{}", "record.damaged"),
        (b"[" * 100_000, "record.damaged"),
        (b'{"text": 5}', "record.no_text"),
        (b'{"other": "x"}', "record.no_text"),
        (b'{"text": "  \\n"}', "record.no_text"),
        (b"", "record.no_text"),
        (b'{"text": "lone \\ud800 surrogate"}', "lone ? surrogate"),
        (b'{"segments": [{"type": "text", "text": "a"}, 3]}', "record.damaged"),
    ],
)
def test_a_bad_row_costs_itself_alone(tmp_path: Path, line: bytes, expected: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    assert told(read(path)) == ["before", expected, "after"]


@pytest.mark.parametrize(
    ("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)]
)
def test_a_truncated_file_gives_what_it_has(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    whole = pack(b"".join(b'{"text": "row %d"}\n' % n for n in range(200_000)))
    path.write_bytes(whole[: len(whole) // 2])
    items = told(read(path))
    assert items[-1] == "record.damaged"
    assert len(items) > 1_000
    assert items.count("record.damaged") == 1


def test_segments_keep_their_images(tmp_path: Path) -> None:
    segments = [
        {"type": "text", "text": "before"},
        {"type": "image", "url": "http://h/i.png", "alt": "a boat"},
        {"type": "text", "text": "after"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "x", "segments": segments}))
    (document,) = read(path, format="interleaved")
    assert isinstance(document, Document)
    assert document.segments == (
        TextSegment(text="before"),
        ImageSegment(url="http://h/i.png", alt="a boat"),
        TextSegment(text="after"),
    )


def test_another_field_may_hold_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"doc": {"body": "words"}, "key": 4}')
    (document,) = read(path, text_field="doc.body", id_field="key")
    assert (document.text, document.id) == ("words", "4")


def test_plain_text_is_a_document_a_file(tmp_path: Path) -> None:
    path = tmp_path / "moby-dick.txt.gz"
    path.write_bytes(gzip.compress("\ufeffCall me Ishmael.\n\nSome years ago.".encode()))
    (document,) = read(path, "text")
    assert (document.title, document.text) == ("moby-dick", "Call me Ishmael.\n\nSome years ago.")


def test_wet_files_give_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.wet.gz"
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for url, text in (("http://h/1", "One.\nTwo."), ("http://h/2", " ")):
            writer.write_record(
                writer.create_warc_record(
                    url,
                    "conversion",
                    payload=io.BytesIO(text.encode()),
                    warc_content_type="text/plain",
                )
            )
    documents = read(path, "wet")
    assert told(documents) == ["One.\nTwo.", "record.no_text"]
    assert documents[0].url == "http://h/1"


def test_a_folder_in_the_hugging_face_layout(tmp_path: Path) -> None:
    for name in ("en/train-00000-of-00002.parquet", "en/test-00000-of-00001.parquet",
                 "de/train/0.parquet", "README.md"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(to_parquet(LINES))

    def names(**settings: Any) -> list[str]:
        given = {"kind": "parquet", "format": "text", "paths": [str(tmp_path)], **settings}
        return [f.name for f in list_inputs("hf", Source.model_validate(given))]

    assert names() == [
        "de/train/0.parquet", "en/test-00000-of-00001.parquet", "en/train-00000-of-00002.parquet",
    ]  # fmt: skip
    assert names(split="train") == ["de/train/0.parquet", "en/train-00000-of-00002.parquet"]
    with pytest.raises(InputError, match="no jsonl file matches"):
        names(kind="jsonl")


@pytest.mark.parametrize("row_group_size", [100, 250, 1_000])
def test_nested_columns_of_many_row_groups(tmp_path: Path, row_group_size: int) -> None:
    path = tmp_path / "a.parquet"
    segments = [[{"type": "text", "text": f"row {n}"}] for n in range(600)]
    pq.write_table(pa.table({"segments": segments}), path, row_group_size=row_group_size)
    assert told(read(path, "parquet")) == [f"row {n}" for n in range(600)]


def test_datatroves_fields_are_read(tmp_path: Path) -> None:
    row = {"text": "words", "id": "1", "metadata": {"url": "http://h/d", "date": "2024-01-01"}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for kind in ("jsonl", "parquet"):
        (document,) = read(tmp_path / f"a.{kind}", kind)
        assert isinstance(document, Document)
        assert (document.url, document.date) == ("http://h/d", "2024-01-01")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"kind": "jsonl", "format": "pairs"},
            "pairs of jsonl rows, which only tables and `warc` do",
        ),
        ({"kind": "parquet", "format": "text", "crawl": "CC-MAIN-2023-06"}, "holds no parquet"),
        ({"kind": "csv", "format": "text"}, "must be 'warc', 'jsonl'"),
    ],
)
def test_what_a_kind_can_not_do(source: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe({"name": "r", "sources": {"s": source}}, "r")


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_rows_are_read_from_a_server(compression: str) -> None:
    """A remote file is another stream than a local one; one of its lines is too long."""
    lines = LINES + json.dumps({"text": "x" * 3_000}).encode() + b"\n" + LINES
    packed = {
        "": lines,
        ".gz": gzip.compress(lines),
        ".zst": zstandard.ZstdCompressor().compress(lines),
    }
    name = f"/rows.jsonl{compression}"
    with serve({name: Resource(packed[compression], "application/octet-stream")}) as address:
        source = Source(kind="jsonl", format="text", max_row_bytes=1_000)
        found = list(read_corpus(f"http://{address}{name}", source, "rows.jsonl", "corpus"))
    texts = [row["text"] for row in ROWS]
    assert told(found) == [*texts, "record.too_large", *texts]
