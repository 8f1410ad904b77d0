"""The pipeline that most stages are: a list of parts, each made by one function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from curate.pipelines.engine.engine import Build, Engine, WorkList
from curate.pipelines.engine.tasks import working_on
from curate.runs.part import PartWriter, done_parts, marker_path
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask:
    """One part to make."""

    name: str
    cost: float
    """Expected work, in any unit: balances the workers."""
    payload: Any
    """What the part is made of: a small, picklable description."""


def tasks_of(parts: Iterable[InputPart]) -> list[PartTask]:
    """A task for each part, made of its input part alone."""
    return [PartTask(name=p.name, cost=p.size + 1, payload=p) for p in parts]


MakePart = Callable[[RunPlan, PartWriter, Any], None]


class MakeParts(beam.DoFn):
    """Makes parts; one that is already committed is left as it is."""

    def __init__(self, run: RunDirectory, plan: RunPlan, stage: str, make: MakePart) -> None:
        self._run = run
        self._plan = plan
        self._stage = stage
        self._make = make

    def process(self, tasks: WorkList[PartTask]) -> Iterator[str]:
        for task in tasks:
            with working_on(f"stage {self._stage}, part {task.name}"):
                if not self._run.exists(marker_path(self._stage, task.name)):
                    with PartWriter(self._run, self._stage, task.name) as part:
                        self._make(self._plan, part, task.payload)
            yield task.name


def run_parts(
    engine: Engine,
    run: RunDirectory,
    plan: RunPlan,
    stage: str,
    tasks: Iterable[PartTask],
    make: MakePart,
) -> None:
    """Make every part of a stage that is not made yet."""
    done = done_parts(run, stage)
    missing = [t for t in tasks if t.name not in done]
    if missing:
        engine.run(parts_pipeline(engine, run, plan, stage, missing, make))


def parts_pipeline(
    engine: Engine,
    run: RunDirectory,
    plan: RunPlan,
    stage: str,
    tasks: Sequence[PartTask],
    make: MakePart,
) -> Build:
    """The pipeline that makes some parts."""
    lists = engine.share(tasks, lambda task: task.cost)

    def build(pipeline: beam.Pipeline) -> beam.PCollection[str]:
        made: beam.PCollection[str] = (
            pipeline
            | "Tasks" >> beam.Create(lists)
            | f"Make {stage}" >> beam.ParDo(MakeParts(run, plan, stage, make))
        )
        return made

    return build
