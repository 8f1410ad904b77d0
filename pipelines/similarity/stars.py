"""Clusters of near-duplicates: connected components by alternating stars.

Kiveris et al., Connected Components in MapReduce and Beyond (2014). Every step needs the least
neighbour of each document alone, so that no neighbourhood is ever held: a document with a million
duplicates costs no more memory than one with two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from curate.dedup.nodes import (
    Columns,
    Least,
    comes_first,
    distinct_pairs,
    is_of_this_run,
    least,
    locator,
)
from curate.pipelines.exchange import Exchange, Sent, Task
from curate.pipelines.similarity.candidates import send_edges
from curate.pipelines.similarity.job import PAIR, Job, chosen, pair_up
from curate.schemas.identity import mix

MAX_ROUNDS = 64

RunStep = Callable[[Exchange, list[Task], Callable[[Job, Task], None]], Sent]


class RoundsError(RuntimeError):
    """Clusters did not converge: a fault of the program."""


def find_clusters(job: Job, step: RunStep) -> int:
    """Alternate large and small stars until no edge changes; the number of rounds."""
    before: tuple[int, int] | None = None
    for number in range(MAX_ROUNDS):
        tasks = [replace(t, payload=(t.payload, number)) for t in job.partition_tasks("edges")]
        large = job.by_partition(f"large-{number:02d}", "edges")
        step(large, tasks, make_large_stars)
        facts = large.facts()
        now = (sum(f["edges"] for f in facts), sum(f["hash"] for f in facts) % (1 << 64))
        if now in (before, (0, 0)):
            tasks = [replace(t, payload=(t.payload, number)) for t in job.partition_tasks("edges")]
            step(job.by_group("clusters"), tasks, send_clusters)
            return number
        before = now
        small = job.by_partition(f"edges-{number + 1:02d}", "edges")
        step(small, tasks, make_small_stars)
    raise RoundsError(
        f"clusters of duplicates did not converge in {MAX_ROUNDS} rounds. "
        "This is a fault of curate; please report it."
    )


def _stars(job: Job, step: str, partition: int) -> tuple[Least, Iterator[Columns]]:
    """The least neighbour of every document of a partition, and the edges once more."""
    received = job.by_partition(step, "edges")

    def chunks() -> Iterator[Columns]:
        for chunk in received.receive_numbers(partition):
            pairs = distinct_pairs(chunk)
            yield {**pairs, "node": locator(pairs["low"])}

    return least("node", ("other_high", "other_low"), chunks()), chunks()


def make_large_stars(job: Job, task: Task) -> None:
    """Join every larger neighbour to the least of the neighbourhood, itself included.

    Notes how many edges came in and the sum of their hashes: equal to the round before, nothing
    changes any more.
    """
    partition, number = task.payload
    least_of, chunks = _stars(job, f"edges-{number:02d}", partition)
    downward: list[Columns] = []
    with job.by_partition(f"large-{number:02d}", "edges").outbox(task.name) as outbox:
        for chunk in chunks:
            to_larger = comes_first(
                chunk["high"], chunk["low"], chunk["other_high"], chunk["other_low"]
            )
            downward.append(chosen(chunk, ~to_larger))
            upward = chosen(chunk, to_larger)
            best = chosen(least_of.rows, least_of.index(upward["node"]))
            itself = comes_first(
                upward["high"], upward["low"], best["other_high"], best["other_low"]
            )
            rows = {
                "high": upward["other_high"],
                "low": upward["other_low"],
                "other_high": np.where(itself, upward["high"], best["other_high"]),
                "other_low": np.where(itself, upward["low"], best["other_low"]),
            }
            outbox.send(rows, job.partition_of(locator(rows["low"]), "edges"))
        outbox.facts.update(_digest(downward))


def _digest(downward: list[Columns]) -> dict[str, int]:
    if not downward:
        return {"edges": 0, "hash": 0}
    edges = distinct_pairs({n: np.concatenate([d[n] for d in downward]) for n in PAIR})
    hashes = mix(mix(locator(edges["low"])) + locator(edges["other_low"]))
    return {"edges": int(hashes.size), "hash": int(hashes.sum(dtype=np.uint64))}


def make_small_stars(job: Job, task: Task) -> None:
    """Join every document and its smaller neighbours to the least of them."""
    partition, number = task.payload
    least_of, chunks = _stars(job, f"large-{number:02d}", partition)
    with job.by_partition(f"edges-{number + 1:02d}", "edges").outbox(task.name) as outbox:
        for chunk in chunks:
            best = chosen(least_of.rows, least_of.index(chunk["node"]))
            others = {"high": chunk["other_high"], "low": chunk["other_low"]}
            kept = {"high": best["other_high"], "low": best["other_low"]}
            joined = pair_up(others, kept)
            joined = chosen(joined, locator(others["low"]) != locator(kept["low"]))
            send_edges(job, outbox, distinct_pairs(joined))
            send_edges(job, outbox, distinct_pairs(pair_up(chunk, kept)))


def send_clusters(job: Job, task: Task) -> None:
    """Every document but the least of its cluster to its group, with the least."""
    partition, number = task.payload
    received = job.by_partition(f"edges-{number:02d}", "edges")
    found: list[Columns] = []
    for chunk in received.receive_numbers(partition):
        smaller = comes_first(chunk["other_high"], chunk["other_low"], chunk["high"], chunk["low"])
        found.append(distinct_pairs(chosen(chunk, smaller & is_of_this_run(chunk["high"]))))
    with job.by_group("clusters").outbox(task.name) as outbox:
        if found:
            pairs = distinct_pairs({n: np.concatenate([f[n] for f in found]) for n in PAIR})
            outbox.send(pairs, job.group_of(pairs["low"]))
