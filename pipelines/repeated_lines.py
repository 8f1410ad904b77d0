"""Stage `repeated-lines`: lines or paragraphs that the documents of a domain repeat.

    documents ──send──▶ hashes of units by (domain, text) ──count──▶ rows that hold repeated ones
                                                                              │
    verdicts/repeated-lines/SOURCE/part-N.parquet ◀───────────────────────────┘

The documents are those that de-duplication left: of a page captured twice, no line is repeated.
Hashes have 64 bits: among ten billion different lines about three pairs share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from dedup.nodes import least, locator, part_of, place, row_of
from dedup.words import Hashes, mix
from pipelines.deduplication.job import SIZES, Sizes, chosen, compared_parts
from pipelines.duplicates import drop_document, images_of
from pipelines.engine import Engine
from pipelines.exchange import CHUNK_ROWS, Exchange, Task, run_step
from pipelines.part import PartWriter, marker_path
from pipelines.parts import PartTask, run_parts
from pipelines.plan import InputPart, RunPlan
from pipelines.purged import CUT_SCHEMA, REPEATED_LINES, deduplicated_documents
from pipelines.run_directory import RunDirectory
from pipelines.signatures import STAGE as SIGNATURES
from schemas.document import Document
from schemas.identity import content_key
from schemas.recipe import RepeatedLines
from schemas.text_lines import units, without_units
from schemas.verdict import Drop

STAGE = REPEATED_LINES
NOTHING_LEFT = "dedup.nothing_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    run: RunDirectory
    rules: RepeatedLines
    parts: tuple[InputPart, ...]
    """All parts of the run."""
    partitions: int

    def sent(self) -> Exchange:
        return Exchange(self.run, f"{STAGE}/sent", self.partitions)

    def repeated(self) -> Exchange:
        return Exchange(self.run, f"{STAGE}/repeated", len(self.parts))


def cut_parts(plan: RunPlan) -> list[InputPart]:
    """The parts that the stage looks at: none where the recipe doesn't ask for it."""
    dedup = plan.recipe.dedup
    return [] if dedup is None or dedup.repeated is None else compared_parts(plan)


def run_repeated_lines(
    engine: Engine, run: RunDirectory, plan: RunPlan, sizes: Sizes = SIZES
) -> None:
    """Make the stage."""
    parts = cut_parts(plan)
    tasks = [PartTask(name=p.name, cost=p.size + 1, payload=p) for p in parts]
    if all(run.exists(marker_path(STAGE, t.name)) for t in tasks):
        return
    assert plan.recipe.dedup is not None
    assert plan.recipe.dedup.repeated is not None
    lines = sum(run.read_json(marker_path(SIGNATURES, p.name))["lines"] for p in parts)
    job = _Job(
        run=run,
        rules=plan.recipe.dedup.repeated,
        parts=plan.parts,
        partitions=max(1, -(-lines // sizes.partition_rows)),
    )
    senders = [Task(name=f"{p.number:06d}", cost=p.size + 1, payload=p) for p in parts]
    run_step(engine, job.sent(), senders, job, send_units)
    partitions = [Task(name=f"{n:05d}", cost=1, payload=n) for n in range(job.partitions)]
    run_step(engine, job.repeated(), partitions, job, find_repeated)
    run_parts(engine, run, plan, STAGE, tasks, make_cuts)
    run.remove(f"exchange/{STAGE}")


def send_units(job: _Job, task: Task) -> None:
    """Every different unit of every document with a domain to the partition of its hash."""
    part: InputPart = task.payload
    with job.run.open(f"signatures/{part.name}.parquet") as stream:
        signed = pq.read_table(stream, columns=["high", "low"])
    high, low = place(signed["high"].to_numpy(), signed["low"].to_numpy(), part.number, True)
    with job.sent().outbox(task.name) as outbox:
        for rows, keys in _sent_at_once(job, part.name):
            columns = {"key": keys, "high": high[rows], "low": low[rows]}
            outbox.send(columns, (mix(keys) % np.uint64(job.partitions)).astype(np.int64))


def _sent_at_once(job: _Job, name: str) -> Iterator[tuple[npt.NDArray[np.int64], Hashes]]:
    """Rows and hashes of the different units of a part's documents, many at a time."""
    rows: list[npt.NDArray[np.int64]] = []
    keys: list[Hashes] = []
    waiting = 0
    for row, document in deduplicated_documents(job.run, name):
        keys.append(np.unique(unit_keys(document, job.rules)))
        rows.append(np.full(keys[-1].size, row))
        waiting += keys[-1].size
        if waiting >= CHUNK_ROWS:
            yield np.concatenate(rows), np.concatenate(keys)
            rows.clear()
            keys.clear()
            waiting = 0
    if waiting:
        yield np.concatenate(rows), np.concatenate(keys)


def unit_keys(document: Document, rules: RepeatedLines) -> Hashes:
    """64-bit hashes of the domain and each unit, in order; none for a document without a URL."""
    domain = (urlsplit(document.url).hostname or "").removeprefix("www.")
    if not domain:
        return np.empty(0, np.uint64)
    texts = units(document, rules.unit)
    hashes = b"".join(content_key("repeated", domain, text)[:8] for text in texts)
    return np.frombuffer(hashes, "<u8")


def find_repeated(job: _Job, task: Task) -> None:
    """Units that enough documents hold, to the parts of those that lose them."""
    received = job.sent()
    first = least("key", ("high", "low"), received.receive_numbers(task.payload))
    with job.repeated().outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            index = first.index(chunk["key"])
            lost = first.counts[index] >= job.rules.min_documents
            if job.rules.keep == "one":
                lost &= locator(chunk["low"]) != locator(first.rows["low"][index])
            rows = chosen(chunk, lost)
            columns = {"row": row_of(rows["low"]), "key": rows["key"]}
            outbox.send(columns, part_of(rows["low"]))


def make_cuts(plan: RunPlan, part: PartWriter, task: InputPart) -> None:
    """Write which units the documents of one part lose."""
    assert plan.recipe.dedup is not None
    rules = plan.recipe.dedup.repeated
    assert rules is not None
    cuts = part.rows(f"verdicts/{STAGE}/{task.name}.parquet", CUT_SCHEMA)
    lost = _lost_of(Exchange(part.run, f"{STAGE}/repeated", len(plan.parts)), task.number)
    shown = images_of(part.run, task.name)
    cut_documents = 0
    for row, document in deduplicated_documents(part.run, task.name):
        images = shown.get(row, [])
        part.came_in(task.source, "document")
        part.came_in(task.source, "node", len(images))
        keys = lost.get(row)
        if keys is not None:
            gone = np.flatnonzero(np.isin(unit_keys(document, rules), keys)).tolist()
            left = without_units(document, rules.unit, set(gone))
            is_dropped = not left.text.strip()
            cuts.write({"row": row, "dropped": is_dropped, "unit": rules.unit, "gone": gone})
            if is_dropped:
                verdict = Drop(NOTHING_LEFT, len(gone))
                drop_document(part, task.source, document.id, document.url, images, verdict)
                continue
            cut_documents += 1
            texts = units(document, rules.unit)
            for number in gone:
                verdict = Drop(f"dedup.{rules.unit}", texts[number][:100], rules.min_documents)
                part.drop(task.source, "line", document.id, document.url, verdict)
        part.went_out(task.source, "document")
        part.went_out(task.source, "node", len(images))
    part.facts["documents_cut"] = cut_documents


def _lost_of(repeated: Exchange, number: int) -> dict[int, npt.NDArray[np.uint64]]:
    """Hashes of the units that documents of a part lose, by row."""
    found = repeated.receive_all(number)
    if found is None:
        return {}
    order = np.argsort(found["row"], kind="stable")
    rows, firsts = np.unique(found["row"][order], return_index=True)
    return dict(zip(rows.tolist(), np.split(found["key"][order], firsts[1:]), strict=True))
