"""The stages of `build-shards`, in order, and what drives them.

    documents ▶ signatures ▶ duplicates ▶ repeats ▶ decontamination
              ▶ image-plan ▶ images ▶ image-duplicates ▶ image-verdicts ▶ image-scores
              ▶ pictures ▶ selection ▶ tokenizer ▶ shards

A stage is done when its `stages/STAGE/_SUCCESS.json` says so: it holds the fingerprints of recipe
and input and the summed counts, and is written after its conservation check. What is done
is skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from curate.pipelines.engine.engine import Engine
from curate.pipelines.engine.tasks import kept_so_far
from curate.pipelines.images import (
    image_duplicates,
    image_plan,
    image_scores,
    image_verdicts,
    images,
    pictures,
)
from curate.pipelines.shards import selection, shards, tokenizer
from curate.pipelines.similarity import duplicates, signatures
from curate.pipelines.steps import PartTask, run_parts, tasks_of
from curate.pipelines.text import decontamination, documents, repeats
from curate.runs.buckets import bucket_count, bucket_name
from curate.runs.part import PartWriter, marker_path, read_markers
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.spool import SPOOL
from curate.runs.stage_names import (
    DECONTAMINATION,
    DOCUMENTS,
    DUPLICATES,
    IMAGE_DUPLICATES,
    IMAGE_PLAN,
    IMAGE_SCORES,
    IMAGE_VERDICTS,
    IMAGES,
    PICTURES,
    REPEATS,
    SELECTION,
    SHARDS,
    SIGNATURES,
    STAGE_NAMES,
    TOKENIZER,
    success_path,
)
from curate.schemas.errors import outside_errors
from curate.schemas.ledger import Tally


class ConservationError(RuntimeError):
    """Things came in that neither went out nor were dropped: a fault of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A step of the run: the names of its parts, and how to make them all."""

    name: str
    part_names: Callable[[Stages], list[str]]
    make: Callable[[Stages], None]


Watch = Callable[[str, int], AbstractContextManager[object]]
"""Shows the progress of a stage, given its name and its number of parts."""


@dataclass(slots=True, kw_only=True)
class Stages:
    """One run of the stages over one run directory."""

    engine: Engine
    run: RunDirectory
    plan: RunPlan
    input_fingerprint: str

    def complete(self, stage: Stage, watch: Watch) -> dict[str, Any]:
        """Make a stage unless it is done; its success record either way.

        Raises:
            ConservationError: the counts of the stage do not balance.
            WorkError: a disk or an object store refused.
        """
        try:
            return self._complete(stage, watch)
        except outside_errors() as error:
            raise kept_so_far(f"stage {stage.name}: {error}") from error

    def _complete(self, stage: Stage, watch: Watch) -> dict[str, Any]:
        success = success_path(stage.name)
        if self.run.exists(success):
            record: dict[str, Any] = self.run.read_json(success)
            return record
        started = time.monotonic()
        exchanged = self.engine.exchanged_bytes
        names = stage.part_names(self)
        with watch(stage.name, len(names)) if names else nullcontext():
            stage.make(self)
        tally, ledger_rows, work = self._sum(stage.name, names)
        problems = tally.imbalances()
        if sum(tally.dropped.values()) != ledger_rows:
            problems.append(
                f"{sum(tally.dropped.values())} dropped, {ledger_rows} rows in the ledger"
            )
        if problems:
            raise ConservationError(
                f"stage {stage.name}: in = out + dropped does not hold: {'; '.join(problems)}. "
                "This is a fault of curate; please report it with the run's stages/ folder."
            )
        record = {
            "stage": stage.name,
            "recipe": self.plan.fingerprint,
            "input": self.input_fingerprint,
            "tally": tally.to_json(),
            "parts": len(names),
            "seconds": round(time.monotonic() - started, 3),
            "work_seconds": round(work, 3),
            "exchanged_bytes": self.engine.exchanged_bytes - exchanged,
        }
        self.run.write_json(record, success)
        return record

    def _sum(self, stage: str, names: list[str]) -> tuple[Tally, int, float]:
        total, ledger_rows, work = Tally(), 0, 0.0
        for marker in read_markers(self.run, stage, names).values():
            total.add(Tally.from_json(marker["tally"]))
            ledger_rows += marker["ledger_rows"]
            work += marker["seconds"]
        return total, ledger_rows, work

    def shard_tasks(self) -> list[shards.ShardTask]:
        markers = read_markers(self.run, SELECTION, _input_parts(self))
        counts = {name: int(marker["documents"]) for name, marker in markers.items()}
        return shards.plan_shards(self.plan, counts)


def _input_parts(stages: Stages) -> list[str]:
    return [p.name for p in stages.plan.parts]


def _buckets(stages: Stages) -> list[str]:
    return [bucket_name(b) for b in range(bucket_count(stages.run, stages.plan))]


def _make_documents(stages: Stages) -> None:
    _run(stages, DOCUMENTS, tasks_of(stages.plan.parts), documents.make_documents)


def _signature_parts(stages: Stages) -> list[str]:
    if stages.plan.recipe.dedup is None:
        return []
    return [p.name for p in stages.plan.parts]


def _make_signatures(stages: Stages) -> None:
    if stages.plan.recipe.dedup is None:
        return
    _run(stages, SIGNATURES, tasks_of(stages.plan.parts), signatures.make_signatures)


def _make_images(stages: Stages) -> None:
    planned = read_markers(stages.run, IMAGE_PLAN, _buckets(stages))
    tasks = [
        PartTask(name=name, cost=1 + marker["images"], payload=bucket)
        for bucket, (name, marker) in enumerate(planned.items())
    ]
    _run(stages, IMAGES, tasks, images.make_images)
    stages.run.remove(SPOOL)


def _make_selection(stages: Stages) -> None:
    _run(stages, SELECTION, tasks_of(stages.plan.parts), selection.make_selection)


def _make_tokenizer(stages: Stages) -> None:
    """In this process: it is one task, and its errors are the user's to read."""
    selected = read_markers(stages.run, SELECTION, _input_parts(stages))
    lines = sum(marker["lines"] for marker in selected.values())
    if not stages.run.exists(marker_path(TOKENIZER, "model")):
        with PartWriter(stages.run, TOKENIZER, "model") as part:
            tokenizer.make_tokenizer(stages.plan, part, lines)


def _make_shards(stages: Stages) -> None:
    tasks = [PartTask(name=t.name, cost=t.documents, payload=t) for t in stages.shard_tasks()]
    _run(stages, SHARDS, tasks, shards.make_shard)


def _run(stages: Stages, stage: str, tasks: list[PartTask], make: Any) -> None:
    run_parts(stages.engine, stages.run, stages.plan, stage, tasks, make)


_STAGES = (
    Stage(name=DOCUMENTS, part_names=_input_parts, make=_make_documents),
    Stage(name=SIGNATURES, part_names=_signature_parts, make=_make_signatures),
    Stage(
        name=DUPLICATES,
        part_names=_input_parts,
        make=lambda s: duplicates.run_duplicates(s.engine, s.run, s.plan),
    ),
    Stage(
        name=REPEATS,
        part_names=lambda s: [p.name for p in repeats.counted_parts(s.plan)],
        make=lambda s: repeats.run_repeats(s.engine, s.run, s.plan),
    ),
    Stage(
        name=DECONTAMINATION,
        part_names=_input_parts,
        make=lambda s: decontamination.run_decontamination(s.engine, s.run, s.plan),
    ),
    Stage(
        name=IMAGE_PLAN,
        part_names=_buckets,
        make=lambda s: image_plan.run_image_plan(s.engine, s.run, s.plan),
    ),
    Stage(name=IMAGES, part_names=_buckets, make=_make_images),
    Stage(
        name=IMAGE_DUPLICATES,
        part_names=lambda s: image_duplicates.compared_parts(s.run, s.plan),
        make=lambda s: image_duplicates.run_image_duplicates(s.engine, s.run, s.plan),
    ),
    Stage(
        name=IMAGE_VERDICTS,
        part_names=_input_parts,
        make=lambda s: image_verdicts.run_image_verdicts(s.engine, s.run, s.plan),
    ),
    Stage(
        name=IMAGE_SCORES,
        part_names=lambda s: [p.name for p in image_scores.scored_parts(s.run, s.plan)],
        make=lambda s: image_scores.run_image_scores(s.engine, s.run, s.plan),
    ),
    Stage(
        name=PICTURES,
        part_names=lambda s: [p.name for p in pictures.pictured_parts(s.plan)],
        make=lambda s: pictures.run_pictures(s.engine, s.run, s.plan),
    ),
    Stage(name=SELECTION, part_names=_input_parts, make=_make_selection),
    Stage(name=TOKENIZER, part_names=lambda _: ["model"], make=_make_tokenizer),
    Stage(
        name=SHARDS,
        part_names=lambda s: [t.name for t in s.shard_tasks()],
        make=_make_shards,
    ),
)
STAGES = tuple(sorted(_STAGES, key=lambda stage: STAGE_NAMES.index(stage.name)))
