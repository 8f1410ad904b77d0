"""`curate dedup` and `curate decontaminate` over files of documents."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from tests.texts import prose, with_words_replaced

Curate = Callable[..., Result]

TEXT = prose("text", 300)
ITEM = prose("item", 25).replace("\n", " ")
ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": TEXT, "lang": "xx", "extra": {"n": [1, 2]}},
    {"id": "b", "text": with_words_replaced(TEXT, 0.01, "b")[:-9], "lang": "xx"},
    {"id": "c", "text": f"{prose('c', 120)}\n{ITEM}\n{prose('d', 120)}", "lang": "yy"},
    {"id": "d", "text": prose("other", 80), "lang": "zz"},
]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def benchmark_file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "items.jsonl", [{"id": "q1", "text": ITEM}])


def test_dedup(curate: Curate, tmp_path: Path) -> None:
    first = write_rows(tmp_path / "1.jsonl.gz", ROWS[:2])
    second = tmp_path / "2.jsonl"
    second.write_bytes(b'not json\n{"id": "d", "text": "  spaced   as it was "}\n')
    out = tmp_path / "out"
    result = curate("dedup", "--input", first, second, "--out", out)
    assert "3 documents in, 2 out" in result.output
    assert "1 dropped by dedup.near" in result.output
    kept = (out / "documents.jsonl").read_bytes().splitlines()
    assert kept == [json.dumps(ROWS[0]).encode(), second.read_bytes().splitlines()[1]]
    rows = {row["id"]: row for row in read_rows(out / "ledger.jsonl")}
    assert rows["b"]["rule"] == "dedup.near"
    assert rows["b"]["match"] == "a"
    assert rows["2.jsonl@0"]["rule"] == "record.damaged"
    report = json.loads((out / "report.json").read_text())
    assert report["cluster_sizes"] == {"2": 1}
    assert report["largest_clusters"][0]["kept_id"] == "a"
    assert report["largest_clusters"][0]["dropped"][0]["id"] == "b"
    again = curate("dedup", "--input", first, second, "--out", out)
    assert again.stdout == result.stdout


def test_dedup_cuts_what_pages_of_a_domain_repeat(curate: Curate, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "url": "http://h/a", "text": f"Home of the club\n{prose('a', 80)}", "n": 1},
        {"id": "b", "url": "http://h/b", "text": f"{prose('b', 80)}\nHome of the club", "n": 2},
        {"id": "c", "url": "http://h/c", "text": "Home of the club", "n": 3},
        {"id": "d", "url": "http://other/d", "text": "Home of the club\n", "n": 4},
    ]
    source = write_rows(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out"
    result = curate("dedup", "--input", source, "--out", out, "--repeated", "line")
    kept = {row["n"]: row["text"] for row in read_rows(out / "documents.jsonl")}
    assert kept[1] == prose("a", 80)
    assert kept[2] == prose("b", 80)
    assert kept[4] == "Home of the club\n"
    assert 3 not in kept
    assert "2 lines cut that documents of a domain repeat" in result.output
    told = {(r["id"], r["rule"], r["action"]) for r in read_rows(out / "ledger.jsonl")}
    assert {("a", "dedup.line", "cut"), ("b", "dedup.line", "cut")} <= told
    report = json.loads((out / "report.json").read_text())
    assert report["lines_cut"] == 2
    assert report["documents_in"] - sum(report["documents_dropped"].values()) == len(kept)


def test_dedup_of_parquet_against_an_earlier_run(curate: Curate, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS[:1]), tmp_path / "old.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[1:]), tmp_path / "new.parquet")
    curate("dedup", "--input", tmp_path / "old.parquet", "--out", tmp_path / "old")
    curate(
        "dedup", "--input", tmp_path / "new.parquet", "--out", tmp_path / "new",
        "--against", tmp_path / "old",
    )  # fmt: skip
    left = pq.read_table(tmp_path / "new" / "documents.parquet")
    assert left.schema.equals(pq.read_schema(tmp_path / "new.parquet"))
    assert left.to_pylist() == pq.read_table(tmp_path / "new.parquet").to_pylist()[1:]
    (row,) = read_rows(tmp_path / "new" / "ledger.jsonl")
    assert (row["id"], row["match"], row["match_is_of_this_run"]) == ("b", "a", False)


@pytest.mark.parametrize("name", ["docs.jsonl", "docs.parquet"])
def test_decontaminate(curate: Curate, tmp_path: Path, benchmark_file: Path, name: str) -> None:
    documents = tmp_path / name
    if documents.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), documents)
    else:
        write_rows(documents, ROWS)
    out = tmp_path / "out"
    result = curate(
        "decontaminate", "--benchmarks", benchmark_file, "--input", documents, "--out", out
    )
    assert "items: 1 of 1 items in 1 documents cut, 0 dropped, 0 tagged" in result.output
    given, left = read_rows(documents), read_rows(out / f"documents{documents.suffix}")
    assert [row["id"] for row in left] == ["a", "b", "c", "d"]
    assert [left[n] for n in (0, 1, 3)] == [given[n] for n in (0, 1, 3)]
    assert ITEM[20:60] not in left[2]["text"]
    assert left[2]["lang"] == "yy"
    (row,) = read_rows(out / "ledger.jsonl")
    assert (row["id"], row["action"], row["benchmark"], row["match"]) == ("c", "cut", "items", "q1")
    start, end = row["matches"][0]["start"], row["matches"][0]["end"]
    assert ROWS[2]["text"][start:end] == ITEM.rstrip(".")
    report = json.loads((out / "report.json").read_text())
    assert report["documents_cut"] == 1
    (told,) = report["benchmarks"]
    assert (told["items"], told["items_hit"], told["documents_cut"]) == (1, 1, 1)
    assert told["examples"][0]["before"].endswith("\n")


def test_interleaved_documents_keep_their_images(
    curate: Curate, tmp_path: Path, benchmark_file: Path
) -> None:
    image = {"type": "image", "url": "http://h/a.png", "alt": "x", "own": "field"}
    segments = [
        {"type": "text", "text": prose("s", 150), "style": "kept?"}, image,
        {"type": "text", "text": ITEM}, {**image, "url": "data:image/png;base64,AAAA"},
    ]  # fmt: skip
    path = write_rows(tmp_path / "docs.jsonl", [{"id": "i", "segments": segments}])
    out = tmp_path / "out"
    curate("decontaminate", "--benchmarks", benchmark_file, "--input", path, "--out", out)
    (row,) = read_rows(out / "documents.jsonl")
    assert [s for s in row["segments"] if s["type"] == "image"] == [segments[1], segments[3]]
    texts = [s["text"] for s in row["segments"] if s["type"] == "text"]
    assert len(texts) == 1
    assert segments[0]["text"].startswith(texts[0])


def test_an_index_stands_in_for_its_benchmarks(
    curate: Curate, tmp_path: Path, benchmark_file: Path
) -> None:
    index = tmp_path / "shipped.index"
    result = curate("benchmark-index", "build", "--benchmarks", benchmark_file, "--out", index)
    assert "1 texts of 1 benchmarks" in result.output
    documents = write_rows(tmp_path / "docs.jsonl", ROWS)
    for name, benchmark in (("plain", benchmark_file), ("index", index)):
        curate(
            "decontaminate", "--benchmarks", benchmark, "--input", documents,
            "--out", tmp_path / name, "--action", "drop",
        )  # fmt: skip
    for file in ("documents.jsonl", "ledger.jsonl"):
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "index" / file).read_bytes()
    assert [row["id"] for row in read_rows(tmp_path / "index" / "documents.jsonl")] == [
        "a", "b", "d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dedup", "--input", "{t}/none.jsonl", "--out", "{t}/o"), "no file matches"),
        (("dedup", "--input", "{t}/a.parquet", "{t}/b.jsonl", "--out", "{t}/o"), "one kind"),
        (("dedup", "--input", "{t}/b.jsonl", "--out", "{t}/o", "--bands", "200"), "at most 1024"),
        (
            ("decontaminate", "--benchmarks", "{t}/x.jsonl", "--input", "{t}/b.jsonl", "--out",
             "{t}/o"),
            "no file matches",
        ),
        (("benchmark-index", "build", "--benchmarks", "{t}/b.jsonl", "--out", "{t}/i"), ".index"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said(
    curate: Curate, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_rows(tmp_path / "b.jsonl", ROWS[:1])
    result = curate(*(a.format(t=tmp_path) for a in arguments), code=2)
    assert message in result.output


def test_the_registry_is_printed(curate: Curate) -> None:
    assert "hellaswag:" in curate("benchmark-index", "registry").output


def test_addresses_are_no_keys_unless_they_are_pages(curate: Curate, tmp_path: Path) -> None:
    """Passages of a book share one, and `N/A` is none."""
    texts = [f"Passage {n} tells of {n * 7} boats and {n * 3} nets." for n in range(3)]
    for name, url in (("book", "http://books.test/1"), ("none", "N/A")):
        rows = [{"id": str(n), "text": text, "url": url} for n, text in enumerate(texts)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        for option, left in (("--no-urls", 3), ("--urls", 1 if name == "book" else 3)):
            out = tmp_path / f"{name}{option}"
            curate("dedup", "--input", path, "--out", out, option)
            assert len(read_rows(out / "documents.jsonl")) == left


def test_lone_surrogates_stay_escapes(curate: Curate, tmp_path: Path) -> None:
    item = "the keeper climbs the lighthouse every evening to see that the lamp is burning"
    text = f"{'A quiet harbour. ' * 40}{item} {'Boats lie at the quay. ' * 40}"
    (tmp_path / "bench.jsonl").write_text(json.dumps({"id": "b", "text": item}))
    (tmp_path / "given.jsonl").write_text(
        json.dumps({"id": "x\udc80", "text": text, "n": "é\ud800"})
    )
    curate(
        "decontaminate", "--benchmarks", tmp_path / "bench.jsonl",
        "--input", tmp_path / "given.jsonl", "--out", tmp_path / "out",
    )  # fmt: skip
    written = (tmp_path / "out" / "documents.jsonl").read_bytes().decode("utf-8")
    assert "\\ud800" in written
    assert "é" in written
    assert json.loads(written)["n"] == "é\ud800"
    assert item not in written
    (tmp_path / "out" / "ledger.jsonl").read_bytes().decode("utf-8")


def test_an_item_that_many_documents_hold_is_named(curate: Curate, tmp_path: Path) -> None:
    item = "the keeper climbs the lighthouse every evening to see that the lamp is burning"
    (tmp_path / "bench.jsonl").write_text(json.dumps({"id": "stock", "text": item}))
    rows = [{"id": str(n), "text": f"{'Boats. ' * (60 + n)}{item}. End."} for n in range(20)]
    (tmp_path / "given.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = curate(
        "decontaminate", "--benchmarks", tmp_path / "bench.jsonl", "--action", "tag",
        "--input", tmp_path / "given.jsonl", "--out", tmp_path / "out",
    )  # fmt: skip
    assert "item stock is in 20 of them" in told.output
    (benchmark,) = json.loads((tmp_path / "out" / "report.json").read_text())["benchmarks"]
    assert benchmark["frequent_items"][0]["documents"] == 20
