"""The whole way, through the command line: what comes out, and that it is the same every time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from curate import Shard, Vocabulary
from curate.schemas.document import ImageSegment, TextSegment, document_from_row
from curate.tokenization.formats import document_lines
from tests.conftest import write_warc
from tests.curate.conftest import HOST, crawl, shard_bytes

Curate = Callable[..., Result]


def rows_of(out: Path, source: str) -> list[dict]:
    shards = [Shard(str(p)) for p in sorted((out / "shards" / source).glob("*.arrow"))]
    return [shard.row(i) for shard in shards for i in range(shard.rows)]


def selected(out: Path, source: str) -> list:
    return [
        document_from_row(row)
        for path in sorted((out / "selected" / source).glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_in_is_out_and_dropped_at_every_stage(run_folder: Path) -> None:
    stats = json.loads((run_folder / "report" / "stats.json").read_text())
    assert stats["complete"]
    assert len(stats["stages"]) > 10
    for row in stats["stages"]:
        assert row["in"] == row["out"] + row["dropped"], row
    ledger = Counter(
        (row["stage"], row["source"], row["kind"], row["rule"])
        for path in (run_folder / "ledger").rglob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    )
    told = {(d["stage"], d["source"], d["kind"], d["rule"]): d["count"] for d in stats["drops"]}
    assert ledger == told


def test_every_rule_that_the_crawl_breaks_is_in_the_ledger(run_folder: Path) -> None:
    stats = json.loads((run_folder / "report" / "stats.json").read_text())
    rules = {d["rule"] for d in stats["drops"]}
    assert rules >= {
        "record.damaged",
        "record.media_type",
        "page.language",
        "page.min_words",
        "page.no_image",
        "consent.header",
        "consent.meta",
        "node.repeated",
        "image.icon",
        "image.min_side",
        "image.single_color",
        "image.truncated",
        "fetch.disabled",
        "node.image_dropped",
        "node.max_per_document",
        "document.no_image",
        "document.single_image",
    }


def test_documents_have_one_to_five_images(run_folder: Path) -> None:
    counts = Counter(len(d.images) for d in selected(run_folder, "web"))
    assert set(counts) == {1, 2, 5}
    assert all(s.stored for d in selected(run_folder, "web") for s in d.images)
    candidates = 12 * 4
    assert 0.25 * candidates < counts[1] < 0.75 * candidates


def test_decoding_the_rows_gives_back_every_document(run_folder: Path) -> None:
    vocabulary = Vocabulary((run_folder / "tokenizer" / "sentencepiece.model").read_bytes())
    told = [
        row
        for path in (run_folder / "ledger" / "shards").rglob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    assert {(row["kind"], row["rule"]) for row in told} == {("line", "pack.text_without_image")}
    cut = {row["id"] for row in told}
    # The pages of which the text behind the last image is longer than a row.
    assert {d.url for d in selected(run_folder, "web") if d.id in cut} == {
        f"{HOST}/page{part * 100 + page}.html" for part in range(4) for page in (0, 2)
    }
    for source in ("web", "prose", "captions"):
        tokens: dict[str, list[int]] = {}
        images: Counter[str] = Counter()
        for row in rows_of(run_folder, source):
            assert len(row["input_ids"]) <= 256
            assert len(row["loss_mask"]) == len(row["input_ids"])
            for span in row["documents"]:
                # A line may go on in the next row.
                tokens.setdefault(span["id"], []).extend(
                    row["input_ids"][span["start"] : span["end"]]
                )
                images[span["id"]] += sum(
                    span["start"] <= s["offset"] < span["end"] for s in row["image_slots"]
                )
        documents = selected(run_folder, source)
        assert set(tokens) == {d.id for d in documents}
        for document in documents:
            assert images[document.id] == len(document.images)
            if document.id in cut:
                continue
            expected = [vocabulary.normalize(line) for line in document_lines(document)]
            assert vocabulary.decode(tokens[document.id]).split("\n") == expected


def test_images_are_those_of_the_index(run_folder: Path) -> None:
    seen = 0
    for row in rows_of(run_folder, "web"):
        for image in row["images"]:
            assert image["bytes"].startswith(b"\xff\xd8\xff")
            assert (image["width"], image["height"]) == (64, 64)
            seen += 1
    assert seen == sum(len(d.images) for d in selected(run_folder, "web"))


def test_metadata_names_what_made_the_shard(run_folder: Path) -> None:
    about = json.loads((run_folder / "run.json").read_text())
    for path in (run_folder / "shards").rglob("*.arrow"):
        metadata = Shard(str(path)).metadata
        assert metadata["recipe_fingerprint"] == about["recipe_fingerprint"]
        assert metadata["block"] == "256"
        assert metadata["source"] == path.parent.name


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_shards_are_the_same_for_any_workers_and_order_of_input(
    curate: Curate,
    run_folder: Path,
    crawl_folder: Path,
    recipe_path: Path,
    tmp_path: Path,
    workers: int,
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(crawl_folder, moved)
    names = sorted(moved.iterdir())
    order = names[workers:] + names[:workers]
    inputs = [a for name in order for a in ("--input", name)]
    curate("build-shards", recipe_path, *inputs, "--out", tmp_path / "out", "--workers", workers)
    assert shard_bytes(tmp_path / "out") == shard_bytes(run_folder)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    run_folder: Path, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "curate.cli", "build-shards", str(recipe_path)]
    command += ["--input", f"{crawl_folder}/*.warc.gz", "--out", str(out), "--workers", "2"]
    moments = ["documents", "image-plan", "images", "selection", "shards"]
    for moment in moments:
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not any((out / "stages" / moment).rglob("[ps]*-*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert shard_bytes(out) == shard_bytes(run_folder)
    assert not list(out.rglob("*.tmp"))


def test_what_is_done_is_not_done_again(
    curate: Curate, run_folder: Path, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(run_folder, out)
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/**/part-*.parquet")}
    curate("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    assert {p: p.stat().st_mtime_ns for p in out.glob("*/**/part-*.parquet")} == before


def test_finished_parts_of_unfinished_stages_are_not_made_again(
    curate: Curate, run_folder: Path, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    """Every stage as a kill in its middle leaves it: without its end, every second part missing."""
    out = tmp_path / "copy"
    shutil.copytree(run_folder, out)
    kept, gone = [], []
    for success in (out / "stages").glob("*/_SUCCESS.json"):
        success.unlink()
        markers = sorted(success.parent.rglob("*.json"))
        kept += markers[::2]
        gone += markers[1::2]
    for marker in gone:
        marker.unlink()
    assert len(gone) > 15
    ledgers = [_ledger_of(out, marker) for marker in kept]
    before = {path: _identity(path) for path in (*kept, *ledgers) if path.exists()}
    assert len(before) > len(kept)
    curate("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    assert {path: _identity(path) for path in before} == before
    assert all(marker.exists() for marker in gone)
    assert shard_bytes(out) == shard_bytes(run_folder)


def _ledger_of(out: Path, marker: Path) -> Path:
    part = marker.relative_to(out / "stages").with_suffix(".parquet")
    return out / "ledger" / part


def _identity(path: Path) -> tuple[int, int]:
    """Another one where the file was written again, be it with the same bytes."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def test_until_stops_and_a_later_run_goes_on(
    curate: Curate, run_folder: Path, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    result = curate(*arguments, "--until", "selection", "--json")
    assert json.loads(result.stdout)["complete"] is False
    assert not (out / "shards").exists()
    model = tmp_path / "own.model"
    curate("train-tokenizer", out, "--model", model, "--vocabulary", 200)
    assert 100 < Vocabulary(model.read_bytes()).pieces <= 200
    curate(*arguments)
    assert shard_bytes(out) == shard_bytes(run_folder)


def test_runs_are_never_mixed(
    curate: Curate, run_folder: Path, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(recipe_path.read_text() + "seed: 7\n")
    inputs = ("--input", f"{crawl_folder}/*.warc.gz", "--out", run_folder)
    result = curate("build-shards", other, *inputs, code=1)
    assert "holds a run of another recipe" in result.output
    fewer = ("--input", f"{crawl_folder}/crawl-0*", "--out", run_folder)
    result = curate("build-shards", recipe_path, *fewer, code=1)
    assert "holds a run of another input" in result.output


def test_a_run_killed_in_its_first_stage_is_not_mixed_either(
    curate: Curate, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "curate.cli", "build-shards", str(recipe_path)]
    command += ["--input", f"{crawl_folder}/*.warc.gz", "--out", str(out)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((out / "stages").rglob("part-*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    other = tmp_path / "other.yaml"
    other.write_text(recipe_path.read_text() + "seed: 7\n")
    inputs = ("--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    assert "holds a run of another recipe" in curate("build-shards", other, *inputs, code=1).output


def test_the_halving_depends_on_the_seed(
    curate: Curate, run_folder: Path, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(recipe_path.read_text() + "seed: 7\n")
    out = tmp_path / "out"
    inputs = ("--input", f"{crawl_folder}/*.warc.gz", "--out", out, "--until", "selection")
    curate("build-shards", other, *inputs)
    assert {d.id for d in selected(out, "web")} != {d.id for d in selected(run_folder, "web")}


def test_a_given_model_is_used(
    curate: Curate, small_model: bytes, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    model = tmp_path / "given.model"
    model.write_bytes(small_model)
    recipe = tmp_path / "given.yaml"
    recipe.write_text(
        recipe_path.read_text().replace("tokenization:", f"tokenization:\n  model: {model}")
    )
    out = tmp_path / "out"
    curate("build-shards", recipe, "--input", f"{crawl_folder}/crawl-0*", "--out", out)
    assert (out / "tokenizer" / "sentencepiece.model").read_bytes() == small_model
    model.write_bytes(b"not a model")
    result = curate(
        "build-shards", recipe, "--input", f"{crawl_folder}/crawl-0*", "--out", out / "b", code=1
    )
    assert "not a SentencePiece model" in result.output


def test_nothing_left_is_an_error_that_says_where_to_look(
    curate: Curate, recipe_path: Path, tmp_path: Path
) -> None:
    write_warc(tmp_path / "w.warc.gz", [(f"{HOST}/x", b"", {"Content-Type": "text/html"})])
    result = curate(
        "build-shards",
        recipe_path,
        "--input",
        tmp_path / "w.warc.gz",
        "--out",
        tmp_path / "o",
        code=1,
    )
    assert "no document came through the filters" in result.output


def test_unpacked_rows_hold_one_document(
    curate: Curate, crawl_folder: Path, recipe_path: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "unpacked.yaml"
    recipe.write_text(
        recipe_path.read_text().replace("tokenization:", "tokenization:\n  pack: false")
    )
    out = tmp_path / "out"
    curate("build-shards", recipe, "--input", f"{crawl_folder}/crawl-0*", "--out", out)
    for source in ("web", "captions"):
        rows = rows_of(out, source)
        assert rows
        assert {len(r["documents"]) for r in rows} == {1}
        assert all(r["images"] for r in rows)
        assert {r["documents"][0]["id"] for r in rows} == {d.id for d in selected(out, source)}


def test_permuted_records_give_the_same_documents(
    curate: Curate, recipe_path: Path, tmp_path: Path
) -> None:
    texts = []
    for name, order in (("a", 1), ("b", -1)):
        (tmp_path / name).mkdir()
        write_warc(tmp_path / name / "w.warc.gz", crawl(0)[::order])
        out = tmp_path / f"out-{name}"
        inputs = ("--input", tmp_path / name / "w.warc.gz", "--out", out, "--until", "documents")
        curate("build-shards", recipe_path, *inputs)
        found = [
            document_from_row(row)
            for row in pq.read_table(out / "documents" / "web" / "part-00000.parquet").to_pylist()
        ]
        texts.append({d.url: d.segments for d in found})
    assert texts[0] == texts[1]
    kinds = {type(s) for segments in texts[0].values() for s in segments}
    assert kinds == {TextSegment, ImageSegment}
