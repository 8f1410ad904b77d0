"""De-duplication over documents: what is kept, told and done again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash, MinHashLSH

from curate.dedup.minhash import MinHasher
from curate.pipelines import groups
from curate.pipelines.engine.tasks import WorkError
from curate.pipelines.similarity import search
from curate.pipelines.similarity.duplicates import VerdictTask, make_verdicts, run_duplicates
from curate.pipelines.similarity.job import Sizes
from curate.runs.part import PartWriter, marker_path
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.schemas.errors import UsageError
from curate.schemas.ledger import Tally
from curate.schemas.settings.purging import Dedup
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Source
from tests.pipelines.similarity.duplicate_runs import Row, dropped, row, run_of
from tests.texts import prose, with_words_replaced

SMALL = Sizes(group_documents=70, partition_rows=500)


def deduplicate(
    folder: Path,
    parts: list[list[Row]],
    dedup: Dedup | None = None,
    sizes: Sizes = SMALL,
    workers: int = 1,
) -> dict[str, tuple[str, str]]:
    with run_of(folder, dedup or Dedup(), parts, workers) as (engine, run, plan):
        run_duplicates(engine, run, plan, sizes)
        assert not run.files("exchange")
        return dropped(run)


LONG = prose("long", 300)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [row("old", "One text. " * 9, url="http://h/a#x", date="2023-05-01T00:00:00Z"),
             row("new", LONG, url="http://h/a", date="2024-01-01"),
             row("other", prose("z"), url="http://h/b", date="2025-01-01")],
            {"old": ("dedup.url", "new")},
        ),
        (
            [row("a", LONG), row("b", LONG, url="http://h/1"), row("c", LONG + " ")],
            {"a": ("dedup.exact", "c"), "b": ("dedup.near", "c")},
        ),
        (
            [row("short", with_words_replaced(LONG, 0.01, "e")), row("long", LONG + " And more.")],
            {"short": ("dedup.near", "long")},
        ),
        (
            [row("x", LONG), row("y", prose("another", 300)), row("z", "!!"), row("w", "??")],
            {},
        ),
        # The latest capture of a URL is itself a near-duplicate of a longer text.
        (
            [row("first", prose("q"), url="http://h/u", date="2020-01-01"),
             row("second", LONG, url="http://h/u", date="2021-01-01"),
             row("longest", LONG + " And more.")],
            {"first": ("dedup.url", "longest"), "second": ("dedup.near", "longest")},
        ),
    ],
    ids=["latest URL", "equal texts", "longest", "nothing", "chain of reasons"],
)  # fmt: skip
def test_what_is_kept(tmp_path: Path, rows: list[Row], expected: dict[str, tuple]) -> None:
    found = deduplicate(tmp_path, [rows])
    if "b" in found:  # which of two equal texts goes first is up to the hash
        assert {found["a"], found["b"]} == {("dedup.exact", "c"), ("dedup.near", "c")}
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("switched_off", "rule"),
    [("urls", "dedup.url"), ("exact", "dedup.exact"), ("near", "dedup.near")],
)
def test_each_rule_can_be_switched_off(tmp_path: Path, switched_off: str, rule: str) -> None:
    rows = [
        row("u1", prose("u1"), url="http://h/a"),
        row("u2", prose("u2"), url="http://h/a"),
        row("e1", "?!"),
        row("e2", "?!"),
        row("n1", LONG),
        row("n2", with_words_replaced(LONG, 0.01, "n")),
    ]
    found = deduplicate(tmp_path, [rows], Dedup.model_validate({switched_off: False}))
    every = {"dedup.url", "dedup.exact", "dedup.near"}
    assert {r for r, _ in found.values()} == every - {rule}


def mixed_rows(count: int) -> list[Row]:
    """Originals, edited copies of them, equal copies and second captures."""
    rows = []
    for number in range(count):
        text = prose(str(number), 120)
        rows.append(row(f"{number}", text, url=f"http://h/{number}", date="2024-01-01"))
        if number % 3 == 0:
            rows.append(row(f"{number}n", with_words_replaced(text, 0.01, str(number))))
        if number % 4 == 0:
            rows.append(row(f"{number}e", text))
        if number % 5 == 0:
            later = prose(f"{number}later", 120)
            rows.append(row(f"{number}u", later, url=f"http://h/{number}", date="2024-02-01"))
    return rows


def test_order_parts_groups_and_workers_change_nothing(tmp_path: Path) -> None:
    rows = mixed_rows(90)
    expected = deduplicate(tmp_path / "one", [rows], sizes=Sizes())
    assert {r for r, _ in expected.values()} == {"dedup.url", "dedup.exact", "dedup.near"}
    for number, (parts, workers) in enumerate([(1, 1), (5, 1), (3, 2)]):
        shuffled = random.Random(number).sample(rows, len(rows))
        cut = [shuffled[i::parts] for i in range(parts)]
        assert deduplicate(tmp_path / str(number), cut, workers=workers) == expected


def test_clusters_are_those_of_datasketch(tmp_path: Path) -> None:
    """As sets of pairs, against LSH and exact connected components of the reference."""
    rows = [
        row(f"{number}-{edit}", with_words_replaced(prose(str(number), 150), share, f"{edit}"))
        for number in range(40)
        for edit, share in enumerate((0.005, 0.02, 0.03, 0.05, 0.08))
    ]
    settings = Dedup(urls=False, exact=False, min_similarity=None)
    found = deduplicate(tmp_path, [rows[:90], rows[90:]], settings)
    hasher = MinHasher(settings.bands, settings.rows, settings.shingle_words)
    index = MinHashLSH(num_perm=hasher.size, params=(hasher.bands, hasher.rows))
    parent = {r["id"]: r["id"] for r in rows}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for r in rows:
        reference = MinHash(num_perm=hasher.size, hashfunc=int)
        reference.update_batch(hasher.shingles(r["text"]).tolist())
        for neighbour in index.query(reference):
            parent[root(r["id"])] = root(neighbour)
        index.insert(r["id"], reference)
    ours = {r["id"]: found.get(r["id"], ("", r["id"]))[1] for r in rows}

    def pairs(of: Callable[[str], str]) -> set[tuple[str, str]]:
        names = [r["id"] for r in rows]
        return {(a, b) for a in names for b in names if a < b and of(a) == of(b)}

    assert pairs(ours.__getitem__) == pairs(root)
    assert len(pairs(root)) > 100


def test_dissimilar_documents_of_one_band_are_not_merged(tmp_path: Path) -> None:
    """With a single row to a band nearly everything shares one; signatures tell it apart."""
    rows = [row(f"{n}", prose(str(n % 30), 60) + prose(f"own {n}", 60)) for n in range(60)]
    loose = {"bands": 64, "rows": 1, "min_similarity": None}
    assert len(deduplicate(tmp_path / "loose", [rows], Dedup.model_validate(loose))) > 25
    verified = {**loose, "min_similarity": 0.65}
    assert not deduplicate(tmp_path / "verified", [rows], Dedup.model_validate(verified))


def test_earlier_runs_are_not_taken_again(tmp_path: Path) -> None:
    old = [row("old", LONG[:900]), row("page", prose("p"), url="http://h/p", date="2020-01-01")]
    new = [
        row("new", LONG[:900] + " More of it."),
        row("page again", prose("p2"), url="http://h/p", date="2024-01-01"),
        row("fresh", prose("fresh")),
    ]
    with run_of(tmp_path / "first", Dedup(), [old]) as (engine, run, plan):
        run_duplicates(engine, run, plan, SMALL)
        for path in run.files("documents"):
            Path(run.path(path)).unlink()  # the text is not needed any more
    found = deduplicate(tmp_path / "second", [new], Dedup(against=(run.root,)))
    assert found == {"new": ("dedup.near", "old"), "page again": ("dedup.url", "page")}
    with pytest.raises(UsageError, match=r"dedup\.bands is 20 here and 14 there"):
        deduplicate(tmp_path / "third", [new], Dedup(bands=20, against=(run.root,)))
    with pytest.raises(UsageError, match="has no signatures"):
        deduplicate(tmp_path / "fourth", [new], Dedup(against=(str(tmp_path / "nowhere"),)))


def test_the_ledger_tells_a_dropped_document_with_its_images(tmp_path: Path) -> None:
    """A row for the document, with the id of the one that is kept, and one for each image."""
    page = "https://h/page"
    shown = [{"type": "image", "url": f"https://h/{name}.png"} for name in "ab"]
    rows = [
        {
            "id": name,
            "url": page,
            "segments": [{"type": "text", "text": prose("page", length)}, *shown],
        }
        for name, length in (("kept", 90), ("gone", 30))
    ]
    with run_of(tmp_path, Dedup(exact=False, near=False), [rows], row_format="interleaved") as made:
        engine, run, plan = made
        run_duplicates(engine, run, plan, SMALL)
        (path,) = run.files("ledger/duplicates", suffix=".parquet")
        with run.open(path) as stream:
            told = pq.read_table(stream).to_pylist()
        (name,) = (part.name for part in plan.parts)
        tally = run.read_json(marker_path("duplicates", name))["tally"]
    found = {(r["kind"], r["id"], r["url"], r["rule"], r["value"], r["match"]) for r in told}
    assert found == {
        ("document", "gone", page, "dedup.url", page, "kept"),
        ("node", "gone", "https://h/a.png", "node.document_dropped", "dedup.url", ""),
        ("node", "gone", "https://h/b.png", "node.document_dropped", "dedup.url", ""),
    }
    assert len(told) == 3
    assert Tally.from_json(tally).imbalances() == []


def test_rows_beyond_one_batch_keep_their_numbers(tmp_path: Path) -> None:
    """A documents file is read in batches of 65,536 rows; the last row of more is the copy."""
    count = 65_540
    source = Source(kind="jsonl", format="text", paths=("x",))
    part = InputPart(number=0, source="texts", index=0, path="x", file_name="x", size=1)
    plan = RunPlan(
        recipe=Recipe(name="test", sources={"texts": source}), fingerprint="f", parts=(part,)
    )
    run = RunDirectory(str(tmp_path))
    ids = [f"d{n}" for n in range(count)]
    with run.publish(f"documents/{part.name}.parquet") as local:
        pq.write_table(pa.table({"id": ids, "url": [""] * count}), local)
    with run.publish(f"references/shown/{part.name}.parquet") as local:
        pq.write_table(pa.table({"row": [count - 1], "url": ["https://h/a.png"]}), local)
    answer = {
        "low": pa.array([count - 1], pa.uint64()),
        "rule": pa.array([1], pa.int8()),
        "kept_id": pa.array(["d0"]),
        "kept_url": pa.array([""]),
        "of_this_run": pa.array([True]),
    }
    with groups._by_part(run, "duplicates/answers").outbox(groups.task_name(0)) as outbox:
        outbox.send(answer, np.array([0]))
    with PartWriter(run, "duplicates", part.name) as writer:
        make_verdicts(plan, writer, VerdictTask(part=part, groups=(0,)))
    with run.open(f"verdicts/duplicates/{part.name}.parquet") as stream:
        (row,) = pq.read_table(stream).to_pylist()
    assert (row["row"], row["id"], row["kept_id"]) == (count - 1, ids[-1], "d0")


def test_a_killed_stage_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = mixed_rows(60)
    expected = deduplicate(tmp_path / "whole", [rows])
    with run_of(tmp_path / "killed", Dedup(), [rows]) as (engine, run, plan):

        def fail(*_: object) -> None:
            raise OSError("no space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(search, "answer_targets", fail)
            with pytest.raises(WorkError, match="no space left"):
                run_duplicates(engine, run, plan, SMALL)
        done = {p: Path(run.path(p)).stat().st_mtime_ns for p in run.files("exchange")}
        assert any("/edges-00/" in path for path in done)
        run_duplicates(engine, run, plan, SMALL)
        assert dropped(run) == expected


@pytest.mark.parametrize("second", ["/edges-00/near-", "/resolved/"])
def test_a_task_of_two_outboxes_that_fails_between_them_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    rows = mixed_rows(30)
    expected = deduplicate(tmp_path / "whole", [rows])
    publish = RunDirectory.publish
    with run_of(tmp_path / "killed", Dedup(), [rows]) as (engine, run, plan):

        @contextmanager
        def fail(self: RunDirectory, path: str) -> Iterator[Path]:
            with publish(self, path) as local:
                yield local
                if second in path and path.endswith(".arrow"):
                    raise OSError("no space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(RunDirectory, "publish", fail)
            with pytest.raises((OSError, WorkError), match="no space left"):
                run_duplicates(engine, run, plan, SMALL)
        run_duplicates(engine, run, plan, SMALL)
        assert dropped(run) == expected


# --- clusters made of signatures alone -----------------------------------------------------------
