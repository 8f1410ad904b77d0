"""Stage `decontamination`: documents without the items of benchmarks.

    documents ──find──▶ matches of each part ─by n-gram─▶ n-grams that are common speech
                              │                                        │
                              └──────────────cut, drop or tag◀─────────┘
    verdicts/decontamination/SOURCE/part-N.parquet, references/wanted/SOURCE/part-N.parquet

It is the last stage on text, so it also tells which images the documents that are left want.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.decontamination.benchmarks import (
    BenchmarkError,
    Mapped,
    built_in_registry,
    read_benchmark,
    read_registry,
)
from curate.decontamination.index import BenchmarkIndex, build_index
from curate.decontamination.index_file import INDEX_SUFFIX, join_indexes, load_index, save_index
from curate.decontamination.match import NGRAM, Match, find_matches
from curate.decontamination.purge import Found, Purged, purge
from curate.dedup.nodes import least
from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import Exchange, Task, all_numbers, numbers_of, run_step
from curate.pipelines.groups import partition_count, partition_tasks, sender_name, senders
from curate.pipelines.similarity.duplicates import drop_document, images_of
from curate.pipelines.steps import run_parts, tasks_of
from curate.runs.cleaned_documents import PURGE_SCHEMA, distinct_documents, dropped_rows
from curate.runs.part import PartWriter, RowWriter, done_parts
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION as STAGE
from curate.schemas.address import file_name
from curate.schemas.document import Document, document_to_row
from curate.schemas.identity import image_key, mix
from curate.schemas.settings.purging import Decontamination
from curate.schemas.verdict import Drop

INDEX_PATH = f"{STAGE}/benchmarks.index"
WANTED_SCHEMA = pa.schema([("key", pa.binary(16)), ("url", pa.string()), ("documents", pa.int64())])
_FOUND = pa.struct(
    [
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("rule", pa.string()),
        ("similarity", pa.float64()),
        ("words", pa.int64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("before", pa.string()),
        ("text", pa.string()),
        ("after", pa.string()),
    ]
)
MATCH_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("outcome", pa.string()),
        ("found", pa.list_(_FOUND)),
    ]
)
"""A row per document with matches; `outcome` is `cut`, `tagged` or the rule that dropped it."""

_RULES = (NGRAM, "decontamination.item")
_EXAMPLES = 10
_NGRAM_ROWS = 2_000_000


def run_decontamination(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    """Make the stage.

    Raises:
        BenchmarkError: a benchmark file can't be used.
    """
    tasks = tasks_of(plan.parts)
    if done_parts(run, STAGE).issuperset(t.name for t in tasks):
        return
    rules = plan.recipe.decontamination
    if rules is not None and rules.benchmarks:
        if not run.exists(INDEX_PATH):
            run.write_bytes(save_index(index_of(rules)), INDEX_PATH)
        _find(engine, run, plan)
    run_parts(engine, run, plan, STAGE, tasks, make_decontamination)
    run.remove(f"exchange/{STAGE}")


# --- benchmarks ----------------------------------------------------------------------------------


def benchmark_files(rules: Decontamination) -> list[str]:
    """The files that the recipe names, sorted by name.

    Raises:
        BenchmarkError: a path or pattern matches nothing.
    """
    found: dict[str, None] = {}
    for path in rules.benchmarks:
        filesystem, root = fsspec.core.url_to_fs(path)
        entries = filesystem.glob(root) if any(c in root for c in "*?[") else [root]
        entries = [e for e in entries if filesystem.isfile(e)]
        if not entries:
            raise BenchmarkError(
                f"decontamination.benchmarks: no file matches {path!r}. "
                "Check the path, and quote a glob so that the shell leaves it alone."
            )
        found.update(dict.fromkeys(filesystem.unstrip_protocol(e) for e in entries))
    return sorted(found, key=lambda p: (file_name(p), p))


def registry_of(path: str | None) -> list[Mapped]:
    """The user's registry, then the built-in one.

    Raises:
        BenchmarkError: the file can't be read.
    """
    entries: list[Mapped] = []
    if path is not None:
        try:
            with fsspec.open(path, "r", encoding="utf-8") as stream:
                entries += read_registry(stream.read(), path)
        except OSError as error:
            raise BenchmarkError(f"decontamination.registry: {path} can't be read: {error}") from (
                error
            )
    return [*entries, *read_registry(built_in_registry(), "the built-in registry")]


def index_of(rules: Decontamination) -> BenchmarkIndex:
    """One index of all benchmark files and indexes that the recipe names.

    Raises:
        BenchmarkError: a file can't be used.
    """
    registry = registry_of(rules.registry)
    lengths = (rules.min_words, rules.max_words)
    items, indexes = [], []
    for path in benchmark_files(rules):
        if path.endswith(INDEX_SUFFIX):
            with fsspec.open(path, "rb") as stream:
                indexes.append(load_index(stream.read(), path))
        else:
            items += read_benchmark(path, registry)
    if items:
        indexes.append(build_index(items, *lengths))
    held = {(i.min_words, i.max_words) for i in indexes} - {lengths}
    if held:
        raise BenchmarkError(
            f"decontamination asks for {lengths[0]} to {lengths[1]} words, an index of "
            f"decontamination.benchmarks was built for {' and '.join(map(str, held))}"
        )
    return join_indexes(indexes)


@lru_cache(maxsize=1)
def _load(run_root: str) -> BenchmarkIndex:
    with RunDirectory(run_root).open(INDEX_PATH) as stream:
        return load_index(stream.read(), INDEX_PATH)


# --- finding -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    run: RunDirectory
    rules: Decontamination
    ngram_partitions: int = 1

    def matches(self) -> Exchange:
        """Each part's to itself: read by the name of its task."""
        return Exchange(self.run, f"{STAGE}/matches", 1)

    def ngrams(self) -> Exchange:
        return Exchange(self.run, f"{STAGE}/ngrams", self.ngram_partitions)

    def frequent(self) -> Exchange:
        return Exchange(self.run, f"{STAGE}/frequent", 1)


def _find(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    rules = plan.recipe.decontamination
    assert rules is not None
    job = _Job(run, rules)
    tasks = senders(plan.parts)
    found = run_step(engine, job.matches(), tasks, job, find_in_part)
    if rules.ngrams is None or rules.ngrams.frequent is None:
        return
    job = _Job(run, rules, partition_count(found.rows, _NGRAM_ROWS))
    run_step(engine, job.ngrams(), tasks, job, send_ngrams)
    partitions = partition_tasks(job.ngram_partitions)
    run_step(engine, job.frequent(), partitions, job, find_frequent)


def find_in_part(job: _Job, task: Task) -> None:
    """The matches of one part's documents, to itself."""
    index = _load(job.run.root)
    found: list[tuple[int, Match]] = []
    for row, document in distinct_documents(job.run, task.payload.name):
        found += [(row, match) for match in find_matches(document.text, index, job.rules)]
    with job.matches().outbox(task.name) as outbox:
        columns = {
            "row": np.array([row for row, _ in found], np.int64),
            "start": np.array([m.start for _, m in found], np.int64),
            "end": np.array([m.end for _, m in found], np.int64),
            "item": np.array([m.item for _, m in found], np.int64),
            "rule": np.array([_RULES.index(m.rule) for _, m in found], np.int8),
            "similarity": np.array([m.similarity for _, m in found], np.float64),
            "ngram": np.array([max(m.ngram, 0) for _, m in found], np.uint64),
        }
        outbox.send(columns, np.zeros(len(found), np.int64))


def send_ngrams(job: _Job, task: Task) -> None:
    """Every n-gram match to the partition of its hash."""
    with job.ngrams().outbox(task.name) as outbox:
        for chunk in map(numbers_of, job.matches().receive_from(task.name, 0)):
            ngrams = chunk["ngram"][chunk["rule"] == _RULES.index(NGRAM)]
            partition = (mix(ngrams) % np.uint64(job.ngram_partitions)).astype(np.int64)
            outbox.send({"key": ngrams}, partition)


def find_frequent(job: _Job, task: Task) -> None:
    """The n-grams that the corpus holds too often to be anything but common speech."""
    assert job.rules.ngrams is not None
    assert job.rules.ngrams.frequent is not None
    counted = least("key", (), job.ngrams().receive_numbers(task.payload))
    frequent = counted.rows["key"][counted.counts >= job.rules.ngrams.frequent]
    with job.frequent().outbox(task.name) as outbox:
        outbox.send({"key": frequent}, np.zeros(frequent.size, np.int64))


# --- verdicts ------------------------------------------------------------------------------------


def make_decontamination(plan: RunPlan, part: PartWriter, task: InputPart) -> None:
    """Write which documents of one part go or change, and which images the others want."""
    changes = part.rows(f"verdicts/{STAGE}/{task.name}.parquet", PURGE_SCHEMA)
    matches = part.rows(f"{STAGE}/matches/{task.name}.parquet", MATCH_SCHEMA)
    gone = dropped_rows(part.run, task.name)
    shown = images_of(part.run, task.name)
    with part.run.open(f"documents/{task.name}.parquet") as stream:
        documents = pq.read_metadata(stream).num_rows - len(gone)
    images = sum(len(urls) for row, urls in shown.items() if row not in gone)
    part.came_in(task.source, "document", documents)
    part.came_in(task.source, "node", images)
    told = _Told()
    rules = plan.recipe.decontamination
    if rules is not None and rules.benchmarks:
        for row, document, purged in _purged(plan, part.run, task):
            matches.write(told.take(document, purged))
            if isinstance(purged.outcome, Drop):
                gone.add(row)
                documents -= 1
                images -= len(document.images)
                changes.write({"row": row, "dropped": True, "id": document.id})
                urls = [i.url for i in document.images]
                drop_document(part, task.source, document.id, document.url, urls, purged.outcome)
            else:
                _tell_cuts(part, task.source, document, purged)
                changes.write({"row": row, "dropped": False, **document_to_row(purged.outcome)})
    part.went_out(task.source, "document", documents)
    part.went_out(task.source, "node", images)
    part.facts["benchmarks"] = told.facts()
    wanted = part.rows(f"references/wanted/{task.name}.parquet", WANTED_SCHEMA)
    _write_wanted(wanted, {row: urls for row, urls in shown.items() if row not in gone})
    part.facts["images_wanted"] = wanted.count


def _purged(
    plan: RunPlan, run: RunDirectory, task: InputPart
) -> Iterator[tuple[int, Document, Purged]]:
    rules = plan.recipe.decontamination
    assert rules is not None
    if plan.recipe.sources[task.source].format == "instruction" and rules.action == "cut":
        # What is left of a prompt or of its answer teaches something else.
        rules = rules.model_copy(update={"action": "drop"})
    job = _Job(run, rules)
    by_row: dict[int, list[Match]] = {}
    for chunk in map(numbers_of, job.matches().receive_from(sender_name(task), 0)):
        for row, start, end, item, rule, similarity, ngram in zip(
            *(column.tolist() for column in chunk.values()), strict=True
        ):
            by_row.setdefault(row, []).append(
                Match(start, end, item, _RULES[rule], similarity, ngram)
            )
    if not by_row:
        return
    index, frequent = _load(run.root), _frequent(job)
    for row, document in distinct_documents(run, task.name):
        if row in by_row:
            purged = purge(document, by_row[row], frequent, index, rules)
            if purged is not None:
                yield row, document, purged


def _frequent(job: _Job) -> set[int]:
    if job.rules.ngrams is None or job.rules.ngrams.frequent is None:
        return set()
    found = all_numbers(job.frequent().receive(0))
    return set() if found is None else set(found["key"].tolist())


def _tell_cuts(part: PartWriter, source: str, document: Document, purged: Purged) -> None:
    """A ledger row for each item that a document was cut or tagged for."""
    for found in {(f.benchmark, f.item): f for f in reversed(purged.found)}.values():
        where = f"characters {found.start} to {found.end}: {found.text[:100]}"
        verdict = Drop(found.rule, where, match=f"{found.benchmark}:{found.item}")
        part.drop(source, "passage", document.id, document.url, verdict)


class _Told:
    """What the report says of each benchmark."""

    def __init__(self) -> None:
        self._items: dict[str, set[str]] = {}
        self._documents: dict[str, Counter[str]] = {}
        self._examples: dict[str, list[dict[str, Any]]] = {}

    def take(self, document: Document, purged: Purged) -> dict[str, Any]:
        """Note a document; its row of `MATCH_SCHEMA`."""
        outcome = purged.outcome
        if isinstance(outcome, Drop):
            what, counted = outcome.rule, "dropped"
        elif "decontamination.matches" in outcome.scores:
            what = counted = "tagged"
        else:
            what = counted = "cut"
        best: dict[str, Found] = {}
        for found in purged.found:
            self._items.setdefault(found.benchmark, set()).add(found.item)
            held = best.get(found.benchmark)
            if held is None or found.words > held.words:
                best[found.benchmark] = found
        for benchmark, found in best.items():
            self._documents.setdefault(benchmark, Counter())[counted] += 1
            example = {"id": document.id, "url": document.url, **asdict(found)}
            examples = self._examples.setdefault(benchmark, [])
            examples.append(example)
            if len(examples) > 8 * _EXAMPLES:
                examples[:] = worst_examples(examples)
        rows = [asdict(f) for f in purged.found]
        return {"id": document.id, "url": document.url, "outcome": what, "found": rows}

    def facts(self) -> dict[str, Any]:
        return {
            benchmark: {
                "items": sorted(self._items[benchmark]),
                "documents": dict(sorted(documents.items())),
                "examples": worst_examples(self._examples[benchmark]),
            }
            for benchmark, documents in sorted(self._documents.items())
        }


def worst_examples(examples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ten with the most words."""
    return sorted(examples, key=lambda e: (-e["words"], e["id"], e["start"]))[:_EXAMPLES]


def _write_wanted(writer: RowWriter, shown: dict[int, list[str]]) -> None:
    """Each image URL once, with the number of documents that show it."""
    wanted: dict[bytes, tuple[str, int]] = {}
    for urls in shown.values():
        for key, url in {image_key(url): url for url in urls}.items():
            first, count = wanted.get(key, (url, 0))
            wanted[key] = (first, count + 1)
    for key, (url, count) in sorted(wanted.items()):
        writer.write({"key": key, "url": url, "documents": count})
