"""For which kept document each duplicate is dropped, whatever chain of duplicates leads there."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from curate.dedup.nodes import locator
from curate.pipelines.exchange import Task
from curate.pipelines.similarity.job import Dropped, Job, chosen

_LARGEST_CLUSTERS = 20


def send_targets(job: Job, task: Task) -> None:
    """Every dropped document to the group of the one that it is dropped for."""
    dropped = Dropped(job, task.payload, job.steps).pairs
    with job.by_group("targets-00").outbox(task.name) as outbox:
        outbox.send(dropped, job.group_of(dropped["other_low"]))


def follow_targets(job: Job, task: Task) -> None:
    """Where a document is dropped for one that is dropped itself: for which is that one?"""
    group, hop = task.payload
    dropped = Dropped(job, group, job.steps)
    with (
        job.by_group(f"targets-{hop + 1:02d}").outbox(task.name) as forwarded,
        job.by_group("resolved").outbox(f"{hop:02d}-{task.name}") as resolved,
    ):
        for chunk in job.by_group(f"targets-{hop:02d}").receive_numbers(group):
            gone = dropped.holds(chunk["other_low"])
            here = chosen(chunk, ~gone)
            resolved.send(here, np.full(here["low"].size, group))
            further = chosen(chunk, gone)
            index = dropped.index(further["other_low"])
            further["other_high"] = dropped.pairs["other_high"][index]
            further["other_low"] = dropped.pairs["other_low"][index]
            forwarded.send(further, job.group_of(further["other_low"]))


def answer_targets(job: Job, task: Task) -> None:
    """Id and URL of the kept documents, to the groups of the dropped ones."""
    sizes: Counter[int] = Counter()
    with job.by_group("answers").outbox(task.name) as outbox:
        requests = job.by_group("resolved").receive_all(task.payload)
        if requests is None:
            outbox.facts.update(sizes={}, largest=[])
            return
        places = locator(requests["other_low"])
        largest: list[tuple[int, str, str]] = []
        parts = job.groups[task.payload]
        firsts_of = np.array([part.first_locator for part in parts], np.uint64)
        holder = np.searchsorted(firsts_of, places, side="right") - 1
        order = np.argsort(holder, kind="stable")
        bounds = np.searchsorted(holder[order], np.arange(len(parts) + 1))
        for number in np.unique(holder).tolist():
            part = parts[number]
            asked = order[bounds[number] : bounds[number + 1]]
            rows = places[asked] - firsts_of[number]
            table = part.read(["id", "url"]).take(pa.array(rows))
            ids, urls = (table[n].combine_chunks() for n in ("id", "url"))
            answers = {
                "low": pa.array(requests["low"][asked]),
                "rule": pa.array(requests["rule"][asked]),
                "kept_id": ids,
                "kept_url": urls,
                "of_this_run": pa.array(np.full(asked.size, part.of_this_run)),
            }
            outbox.send(answers, job.group_of(requests["low"][asked]))
            kept, firsts, counts = np.unique(rows, return_index=True, return_counts=True)
            sizes.update((counts + 1).tolist())
            top = np.lexsort((kept, -counts))[:_LARGEST_CLUSTERS]
            largest += [
                (int(counts[i]) + 1, ids[int(firsts[i])].as_py(), urls[int(firsts[i])].as_py())
                for i in top
            ]
        outbox.facts.update(
            sizes={str(size): count for size, count in sorted(sizes.items())},
            largest=sorted(largest, key=lambda c: (-c[0], c[1]))[:_LARGEST_CLUSTERS],
        )


def clusters_path(stage: str) -> str:
    return f"verdicts/{stage}/clusters.json"


def write_clusters(job: Job, rounds: int, candidates: int) -> None:
    facts = job.by_group("answers").facts()
    sizes: Counter[int] = Counter()
    for fact in facts:
        sizes.update({int(size): count for size, count in fact["sizes"].items()})
    largest = sorted((tuple(c) for f in facts for c in f["largest"]), key=lambda c: (-c[0], c[1]))
    job.run.write_json(
        {
            "rounds": rounds,
            "candidate_pairs": candidates,
            "sizes": {str(size): count for size, count in sorted(sizes.items())},
            "largest": [
                {"documents": n, "kept_id": kept_id, "kept_url": url}
                for n, kept_id, url in largest[:_LARGEST_CLUSTERS]
            ],
        },
        clusters_path(job.stage),
    )
