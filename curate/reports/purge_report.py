"""What de-duplication and decontamination did in a run, for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from curate.decontamination.index_file import load_index
from curate.pipelines.similarity.targets import clusters_path
from curate.pipelines.text.decontamination import INDEX_PATH, worst_examples
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION, DUPLICATES, REPEATS, success_path
from curate.schemas.ledger import Tally

FREQUENT_DOCUMENTS = 12
"""An item that so many documents hold is named in the report."""
_FREQUENT_SHOWN = 10
_FREQUENT_CHARACTERS = 120
_MEMBERS = 10


def dedup_report(run: RunDirectory) -> dict[str, Any] | None:
    """Counts by rule, sizes of clusters and the largest ones; None where nothing was compared."""
    if not run.exists(success_path(DUPLICATES)) or not run.exists(clusters_path(DUPLICATES)):
        return None
    tally = Tally.from_json(run.read_json(success_path(DUPLICATES))["tally"])
    repeated = _repeated(run)
    tally.dropped.update(repeated.dropped)
    clusters = run.read_json(clusters_path(DUPLICATES))
    members = _members(run, {c["kept_id"] for c in clusters["largest"]})
    return {
        **_documents(tally),
        "lines_cut": sum(n for (_, k, _), n in repeated.dropped.items() if k == "line"),
        "rounds": clusters["rounds"],
        "candidate_pairs": clusters["candidate_pairs"],
        "cluster_sizes": clusters["sizes"],
        "largest_clusters": [
            {**cluster, "dropped": members.get(cluster["kept_id"], [])}
            for cluster in clusters["largest"]
        ],
    }


def _repeated(run: RunDirectory) -> Tally:
    """Counts of the stage that cuts repeated lines, where the run has come to it."""
    path = success_path(REPEATS)
    return Tally.from_json(run.read_json(path)["tally"]) if run.exists(path) else Tally()


def _documents(tally: Tally) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    for (_, kind, rule), count in tally.dropped.items():
        if kind == "document":
            dropped[rule] += count
    came_in = sum(n for (_, k), n in tally.came_in.items() if k == "document")
    return {
        "documents_in": came_in,
        "documents_out": came_in - sum(dropped.values()),
        "documents_dropped": dict(sorted(dropped.items())),
    }


def _members(run: RunDirectory, kept: set[str]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in duplicates(run):
        if row["kept_id"] in kept:
            listed = found.setdefault(row["kept_id"], [])
            member = {"id": row["id"], "url": row["url"], "rule": row["rule"]}
            if len(listed) < _MEMBERS and member not in listed:
                listed.append(member)
    return found


def duplicates(run: RunDirectory) -> Iterator[dict[str, Any]]:
    """Every dropped duplicate: `id`, `url`, `rule`, `kept_id`, `kept_url`, `of_this_run`."""
    for path in run.files(f"verdicts/{DUPLICATES}", suffix=".parquet"):
        with run.open(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches():
                yield from batch.to_pylist()


def contaminated(run: RunDirectory) -> Iterator[dict[str, Any]]:
    """Every document with matches: `id`, `url`, `outcome`, and `found` with the items."""
    for path in run.files(f"{DECONTAMINATION}/matches", suffix=".parquet"):
        with run.open(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches():
                yield from batch.to_pylist()


def decontamination_report(run: RunDirectory) -> dict[str, Any] | None:
    """Per benchmark: items, items hit, documents cut and dropped, the ten worst examples.

    None where documents were compared with no benchmark.
    """
    if not run.exists(success_path(DECONTAMINATION)) or not run.exists(INDEX_PATH):
        return None
    record = run.read_json(success_path(DECONTAMINATION))
    with run.open(INDEX_PATH) as stream:
        index = load_index(stream.read(), INDEX_PATH)
    items: dict[str, set[str]] = {name: set() for name in (*index.benchmarks, *index.too_short)}
    for item_id, benchmark in zip(index.ids, index.benchmark_of.tolist(), strict=True):
        items[index.benchmarks[benchmark]].add(item_id)
    hit: dict[str, set[str]] = {}
    counts: dict[str, Counter[str]] = {}
    examples: dict[str, list[dict[str, Any]]] = {}
    for path in run.files(f"stages/{DECONTAMINATION}", suffix=".json"):
        if path == success_path(DECONTAMINATION):
            continue
        for name, facts in run.read_json(path)["benchmarks"].items():
            hit.setdefault(name, set()).update(facts["items"])
            counts.setdefault(name, Counter()).update(facts["documents"])
            examples.setdefault(name, []).extend(facts["examples"])
    outcomes = Counter(_outcomes(run))
    frequent = _frequent_items(run)
    return {
        **_documents(Tally.from_json(record["tally"])),
        "documents_cut": outcomes["cut"],
        "documents_tagged": outcomes["tagged"],
        "benchmarks": [
            {
                "name": name,
                "items": len(found),
                "texts_too_short": index.too_short.get(name, 0),
                "items_hit": len(hit.get(name, ())),
                **{
                    f"documents_{what}": counts.get(name, Counter())[what]
                    for what in ("cut", "dropped", "tagged")
                },
                "frequent_items": frequent.get(name, []),
                "examples": worst_examples(examples.get(name, [])),
            }
            for name, found in sorted(items.items())
        ],
    }


def _frequent_items(run: RunDirectory) -> dict[str, list[dict[str, Any]]]:
    """Per benchmark the items that many documents hold: a stock phrase, or a leak."""
    counts: Counter[tuple[str, str]] = Counter()
    texts: dict[tuple[str, str], str] = {}
    for row in contaminated(run):
        held = {(found["benchmark"], found["item"]): found["text"] for found in row["found"]}
        counts.update(held.keys())
        for item in held.keys() - texts.keys():
            texts[item] = held[item][:_FREQUENT_CHARACTERS]
    listed: dict[str, list[dict[str, Any]]] = {}
    for item, documents in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        of_benchmark = listed.setdefault(item[0], [])
        if documents >= FREQUENT_DOCUMENTS and len(of_benchmark) < _FREQUENT_SHOWN:
            of_benchmark.append({"item": item[1], "documents": documents, "text": texts[item]})
    return listed


def _outcomes(run: RunDirectory) -> Iterator[str]:
    for path in run.files(f"{DECONTAMINATION}/matches", suffix=".parquet"):
        with run.open(path) as stream:
            yield from pq.read_table(stream, columns=["outcome"])["outcome"].to_pylist()
