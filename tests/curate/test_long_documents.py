"""Documents that no row holds whole: nothing of them is lost unseen, and no row lacks its image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import Result

from curate import Shard
from curate.pipelines.stages import ConservationError
from curate.schemas.document import document_from_row
from tests.conftest import ENGLISH, html_page, picture, write_warc

Curate = Callable[..., Result]
HOST = "http://site.test"


def text(page: int, place: int, lines: int) -> str:
    return "".join(
        f"<p>{' '.join(f'{ENGLISH[(page + place + i + k) % 4]} Number {i}.' for k in range(2))}</p>"
        for i in range(lines)
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages with one to five images and more or less text before, between and behind them."""
    responses = [
        (f"{HOST}/{i}.png", picture(seed=i), {"Content-Type": "image/png"}) for i in range(40)
    ]
    for page in range(24):
        images = 1 + page % 5
        shown = text(page, 9, page % 7)
        for i in range(images):
            shown += f'<img src="/{(page * 5 + i) % 40}.png">{text(page, i, 1 + page % 4)}'
        shown += text(page, 7, page % 6)
        responses.append(html_page(f"{HOST}/page{page}.html", f"<article>{shown}</article>"))
    return write_warc(tmp_path_factory.mktemp("long") / "long.warc.gz", responses)


def build(curate: Curate, archive: Path, folder: Path, **settings: Any) -> Path:
    recipe = {
        "name": "long",
        "sources": {"web": {"format": "interleaved"}},
        "images": {
            "size": 64,
            "fetch": {"enabled": False},
            "single_image_keep": 0.5,
            "sentences_around": settings.pop("sentences_around", None),
        },
        "tokenization": {"vocabulary": 300, "block": 256, "image_slots": 16, **settings},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    curate("build-shards", folder / "recipe.yaml", "--input", archive, "--out", folder / "out")
    return folder / "out"


def rows_of(out: Path) -> list[dict[str, Any]]:
    shards = [Shard(str(path)) for path in sorted((out / "shards").rglob("*.arrow"))]
    return [shard.row(i) for shard in shards for i in range(shard.rows)]


def ledger_of(out: Path, stage: str) -> list[dict[str, Any]]:
    parts = sorted((out / "ledger" / stage).rglob("*.parquet"))
    return [row for path in parts for row in pq.read_table(path).to_pylist()]


def selected(out: Path) -> list[Any]:
    parts = sorted((out / "selected").rglob("*.parquet"))
    return [document_from_row(r) for path in parts for r in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("mode", ["cut", "split"])
def test_images_and_tokens_are_in_rows_or_told(
    curate: Curate, archive: Path, tmp_path: Path, mode: str, pack: bool
) -> None:
    out = build(curate, archive, tmp_path, long_documents=mode, long_lines=mode, pack=pack)
    rows, ledger, documents = rows_of(out), ledger_of(out, "shards"), selected(out)
    assert all(row["images"] for row in rows)
    wanted = Counter(image.url for d in documents for image in d.images)
    held = Counter(image["url"] for row in rows for image in row["images"])
    told = Counter(row["url"] for row in ledger if row["kind"] == "node")
    assert held + told == wanted
    if mode == "split":
        assert held == wanted
        assert {row["rule"] for row in ledger} <= {"pack.text_without_image"}
    else:
        assert told
    stats = json.loads((out / "report" / "stats.json").read_text())
    tokens = next(s for s in stats["stages"] if (s["stage"], s["kind"]) == ("shards", "token"))
    assert tokens["out"] == sum(len(row["input_ids"]) - 1 for row in rows)
    assert tokens["dropped"] == sum(row["tokens"] or 0 for row in ledger) > 0
    assert tokens["in"] == tokens["out"] + tokens["dropped"]
    assert sum(d["tokens"] for d in stats["drops"]) == tokens["dropped"]


def test_a_document_left_with_one_image_is_judged_as_one(
    curate: Curate, archive: Path, tmp_path: Path
) -> None:
    out = build(curate, archive, tmp_path, long_documents="cut", pack=False)
    rows, ledger = rows_of(out), ledger_of(out, "shards")
    had = {d.id: len(d.images) for d in selected(out)}
    left = {row["documents"][0]["id"]: len(row["images"]) for row in rows}
    halved = [r["id"] for r in ledger if r["rule"] == "document.single_image"]
    assert halved
    assert all(had[i] > 1 and i not in left for i in halved)
    assert [i for i, images in left.items() if images == 1 < had[i]]
    gone = [r for r in ledger if r["rule"] == "node.document_dropped"]
    assert Counter(r["id"] for r in gone) == Counter(halved)


def test_the_trimming_of_the_released_loader(curate: Curate, archive: Path, tmp_path: Path) -> None:
    out = build(curate, archive, tmp_path, sentences_around=3)
    for document in selected(out):
        for end in (document.segments[0], document.segments[-1]):
            if end not in document.images:
                assert end.text.count(".") <= 3
    told = Counter(row["rule"] for row in ledger_of(out, "selection") if row["kind"] == "passage")
    assert set(told) == {"document.sentences_before_images", "document.sentences_behind_images"}


def test_lost_tokens_are_shown_beside_the_count(
    curate: Curate, tmp_path: Path, crawl_folder: Path
) -> None:
    lines = [" ".join(ENGLISH) for _ in range(30)]
    rows = [{"text": line, "id": f"d{i}"} for i, line in enumerate(lines)]
    rows.append({"text": " ".join(ENGLISH * 40), "id": "long", "url": f"{HOST}/long"})
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shown = {}
    for mode in ("cut", "split"):
        recipe = {
            "name": "lines",
            "sources": {
                "c": {"kind": "jsonl", "format": "text", "paths": [str(tmp_path / "lines.jsonl")]}
            },
            "tokenization": {"vocabulary": 300, "block": 256, "long_lines": mode},
        }
        (tmp_path / f"{mode}.yaml").write_text(yaml.safe_dump(recipe))
        out = tmp_path / mode
        shown[mode] = curate("build-shards", tmp_path / f"{mode}.yaml", "--out", out).output
    stats = json.loads((tmp_path / "cut" / "report" / "stats.json").read_text())
    (long,) = (d for d in stats["drops"] if d["rule"] == "pack.line_too_long")
    assert long["count"] == 1
    assert long["tokens"] > 1_000
    assert f"{long['tokens']:,}" in shown["cut"]
    assert (
        f"{long['tokens']:,} tokens lost" in curate("why", tmp_path / "cut", f"{HOST}/long").output
    )
    assert "pack." not in shown["split"]
    tokens = {
        mode: sum(len(row["input_ids"]) for row in rows_of(tmp_path / mode)) for mode in shown
    }
    assert tokens["split"] > tokens["cut"] + long["tokens"]


@pytest.mark.parametrize("stage", ["documents", "shards"])
def test_a_stage_whose_counts_do_not_balance_ends_the_run(
    curate: Curate, archive: Path, tmp_path: Path, stage: str
) -> None:
    out = build(curate, archive, tmp_path)
    marker = next(p for p in (out / "stages" / stage).rglob("*.json") if p.name != "_SUCCESS.json")
    facts = json.loads(marker.read_text())
    for entry in facts["tally"]["out"]:
        if entry[1] == "node":
            entry[2] -= 1
    marker.write_text(json.dumps(facts))
    (out / "stages" / stage / "_SUCCESS.json").unlink()
    again = ("build-shards", tmp_path / "recipe.yaml", "--input", archive, "--out", out)
    with pytest.raises(ConservationError, match=rf"stage {stage}: .*web/node: \d+ in"):
        curate(*again)
    facts["ledger_rows"] += 1
    marker.write_text(json.dumps(facts))
    with pytest.raises(ConservationError, match="rows in the ledger"):
        curate(*again)
