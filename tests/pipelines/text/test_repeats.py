"""Lines that the documents of a domain repeat, cut over real files."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

from curate.pipelines.engine.engine import Engine
from curate.pipelines.similarity.duplicates import run_duplicates
from curate.pipelines.similarity.job import Sizes
from curate.pipelines.stages import STAGES, Stages
from curate.pipelines.text.repeats import run_repeats
from curate.reports.purge_report import duplicates
from curate.runs.cleaned_documents import distinct_documents
from curate.runs.part import marker_path
from curate.runs.plan import RunPlan, plan_parts
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import REPEATS as STAGE
from curate.runs.stage_names import STAGE_NAMES, success_path
from curate.schemas.ledger import Tally
from curate.schemas.settings.filter_rules import Filters, PairRules
from curate.schemas.settings.purging import Dedup, RepeatedLines
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Source
from tests.pipelines.similarity.duplicate_runs import Row, row, run_of

SMALL = Sizes(group_documents=7, partition_rows=20)


def cut(
    folder: Path, parts: list[list[Row]], workers: int = 1, near: bool = False, **rules: Any
) -> tuple[dict[str, str], list[dict[str, Any]], Tally]:
    """Texts by id, ledger rows, and the counts."""
    dedup = Dedup(near=near, repeated=RepeatedLines.model_validate(rules))
    with run_of(folder, dedup, parts, workers) as (engine, run, plan):
        run_duplicates(engine, run, plan, SMALL)
        run_repeats(engine, run, plan, SMALL)
        assert not run.files("exchange")
        tally, ledger = Tally(), []
        for part in plan.parts:
            tally.add(Tally.from_json(run.read_json(marker_path(STAGE, part.name))["tally"]))
            with run.open(f"ledger/{STAGE}/{part.name}.parquet") as stream:
                ledger += pq.read_table(stream).to_pylist()
        texts = {d.id: d.text for p in plan.parts for _, d in distinct_documents(run, p.name)}
        return texts, ledger, tally


PAGES = [
    row("a1", "Home\nAbout the ferry\nContact us", url="http://www.a.test/1"),
    row("a2", "Home\nAbout the mill\n Contact us ", url="https://a.test/2"),
    row("a3", "Home\nContact us", url="http://a.test/3"),
    row("b1", "Home\nAbout the ferry", url="http://b.test/1"),
    row("no url", "Home\nContact us\nmore"),
    row("a4", "News\nNews\nnews", url="http://a.test/4"),
]


def test_lines_go_within_their_domain(tmp_path: Path) -> None:
    texts, ledger, tally = cut(tmp_path, [PAGES[:2], PAGES[2:]])
    assert texts == {
        "a1": "About the ferry",
        "a2": "About the mill",
        "b1": "Home\nAbout the ferry",
        "no url": "Home\nContact us\nmore",
        "a4": "News\nNews\nnews",
    }
    told = sorted((r["id"], r["kind"], r["rule"], r["value"]) for r in ledger)
    assert told == [
        ("a1", "line", "dedup.line", "Contact us"),
        ("a1", "line", "dedup.line", "Home"),
        ("a2", "line", "dedup.line", "Contact us"),
        ("a2", "line", "dedup.line", "Home"),
        ("a3", "document", "dedup.nothing_left", "2"),
    ]
    assert not tally.imbalances()
    assert tally.came_in["texts", "document"] == 6


def test_one_may_be_kept(tmp_path: Path) -> None:
    """In the longest of the documents."""
    texts, *_ = cut(tmp_path, [PAGES], keep="one")
    assert texts["a1"] == "About the ferry"
    assert texts["a2"] == PAGES[1]["text"]
    assert "a3" not in texts


@pytest.mark.parametrize(("least", "left"), [(3, "About the ferry"), (4, PAGES[0]["text"])])
def test_few_documents_may_share_a_line(tmp_path: Path, least: int, left: str) -> None:
    texts, *_ = cut(tmp_path, [PAGES], min_documents=least)
    assert texts["a1"] == left


def test_paragraphs(tmp_path: Path) -> None:
    rows = [
        row("1", "One\ntwo\n\nThree\n\nSame\nfor all", url="http://a.test/1"),
        row("2", "Same\nfor all\n\ntwo\n\nThree\nfour", url="http://a.test/2"),
    ]
    texts, *_ = cut(tmp_path, [rows], unit="paragraph")
    assert {k: v.strip() for k, v in texts.items()} == {
        "1": "One\ntwo\n\nThree",
        "2": "two\n\nThree\nfour",
    }


def test_copies_of_a_page_repeat_nothing(tmp_path: Path) -> None:
    """The lines of a page captured twice are not taken for furniture."""
    page = "It stands on the hill\nand nobody goes there"
    rows = [row(n, page, url="http://a.test/1", date=f"202{n}-01-01") for n in "12"]
    texts, *_ = cut(tmp_path, [rows])
    assert texts == {"2": page}


def test_order_parts_and_workers_change_nothing(tmp_path: Path) -> None:
    draw = random.Random(3)
    rows = [
        row(
            f"{n}",
            "\n".join(f"line {draw.randrange(60)}" for _ in range(draw.randrange(1, 9))),
            url=f"http://{n % 3}.test/{n}",
        )
        for n in range(80)
    ]
    holders = Counter(
        (urlsplit(r["url"]).hostname, line) for r in rows for line in set(r["text"].split("\n"))
    )
    expected = {}
    for r in rows:
        host = urlsplit(r["url"]).hostname
        left = [line for line in r["text"].split("\n") if holders[host, line] < 3]
        if left:
            expected[r["id"]] = "\n".join(left)
    kept_one = None
    for number, (parts, workers) in enumerate([(1, 1), (5, 1), (3, 2)]):
        shuffled = random.Random(number).sample(rows, len(rows))
        files = [shuffled[i::parts] for i in range(parts)]
        rules = {"min_documents": 3, "workers": workers}
        texts, *_ = cut(tmp_path / f"none-{number}", files, **rules)
        assert texts == expected
        texts, *_ = cut(tmp_path / f"one-{number}", files, keep="one", **rules)
        assert kept_one is None or texts == kept_one
        kept_one = texts
    assert kept_one != expected


def test_captions_that_repeat_and_pairs_that_are_the_same(tmp_path: Path) -> None:
    """Case is no difference; a pair is the same where image and caption are."""
    pairs = [
        *((f"http://h/{n}.jpg", "Buy now, free shipping") for n in range(3)),
        ("http://h/9.jpg", "buy now, FREE shipping"),
        ("http://h/a.jpg", "A ship at sea"),
        ("http://h/a.jpg#top", "A ship at sea"),
        ("http://h/b.jpg", "A ship at sea"),
        ("http://h/c.jpg", "A ship in the harbour"),
    ]
    (tmp_path / "in").mkdir()
    for number, rows in enumerate((pairs[:5], pairs[5:])):
        lines = "".join(f"{url}\t{caption}\n" for url, caption in rows)
        (tmp_path / "in" / f"{number}.tsv").write_text(lines)
    source = Source(kind="cc12m", format="pairs", paths=(str(tmp_path / "in"),))
    filters = Filters(pair=PairRules(max_caption_repeats=3))
    recipe = Recipe(name="t", sources={"p": source}, filters=filters, dedup=Dedup())
    plan = RunPlan(recipe=recipe, fingerprint="f", parts=plan_parts(recipe))
    run = RunDirectory(str(tmp_path / "run"))
    with Engine("direct", 1) as engine:
        stages = Stages(engine=engine, run=run, plan=plan, input_fingerprint="i")
        for stage in STAGES[: STAGE_NAMES.index(STAGE) + 1]:
            stages.complete(stage, lambda name, parts: nullcontext())
    left = [(d.url, d.text) for p in plan.parts for _, d in distinct_documents(run, p.name)]
    assert [text for _, text in left] == [
        "A ship at sea", "A ship at sea", "A ship in the harbour"
    ]  # fmt: skip
    assert {url.split("#")[0] for url, _ in left} == {f"http://h/{n}.jpg" for n in "abc"}
    dropped = Tally.from_json(run.read_json(success_path(STAGE))["tally"]).dropped
    assert dropped["p", "document", "pair.max_caption_repeats"] == 4
    assert dropped["p", "node", "node.document_dropped"] == 4
    (gone,) = duplicates(run)
    assert gone["rule"] == "dedup.exact"
    assert {gone["url"].split("#")[0], gone["kept_url"].split("#")[0]} == {"http://h/a.jpg"}
