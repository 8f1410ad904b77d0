"""Every other command, through its entry point."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from curate.commands.common import shipped_recipes
from curate.reports.stats_schema import STATS_SCHEMA
from curate.runs.stage_names import STAGE_NAMES
from tests.conftest import write_warc
from tests.curate.conftest import HOST, crawl

Curate = Callable[..., Result]


@pytest.fixture(scope="module")
def demo(curate: Curate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    result = curate("demo", "--out", out, "--workers", 1)
    assert "report:" in result.output
    captioned = r"(\d+) of (\d+) pictures get a caption of theirs, by chance (\d+)"
    (told,) = re.findall(captioned, result.output)
    right, pictures, chance = map(int, told)
    assert pictures >= right > 2 * chance
    return out


def demo_address(demo: Path) -> str:
    path = demo / "run" / "documents" / "web" / "part-00000.parquet"
    url: str = pq.read_table(path)["url"][0].as_py()
    return url.split("/")[2]


def test_the_demo_goes_all_the_way(demo: Path) -> None:
    stats = json.loads((demo / "run" / "report" / "stats.json").read_text())
    assert stats["complete"]
    (training,) = stats["training"]
    assert training["last_loss"] < training["first_loss"] / 4
    assert {s["source"] for s in stats["shards"]} == {"web", "prose", "captions"}
    rules = {d["rule"] for d in stats["drops"]}
    assert rules >= {
        "page.language",
        "page.min_words",
        "page.dom_depth",
        "consent.header",
        "consent.robots",
        "fetch.blocked_address",
        "fetch.http_404",
        "image.min_side",
        "image.single_color",
        "image.truncated",
        "image.not_an_image",
    }
    index = [
        row
        for path in (demo / "run" / "images").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    origins = {re.split("[:@]", row["origin"])[0] for row in index if row["rule"] is None}
    assert origins == {"warc", "http", "inline"}
    for row in index:
        if row["origin"] == "http" and row["rule"] is None:
            assert json.loads(row["consent"])["robots"] == "allowed"
            assert row["time"]


def test_a_second_demo_in_the_same_place_says_what_to_do(curate: Curate, demo: Path) -> None:
    result = curate("demo", "--out", demo, "--workers", 1, code=1)
    assert "give a new --out, or delete the directory" in result.output


def test_what_comes_from_the_web_is_escaped(curate: Curate, demo: Path, tmp_path: Path) -> None:
    documents = pq.read_table(demo / "run" / "documents" / "prose" / "part-00000.parquet")
    hostile = next(d for d in documents.to_pylist() if "script.html" in d["url"])
    shown = tmp_path / "shown.html"
    curate("inspect", demo / "run", "--document", hostile["id"], "--html", shown)
    assert "&lt;script&gt;alert(1)" in shown.read_text()
    for path in (shown, demo / "run" / "report" / "index.html"):
        page = path.read_text()
        assert "<script" not in page.lower()
        assert "default-src 'none'" in page
        assert not re.search(r"(?:src|href)=\"(?!data:image/jpeg)", page)


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/bees.html", ["documents kept", "selection kept", "shards packed"]),
        ("/de/hafen.html", ["documents dropped page.language"]),
        ("/noai.html", ["documents dropped consent.header"]),
        ("/photos/boats.jpg", ["documents read", "images stored", "shards packed"]),
        ("/drawings/boats.png", ["documents kept", "images stored", "shards packed"]),
        ("/private/secret.png", ["images dropped consent.robots", "selection dropped"]),
        ("/bad/metadata.png", ["images dropped fetch.blocked_address"]),
        ("/privacy", ["documents dropped record.http_status"]),
    ],
)
def test_why_explains(curate: Curate, demo: Path, path: str, events: list[str]) -> None:
    url = f"http://{demo_address(demo)}{path}"
    told = [
        json.loads(line)
        for line in curate("why", demo / "run", url, "--json").stdout.split("\n")
        if line
    ]
    shown = {f"{e['stage']} {e['what']} {e.get('rule') or ''}".strip() for e in told}
    for event in events:
        assert any(s.startswith(event) for s in shown), shown
    assert len(curate("why", demo / "run", url).stdout.strip().split("\n")) == len(told)


def test_why_explains_every_url_of_the_input(curate: Curate, run_folder: Path) -> None:
    urls = {url for part in range(3) for url, _, _ in crawl(part)}
    for url in sorted(urls)[::6]:
        curate("why", run_folder, url)
    result = curate("why", run_folder, "http://never.test/", code=1)
    assert "occurs nowhere" in result.output


def test_inspect_shows_a_row(curate: Curate, run_folder: Path, tmp_path: Path) -> None:
    shown = curate("inspect", run_folder, "--row", 0).stdout
    assert "harbour" in shown or "picture" in shown
    assert "[image http://site.test/i/" in shown
    page = tmp_path / "row.html"
    curate("inspect", run_folder, "--row", 0, "--html", page)
    assert 'src="data:image/jpeg;base64,' in page.read_text()
    row = json.loads(curate("inspect", run_folder, "--row", 0, "--json").stdout)
    assert {p["kind"] for p in row["pieces"]} == {"text", "image", "boundary"}
    identity = row["documents"][0]["id"]
    assert identity in curate("inspect", run_folder, "--document", identity).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--row", 10**6], "row must be 0 to"),
        (["--document", "nope"], "no document of .* has the id nope"),
        ([], "give one of --row N and --document ID"),
    ],
)
def test_inspect_says_what_is_wrong(
    curate: Curate, run_folder: Path, arguments: list[object], message: str
) -> None:
    assert re.search(message, curate("inspect", run_folder, *arguments, code=2).output)


def test_stats_fit_their_schema(curate: Curate, run_folder: Path) -> None:
    stats = json.loads(curate("stats", run_folder, "--json").stdout)
    assert json.loads(curate("stats", run_folder, "--schema").stdout) == STATS_SCHEMA
    assert set(STATS_SCHEMA["required"]) <= set(stats)
    for name in ("stages", "drops", "shards"):
        item = STATS_SCHEMA["properties"][name]["items"]
        for row in stats[name]:
            assert set(row) == set(item["properties"])
    assert "prose" in curate("stats", run_folder).stdout


def test_extract_prints_json_lines(curate: Curate, tmp_path: Path) -> None:
    warc = write_warc(tmp_path / "w.warc.gz", crawl(0))
    result = curate("extract", warc)
    documents = [json.loads(line) for line in result.stdout.strip().split("\n")]
    assert documents[0]["url"] == f"{HOST}/page0.html"
    kinds = [s["type"] for s in documents[0]["segments"]]
    assert kinds.count("image") == 7
    assert documents[0]["meta"]["warc_file"] == "w.warc.gz"
    assert "style0.css: record.media_type: text/css" in result.stderr


def test_extract_reads_an_html_file(curate: Curate, tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    page.write_text("<p>Some words.</p><img src=a.png alt=A>")
    (line,) = curate("extract", page, "--url", "http://h.test/d/").stdout.strip().split("\n")
    assert json.loads(line)["segments"] == [
        {"type": "text", "text": "Some words."},
        {
            "type": "image",
            "url": "http://h.test/d/a.png",
            "alt": "A",
            "caption": "",
            "rule": "end",
        },
    ]


def test_recipes(curate: Curate, tmp_path: Path) -> None:
    assert curate("recipe", "list").stdout.split() == shipped_recipes()
    shown = tmp_path / "shown.yaml"
    shown.write_text(curate("recipe", "show", "kosmos1").stdout)
    assert "valid" in curate("recipe", "validate", shown).stdout
    schema = json.loads(curate("recipe", "schema").stdout)
    assert "0.65" in schema["$defs"]["PageRules"]["properties"]["min_language_score"]["description"]
    shown.write_text("name: x\nsourcs: {}\n")
    result = curate("recipe", "validate", shown, code=2)
    assert "Did you mean `sources`?" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build-shards", "nowhere", "--out", "x"], 2, "no recipe is named 'nowhere'"),
        (["build-shards", "kosmos1", "--out", "{tmp}/o"], 2, "neither `paths` nor `crawl`"),
        (
            ["build-shards", "kosmos1", "--input", "{tmp}/none*", "--out", "{tmp}/o"],
            2,
            "no file matches",
        ),
        (
            ["build-shards", "kosmos1", "--out", "x", "--until", "lunch"],
            2,
            "--until must be one of",
        ),
        (["build-shards", "kosmos1", "--out", "x", "--workers", "0"], 2, "x>=1"),
        (["stats", "{tmp}"], 2, "holds no run of curate"),
        (["stats", "gs://bucket/run"], 2, "extras `s3` and `gcp`"),
        (
            ["build-shards", "kosmos1", "--input", "gs://bucket/*", "--out", "{tmp}/o"],
            2,
            "extras `s3` and `gcp`",
        ),
        (["extract", "{tmp}/none.warc"], 1, "none.warc"),
    ],
)
def test_exit_codes_and_messages(
    curate: Curate, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    filled = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    assert message in curate(*filled, code=code).output


def test_the_installed_command_teaches() -> None:
    command = Path(sys.executable).with_name("curate")
    shown = subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
    for name in ("build-shards", "demo", "extract", "inspect", "recipe", "stats", "why"):
        assert name in shown
    asked = [command, "build-shards", "--help"]
    shown = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert "Run the same command again" in shown
    assert all(name in shown for name in STAGE_NAMES)


def test_a_reader_that_has_seen_enough_is_no_error(run_folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("curate")), "stats", str(run_folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize("columns", [None, "60"])
def test_names_in_tables_are_whole(
    curate: Curate, monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    """In a pipe each on its line, on a narrow terminal folded: never cut."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    shown = curate("recipe", "plan", "kosmos1").output
    table = shown[shown.index("source") :]
    assert "\u2026" not in table
    if columns is None:
        assert re.search(r"^unnatural-instructions +instruction +55.9%", table, re.MULTILINE)


def test_a_document_of_a_row_is_one_line_in_a_pipe(
    curate: Curate, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = curate("inspect", run_folder, "--row", "0").output
    assert re.search(
        rf"^  [0-9a-f]{{32}} {HOST}\S+ \(\S+ at byte \d+, tokens 1 to \d+\)$", shown, re.M
    )
