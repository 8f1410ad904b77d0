"""CLIP scores through whole runs, by a model that the tests trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import Result

from curate.schemas.document import TextSegment, document_from_row
from tests.conftest import Response, html_page, write_warc
from tests.curate.conftest import HOST, image, shard_bytes
from tests.small_clip import CAPTIONS, drawn

Curate = Callable[..., Result]
SHOWN = {f"/{i}.png": caption for i, caption in enumerate(CAPTIONS)}
"""What each picture shows."""
TOLD = {**SHOWN, "/0.png": CAPTIONS[8], "/4.png": CAPTIONS[2]}
"""What the pages say that it shows: two are wrong."""
FILLER = "Nothing of the kind stands in this line, which goes on for a while about the weather."


def pages() -> list[Response]:
    found = [image(url, drawn(caption, 121)) for url, caption in SHOWN.items()]
    for number, (url, told) in enumerate(TOLD.items()):
        other = f"/{(number + 1) % len(SHOWN)}.png"
        body = (
            f"<p>{FILLER}</p><p>{told} drawn with care on a plain ground</p>"
            f'<img src="{url}" alt="{told}"><p>{FILLER} {number}</p>'
            f"<p>{TOLD[other]} drawn with care on a plain ground</p>"
            f'<img src="{other}" alt="{TOLD[other]}"><p>{FILLER} again</p>'
        )
        found.append(html_page(f"{HOST}/page{number}.html", f"<article>{body}</article>"))
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_warc(tmp_path_factory.mktemp("clip-crawl") / "drawn.warc.gz", pages())


@pytest.fixture
def build(curate: Curate, archive: Path, tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, clip: dict[str, Any], *more: object, code: int = 0) -> Path:
        recipe = {
            "name": "clip",
            "sources": {"web": {"format": "interleaved"}, "captions": {"format": "pairs"}},
            "filters": {
                "image": {"min_side": 32},
                "page": {"language": None, "min_words_beside_image": None},
                "clip": clip,
            },
            "images": {"size": 64, "fetch": {"enabled": False}, "single_image_keep": 1.0},
            "tokenization": {"vocabulary": 150, "block": 256, "image_slots": 16},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        out = tmp_path / name
        result = curate("build-shards", path, "--input", archive, "--out", out, *more, code=code)
        (tmp_path / f"{name}.txt").write_text(result.output)
        return out

    return make


def dropped(out: Path, source: str) -> set[str]:
    return {
        row["url"].removeprefix(HOST)
        for path in (out / "ledger" / "selection").rglob("*.parquet")
        for row in pq.read_table(path).to_pylist()
        if row["source"] == source and row["rule"] == "clip.min_similarity"
    }


def of_files(clip_files: tuple[Path, Path], **more: Any) -> dict[str, Any]:
    return {"model": str(clip_files[0]), "weights": str(clip_files[1]), **more}


def test_pairs_whose_caption_tells_of_something_else_go(
    build: Callable[..., Path], clip_files: tuple[Path, Path]
) -> None:
    clip = of_files(clip_files, min_pair_similarity=0.7, batch_images=4)
    one, two = build("one", clip), build("two", clip, "--workers", 2)
    assert dropped(one, "captions") == {"/0.png", "/4.png"}
    assert dropped(one, "web") == set()
    scores = pq.read_table(one / "verdicts" / "image-scores" / "captions").to_pylist()
    assert {s["rule"] for s in scores} == {None, "clip.min_similarity"}
    assert all(s["limit"] == 0.7 for s in scores if s["rule"])
    assert shard_bytes(one) == shard_bytes(two)


def test_images_of_documents_are_assigned_to_lines(
    build: Callable[..., Path], clip_files: tuple[Path, Path]
) -> None:
    clip = of_files(clip_files, min_text_similarity=0.3, text="assigned", move_to_assigned=True)
    out = build("assigned", clip)
    documents = [
        document_from_row(row) for row in pq.read_table(out / "selected" / "web").to_pylist()
    ]
    moved = 0
    for document in documents:
        for segment, after in zip(document.segments, document.segments[1:], strict=False):
            if not isinstance(segment, TextSegment) and isinstance(after, TextSegment):
                caption = SHOWN[segment.url.removeprefix(HOST)]
                moved += after.text.startswith(caption)
    shown = sum(len(d.images) for d in documents)
    assert shown >= 10
    assert moved >= 0.7 * shown


def test_a_run_without_the_model_stops_or_says_so(
    build: Callable[..., Path], tmp_path: Path
) -> None:
    missing = {"weights": str(tmp_path / "missing.pt"), "min_pair_similarity": 0.28}
    stopped = build("stopped", missing, code=1)
    told = (tmp_path / "stopped.txt").read_text()
    assert "missing.pt" in told
    assert not (stopped / "documents").exists()
    skipped = build("skipped", {**missing, "without_weights": "skip"})
    reason = json.loads((skipped / "verdicts" / "image-scores" / "skipped.json").read_text())
    assert "missing.pt" in reason["reason"]
    assert list((skipped / "shards").rglob("*.arrow"))
    assert "missing.pt" in (tmp_path / "skipped.txt").read_text()
