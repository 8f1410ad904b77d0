"""What becomes of documents that hold benchmark items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate.decontamination.benchmarks import BenchmarkError
from curate.pipelines.engine.engine import Engine
from curate.pipelines.similarity.duplicates import run_duplicates
from curate.pipelines.steps import PartTask, run_parts
from curate.pipelines.text import documents
from curate.pipelines.text.decontamination import run_decontamination
from curate.runs.cleaned_documents import purged_documents
from curate.runs.plan import RunPlan, plan_parts
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DOCUMENTS
from curate.schemas.document import Document, ImageSegment
from curate.schemas.settings.purging import Decontamination
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Source
from tests.texts import prose

ITEM = prose("item", 30).replace("\n", " ")
PHRASE = "all that glitters is not gold as everybody knows"


def purge(
    folder: Path, texts: list[Any], workers: int = 1, **settings: Any
) -> tuple[RunDirectory, dict[str, Document]]:
    """The documents that are left, by id.

    Texts are strings or lists of segments, or all of them prompts with their answers.
    """
    asked = isinstance(texts[0], tuple)
    (folder / "in").mkdir(parents=True)
    for part in range(2):
        rows = [{"id": str(n), **_row(t)} for n, t in enumerate(texts) if n % 2 == part]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "in" / f"{part}.jsonl").write_text(lines)
    benchmark = folder / "bench.jsonl"
    items = [{"id": "i", "text": ITEM}, {"id": "p", "text": PHRASE}]
    benchmark.write_text("".join(json.dumps(i) + "\n" for i in items))
    source = Source(
        kind="instructions" if asked else "jsonl",
        format="instruction" if asked else "interleaved",
        paths=(str(folder / "in"),),
    )
    rules = Decontamination.model_validate({"benchmarks": [str(benchmark)], **settings})
    recipe = Recipe(name="test", sources={"s": source}, decontamination=rules)
    plan = RunPlan(recipe=recipe, fingerprint="f", parts=plan_parts(recipe))
    run = RunDirectory(str(folder / "run"))
    tasks = [PartTask(name=p.name, cost=1, payload=p) for p in plan.parts]
    with Engine("direct", workers) as engine:
        run_parts(engine, run, plan, DOCUMENTS, tasks, documents.make_documents)
        run_duplicates(engine, run, plan)
        run_decontamination(engine, run, plan)
    left = {d.id: d for p in plan.parts for _, d in purged_documents(run, p.name)}
    return run, left


def _row(text: Any) -> dict[str, Any]:
    if isinstance(text, tuple):
        return {"instruction": text[0], "output": text[1]}
    return {"segments": text if isinstance(text, list) else [{"type": "text", "text": text}]}


def ledger(run: RunDirectory) -> list[tuple[str, str, str, str]]:
    rows = []
    for path in run.files("ledger/decontamination", suffix=".parquet"):
        with run.open(path) as stream:
            rows += pq.read_table(stream).to_pylist()
    return sorted((r["id"], r["kind"], r["rule"], r["match"]) for r in rows)


LONG = prose("long", 300)
DIRTY = f"{prose('before', 200)}\n{ITEM}\n{prose('after', 200)}"


@pytest.mark.parametrize("workers", [1, 2])
def test_matches_are_cut_with_their_surroundings(tmp_path: Path, workers: int) -> None:
    run, left = purge(tmp_path, [LONG, DIRTY, ITEM], workers)
    assert left.keys() == {"0", "1"}
    assert left["0"].text == LONG
    kept = left["1"].text
    assert ITEM[20:60] not in kept
    assert DIRTY.startswith(kept.split("\n")[0])
    assert len(DIRTY) - len(kept) >= len(ITEM) + 400
    assert all(line.endswith(".") for line in kept.split("\n"))
    assert ledger(run) == [
        ("1", "passage", "decontamination.item", "bench:i"),
        ("2", "document", "decontamination.nothing_left", "bench:i"),
    ]


def test_the_document_is_dropped_or_tagged(tmp_path: Path) -> None:
    run, left = purge(tmp_path / "drop", [LONG, DIRTY], action="drop")
    assert left.keys() == {"0"}
    assert ledger(run) == [("1", "document", "decontamination.item", "bench:i")]
    _, left = purge(tmp_path / "tag", [LONG, DIRTY], action="tag")
    assert left["1"].text == DIRTY
    assert left["1"].scores["decontamination.matches"] > 0
    assert "decontamination.matches" not in left["0"].scores


def test_an_instruction_is_never_cut(tmp_path: Path) -> None:
    """The item stands in the prompt of one and in the answer of another."""
    texts = [("Tell more.", LONG), (DIRTY, "Yes."), ("Tell it.", DIRTY)]
    run, left = purge(tmp_path / "cut", texts)
    assert left.keys() == {"0"}
    assert ledger(run) == [
        ("1", "document", "decontamination.item", "bench:i"),
        ("2", "document", "decontamination.item", "bench:i"),
    ]
    _, left = purge(tmp_path / "tag", texts, action="tag")
    assert [(d.segments[0].text, d.segments[1].text) for _, d in sorted(left.items())] == texts
    assert left["1"].scores["decontamination.matches"] > 0


def test_a_document_in_more_than_ten_pieces_goes(tmp_path: Path) -> None:
    pieces = [prose(f"piece {n}", 250) for n in range(12)]
    run, left = purge(
        tmp_path, [f"\n{ITEM}\n".join(pieces[:10]), f"\n{ITEM}\n".join(pieces)], max_pieces=10
    )
    assert left.keys() == {"0"}
    assert ("1", "document", "decontamination.pieces", "bench:i") in ledger(run)


def test_common_speech_is_left_alone(tmp_path: Path) -> None:
    """An item of 9 words that ten documents hold, by n-grams alone; the other method takes it."""
    texts = [f"{prose(f'{n} a', 120)} {PHRASE}. {prose(f'{n} b', 120)}" for n in range(10)]
    _, left = purge(tmp_path / "ten", texts, items=None)
    assert [PHRASE in d.text for d in left.values()] == [True] * 10
    _, left = purge(tmp_path / "nine", texts[:9], items=None)
    assert [PHRASE in d.text for d in left.values()] == [False] * 9
    _, left = purge(tmp_path / "never", texts, items=None, ngrams={"frequent": None})
    assert [PHRASE in d.text for d in left.values()] == [False] * 10
    _, left = purge(tmp_path / "items", texts)
    assert [PHRASE in d.text for d in left.values()] == [False] * 10


def test_images_keep_their_places_and_those_of_dropped_documents_are_not_wanted(
    tmp_path: Path,
) -> None:
    images = [{"type": "image", "url": f"http://h/{n}.png"} for n in range(4)]
    first, last = prose("first", 120), prose("last", 120)
    mixed = [
        images[0], {"type": "text", "text": first}, images[1],
        {"type": "text", "text": ITEM}, images[2], {"type": "text", "text": last},
    ]  # fmt: skip
    run, left = purge(tmp_path, [mixed, [images[3], {"type": "text", "text": ITEM}]])
    document = left["0"]
    shown = [s.url if isinstance(s, ImageSegment) else s.text[:20] for s in document.segments]
    assert shown[:3] == [images[0]["url"], first[:20], images[1]["url"]]
    assert [i.url for i in document.images] == [i["url"] for i in images[:3]]
    wanted = [
        row["url"]
        for path in run.files("references/wanted", suffix=".parquet")
        for row in pq.read_table(run.path(path)).to_pylist()
    ]
    assert sorted(wanted) == [i["url"] for i in images[:3]]
    assert ("1", "node", "node.document_dropped", "") in ledger(run)


def test_a_benchmark_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"no file matches '/nowhere/\*\.jsonl'"):
        purge(tmp_path, [LONG], benchmarks=["/nowhere/*.jsonl"])
