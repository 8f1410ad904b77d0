"""The steps of de-duplication, from signatures to which document goes for which other.

    signatures ─▶ urls ─▶ exact ─▶ bands ─▶ candidates ─▶ [compare] ─▶ stars ⟳ ─▶ targets ⟳
                                                                                 └▶ answers

The same steps find near-duplicates among texts and among pictures: a job names what is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from curate.dedup.likeness import Likeness
from curate.pipelines.engine.engine import Engine
from curate.pipelines.exchange import Exchange, Sent, Task, run_step
from curate.pipelines.groups import deliver, partition_count
from curate.pipelines.similarity.candidates import (
    compare_across_groups,
    compare_within_group,
    find_candidates,
    send_bands,
)
from curate.pipelines.similarity.exact import (
    find_same_contents,
    find_same_urls,
    send_contents,
    send_urls,
)
from curate.pipelines.similarity.job import Job, SignaturePart, Sizes
from curate.pipelines.similarity.stars import find_clusters
from curate.pipelines.similarity.targets import (
    answer_targets,
    follow_targets,
    send_targets,
    write_clusters,
)
from curate.runs.run_directory import RunDirectory


def make_job(
    run: RunDirectory,
    stage: str,
    steps: tuple[str, ...],
    likeness: Likeness,
    groups: tuple[tuple[SignaturePart, ...], ...],
    sizes: Sizes,
) -> Job:
    """A job with as many partitions as its rows need."""
    documents = sum(part.documents for group in groups for part in group)

    return Job(
        run=run,
        stage=stage,
        steps=steps,
        likeness=likeness,
        groups=groups,
        partitions={
            "documents": partition_count(documents, sizes.partition_rows),
            "bands": partition_count(documents * likeness.keys_each, sizes.partition_rows),
            "edges": partition_count(documents * 2, sizes.partition_rows),
        },
    )


def find_duplicates(engine: Engine, job: Job) -> None:
    """Do the steps of a job; what goes is delivered by the step `answers` afterwards."""

    def step(exchange: Exchange, tasks: list[Task], make: Callable[[Job, Task], None]) -> Sent:
        return run_step(engine, exchange, tasks, job, make)

    if "urls" in job.steps:
        step(job.by_partition("send-urls", "documents"), job.group_tasks(), send_urls)
        step(job.by_group("urls"), job.partition_tasks("documents"), find_same_urls)
    if "exact" in job.steps:
        step(job.by_partition("send-exact", "documents"), job.group_tasks(), send_contents)
        step(job.by_group("exact"), job.partition_tasks("documents"), find_same_contents)
    rounds = candidates = 0
    if "clusters" in job.steps:
        step(job.by_partition("send-bands", "bands"), job.group_tasks(), send_bands)
        found = step(job.by_group("bands"), job.partition_tasks("bands"), find_candidates)
        candidates = found.rows
        step(job.by_group("compare"), job.group_tasks(), compare_within_group)
        edges = job.by_partition("edges-00", "edges")
        far = [replace(t, name=f"far-{t.name}") for t in job.group_tasks()]
        step(edges, far, compare_across_groups)
        rounds = find_clusters(job, step)
    sent = step(job.by_group("targets-00"), job.group_tasks(), send_targets)
    hop = 0
    while sent.rows:
        tasks = [replace(t, payload=(t.payload, hop)) for t in job.group_tasks()]
        sent = step(job.by_group(f"targets-{hop + 1:02d}"), tasks, follow_targets)
        hop += 1
    engine.exchanged_bytes += job.by_group("resolved").seal().bytes
    step(job.by_group("answers"), job.group_tasks(), answer_targets)
    deliver(engine, job.by_group("answers"), job.group_tasks())
    write_clusters(job, rounds, candidates)


def groups_of_parts(
    groups: tuple[tuple[SignaturePart, ...], ...],
) -> dict[int, tuple[int, ...]]:
    """The groups that hold documents of each part of this run, by the part's number."""
    found: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        for part in group:
            if part.of_this_run:
                found.setdefault(part.number, []).append(number)
    return {part: tuple(numbers) for part, numbers in found.items()}
