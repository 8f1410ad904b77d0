"""The same picture at several addresses, and pictures of benchmarks, through whole runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import Result

from tests.conftest import Response, html_page, write_warc
from tests.curate.conftest import HOST, paragraph, shard_bytes
from tests.pictures import copies, encoded, scene

Curate = Callable[..., Result]
BENCHMARK = 90


def shown(number: int, images: list[str], date: int = 0) -> Response:
    body = "".join(
        f'{paragraph(number + i)}<img src="{url}" alt="caption of {number}">'
        for i, url in enumerate(images)
    )
    return html_page(
        f"{HOST}/page{number}.html", f"<article>{body}{paragraph(number)}{paragraph(9)}</article>"
    )


def image(url: str, data: bytes) -> Response:
    return f"{HOST}{url}", data, {"Content-Type": "image/png"}


def crawl(part: int) -> list[Response]:
    """Pages that show copies of each other's pictures, furniture, and a benchmark's picture."""
    base = part * 20
    small = encoded(scene(1).resize((240, 180)), "JPEG", quality=60)
    found = [
        image(f"/{part}/one.png", encoded(scene(base + 1)) if part else encoded(scene(1))),
        image(f"/{part}/one-small.jpg", small),
        image(f"/{part}/two.png", encoded(scene(base + 2))),
        image(f"/{part}/three.png", encoded(scene(base + 3))),
        image(f"/{part}/banner.png", encoded(scene(50).resize((300 + part, 225 + part)))),
        image(f"/{part}/item.png", encoded(scene(BENCHMARK).crop((14, 10, 480, 360)))),
        # The same picture twice in one document.
        shown(base, [f"/{part}/one.png", f"/{part}/one-small.jpg", f"/{part}/two.png"]),
        # Shown by all.
        *(
            shown(base + n, [f"/{part}/banner.png", f"/{part}/{name}.png"])
            for n, name in enumerate(("two", "three", "item"), 1)
        ),
    ]
    # The same set of pictures, copied to other addresses and pages of the other archive.
    found += [
        image(f"/{part}/same-a.png", encoded(scene(70), "JPEG", quality=50 + part * 30)),
        image(f"/{part}/same-b.png", encoded(scene(71), "WEBP", quality=60 + part * 20)),
        shown(base + 10, [f"/{part}/same-a.png", f"/{part}/same-b.png"]),
    ]
    return found


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for part in range(2):
        write_warc(folder / f"pictures-{part}.warc.gz", crawl(part))
    benchmark = folder / "benchmark"
    benchmark.mkdir()
    (benchmark / "item-1.png").write_bytes(encoded(scene(BENCHMARK)))
    (benchmark / "README.txt").write_text("not an image")
    return folder


def recipe(folder: Path, benchmark: Path, **duplicates: object) -> Path:
    path = folder / f"{benchmark.name}.yaml"
    settings = {
        "name": "pictures",
        "sources": {"web": {"format": "interleaved"}, "captions": {"format": "pairs"}},
        "filters": {"image": {"min_side": 64}, "pair": {"max_caption_repeats": None}},
        "decontamination": {"images": [str(benchmark)]},
        "images": {
            "size": 64,
            "fetch": {"enabled": False},
            "single_image_keep": 1.0,
            "duplicates": {"max_documents": 4, **duplicates},
        },
        "tokenization": {
            "vocabulary": 200, "block": 256, "image_slots": 16, "shard_documents": 20,
        },
    }  # fmt: skip
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def run(curate: Curate, archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    path = recipe(folder, archives / "benchmark")
    curate("build-shards", path, "--input", f"{archives}/*.warc.gz", "--out", folder / "one")
    return folder / "one"


def ledger(run: Path, source: str) -> dict[str, set[str]]:
    """Addresses by the rule that dropped them."""
    found: dict[str, set[str]] = {}
    for stage in ("image-duplicates", "selection"):
        for path in (run / "ledger" / stage).rglob("*.parquet"):
            for row in pq.read_table(path).to_pylist():
                if row["source"] in (source, "all"):
                    found.setdefault(row["rule"], set()).add(row["url"].removeprefix(HOST))
    return found


def test_what_a_benchmark_shows_goes(run: Path) -> None:
    assert ledger(run, "web")["image.benchmark"] == {"/0/item.png", "/1/item.png"}
    counts = json.loads((run / "verdicts" / "image-duplicates" / "benchmarks.json").read_text())
    assert counts["images"] == 1
    assert [Path(p).name for p in counts["unreadable"]] == ["README.txt"]


def test_the_same_picture_counts_once(run: Path) -> None:
    found = ledger(run, "web")
    # The larger original stands for the picture, but a document keeps what it shows first.
    assert found["node.repeated_picture"] == {"/0/one-small.jpg"}
    assert found["node.max_documents"] == {"/0/banner.png", "/1/banner.png"}
    assert len(found["document.same_pictures"]) == 1
    assert found["document.same_pictures"] < {"/page10.html", "/page30.html"}


def test_pairs_lose_the_same_picture_with_the_same_caption(
    curate: Curate, archives: Path, run: Path, tmp_path: Path
) -> None:
    assert ledger(run, "captions")["document.same_pictures"] == {"/page0.html"}
    path = recipe(tmp_path, archives / "benchmark", pairs="picture", max_documents=None)
    curate("build-shards", path, "--input", f"{archives}/*.warc.gz", "--out", tmp_path / "two")
    gone = [
        row
        for p in (tmp_path / "two" / "ledger" / "selection").rglob("*.parquet")
        for row in pq.read_table(p).to_pylist()
        if row["rule"] == "document.same_pictures" and row["source"] == "captions"
    ]
    kept = pq.read_table(tmp_path / "two" / "selected" / "captions").num_rows
    # Both archives show three pictures of their own; together they show the banner, a and b.
    assert kept == 9
    # Each has a page with three images and four with two, of which one is the benchmark's.
    assert len(gone) + kept == 2 * (3 + 4 * 2 - 1)


def test_why_names_the_document_that_is_kept(curate: Curate, run: Path) -> None:
    (gone,) = ledger(run, "web")["document.same_pictures"]
    told = curate("why", run, f"{HOST}{gone}").output
    other = {"/page10.html": "/page30.html", "/page30.html": "/page10.html"}[gone]
    assert f"{HOST}{other}" in told
    assert "is kept instead" in told
    told = curate("why", run, f"{HOST}/1/item.png").output
    assert "benchmark/item-1.png" in told


def test_an_index_of_images_does_as_much_as_the_images(
    curate: Curate, archives: Path, run: Path, tmp_path: Path
) -> None:
    index = tmp_path / "images.index"
    told = curate(
        "benchmark-index", "build", "--images", archives / "benchmark", "--out", index
    ).output
    assert "1 images" in told
    assert "README.txt" in told
    path = recipe(tmp_path, index)
    curate(
        "build-shards", path, "--input", f"{archives}/*.warc.gz", "--out", tmp_path / "out",
        "--workers", 2,
    )  # fmt: skip
    assert shard_bytes(tmp_path / "out") == shard_bytes(run)


def test_copies_of_one_picture_are_one_cluster(curate: Curate, tmp_path: Path) -> None:
    pages: list[Response] = []
    names = []
    for number, (_, data) in enumerate([("original", encoded(scene(3))), *copies(scene(3))]):
        pages.append(image(f"/copy{number}.png", data))
        names.append(f"/copy{number}.png")
    pages.append(image("/other.png", encoded(scene(4))))
    pages.append(shown(1, [*names, "/other.png"]))
    write_warc(tmp_path / "copies.warc.gz", pages)
    settings = yaml.safe_load(recipe(tmp_path, tmp_path / "none").read_text())
    del settings["decontamination"]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(settings))
    out = tmp_path / "out"
    curate(
        "build-shards", tmp_path / "r.yaml", "--input", tmp_path / "copies.warc.gz", "--out", out
    )
    verdicts = pq.read_table(out / "verdicts" / "images" / "web" / "part-00000.parquet")
    pictures = {row["picture"] for row in verdicts.to_pylist()}
    assert len(pictures) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.index"], "give --benchmarks or --images"),
        (["--images", "no-such-folder", "--out", "x.index"], "no file matches"),
    ],
)
def test_wrong_usage_of_the_index_is_told(
    curate: Curate, tmp_path: Path, arguments: list[str], message: str
) -> None:
    arguments = [a if a != "x.index" else str(tmp_path / a) for a in arguments]
    result = curate("benchmark-index", "build", *arguments, code=2)
    assert message in result.output
