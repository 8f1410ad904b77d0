"""De-duplication of clusters that are made to be hard."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.dedup.nodes import preference
from curate.pipelines.similarity import signatures
from curate.pipelines.similarity.duplicates import run_duplicates
from curate.pipelines.similarity.job import Sizes
from curate.runs.run_directory import RunDirectory
from curate.schemas.settings.purging import Dedup
from tests.pipelines.similarity.duplicate_runs import dropped, row, run_of


def write_signatures(run: RunDirectory, name: str, dedup: Dedup, rows: Iterable[np.ndarray]) -> int:
    """A documents part of empty documents with given signatures."""
    held = list(rows)
    schema = signatures.signature_schema(dedup, "text")
    table = []
    for number, signature in enumerate(held):
        high, low = preference(0.0, 100 + number, number)
        table.append(
            {
                "id": f"{number}", "url": "", "high": high, "low": low, "url_key": 0,
                "captured": 0, "content_key": 0, "content_key_2": 0, "comparable": True,
                "signature": signature.astype("<u4").tobytes(),
            }
        )  # fmt: skip
    with run.publish(f"signatures/{name}.parquet") as path:
        pq.write_table(pa.Table.from_pylist(table, schema), path, row_group_size=1_000)
    return len(held)


def cluster(tmp_path: Path, dedup: Dedup, rows: Iterable[np.ndarray], sizes: Sizes) -> tuple:
    """Kept document by dropped one, the rounds and the candidates."""
    with run_of(tmp_path, dedup, [[row("only", "x")]]) as (engine, run, plan):
        count = write_signatures(run, plan.parts[0].name, dedup, rows)
        empty = pa.table({"id": [str(n) for n in range(count)], "url": [""] * count})
        with run.publish(f"documents/{plan.parts[0].name}.parquet") as path:
            pq.write_table(empty, path)
        run_duplicates(engine, run, plan, sizes)
        facts = run.read_json("verdicts/duplicates/clusters.json")
        found = {int(k): int(kept) for k, (_, kept) in dropped(run).items()}
        return found, facts["rounds"], facts["candidate_pairs"]


NO_CHECK = Dedup(urls=False, exact=False, min_similarity=None, bands=4, rows=2)


def test_a_cluster_of_ten_thousand(tmp_path: Path) -> None:
    """Everything shares every band: a star of edges per band, one cluster."""
    same = np.arange(8)
    found, rounds, candidates = cluster(
        tmp_path,
        NO_CHECK,
        (same for _ in range(10_000)),
        Sizes(group_documents=3_000, partition_rows=20_000),
    )
    assert set(found.values()) == {9_999}  # the longest
    assert len(found) == 9_999
    assert candidates <= 4 * 9_999
    assert rounds <= 12


def test_a_shuffled_chain_of_a_thousand(tmp_path: Path) -> None:
    """Each document shares a band with the next alone, in an order that knows nothing of it."""
    order = random.Random(4).sample(range(1_000), 1_000)
    rows = np.random.RandomState(2).randint(0, 1 << 31, (1_000, 8), dtype=np.uint32)
    for position in range(999):
        band = slice(0, 2) if position % 2 else slice(2, 4)
        rows[order[position + 1], band] = rows[order[position], band]
    found, rounds, candidates = cluster(
        tmp_path, NO_CHECK, rows, Sizes(group_documents=600, partition_rows=1_100)
    )
    assert set(found.values()) == {999}
    assert len(found) == candidates == 999
    assert rounds <= 12


def test_a_band_shared_by_every_document(tmp_path: Path) -> None:
    """It costs a candidate a document, and merges nothing that is not alike."""
    rows = np.random.RandomState(3).randint(0, 1 << 31, (6_000, 112), dtype=np.uint32)
    rows[:, :8] = 7
    rows[1::100] = rows[::100]
    dedup = Dedup(urls=False, exact=False)
    found, rounds, candidates = cluster(
        tmp_path, dedup, rows, Sizes(group_documents=1_000, partition_rows=5_000)
    )
    assert found == {number: number + 1 for number in range(0, 6_000, 100)}
    assert candidates < 6_000 + 60 * 13
    assert rounds <= 12
