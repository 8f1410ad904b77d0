"""What a run would submit: job graphs that are built and checked, and go nowhere.

A stage whose parts depend on what the stages before it find has no graph yet; it is named with the
rest. Nothing is read but the list of inputs, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

from curate.pipelines.engine import dataflow
from curate.pipelines.engine.engine import Build, Engine
from curate.pipelines.shards import selection
from curate.pipelines.similarity import signatures
from curate.pipelines.steps import parts_pipeline, tasks_of
from curate.pipelines.text import documents
from curate.runs.plan import RunPlan, plan_run
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DOCUMENTS, IMAGE_SCORES, SELECTION, SIGNATURES, STAGE_NAMES
from curate.schemas.settings.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGraph:
    """The job graph of one stage."""

    stage: str
    parts: int
    steps: tuple[str, ...]
    """Names of the steps, in order."""
    proto_bytes: int
    hints: tuple[str, ...]
    """Resource hints of its steps, as `name=value`."""
    image: str
    """Container image of its workers, empty where they run on this machine."""


def dry_run(
    recipe: Recipe,
    out: str,
    *,
    runner: str,
    workers: int,
    beam_options: Sequence[str],
    accelerator: str | None,
) -> tuple[list[StageGraph], list[str]]:
    """The graphs of the stages that the inputs alone decide, and the names of the other stages.

    Raises:
        UsageError: an option is missing or can't be right, or inputs can't be listed.
    """
    engine = Engine(runner, workers, None, beam_options, accelerator)
    if runner == "dataflow":
        dataflow.check_options(beam_options)
        inputs = [p for source in recipe.sources.values() for p in source.paths or ()]
        dataflow.check_places(out, inputs)
    run = RunDirectory(out)
    plan = plan_run(recipe)
    graphs = [
        _graph(engine, stage, len(plan.parts), build)
        for stage, build in _pipelines(engine, run, plan).items()
    ]
    drawn = {graph.stage for graph in graphs}
    return graphs, [name for name in STAGE_NAMES if name not in drawn]


def _pipelines(engine: Engine, run: RunDirectory, plan: RunPlan) -> dict[str, Build]:
    tasks = tasks_of(plan.parts)
    made = {DOCUMENTS: documents.make_documents}
    if plan.recipe.dedup is not None:
        made[SIGNATURES] = signatures.make_signatures
    made[SELECTION] = selection.make_selection
    found: dict[str, Build] = {
        stage: parts_pipeline(engine, run, plan, stage, tasks, make) for stage, make in made.items()
    }
    if plan.recipe.filters.clip is not None:
        from curate.pipelines.images.clip_inference import scores_pipeline

        found[IMAGE_SCORES] = scores_pipeline(engine, run, plan, list(plan.parts))
    return found


def _graph(engine: Engine, stage: str, parts: int, build: Build) -> StageGraph:
    proto = engine.graph(build)
    transforms = proto.components.transforms
    (root,) = (transforms[name] for name in proto.root_transform_ids)
    environments = list(proto.components.environments.values())
    return StageGraph(
        stage=stage,
        parts=parts,
        steps=tuple(transforms[name].unique_name for name in root.subtransforms),
        proto_bytes=proto.ByteSize(),
        hints=tuple(
            sorted(
                f"{urn.rsplit(':', 2)[-2]}={value.decode()}"
                for environment in environments
                for urn, value in environment.resource_hints.items()
            )
        ),
        image=_image(environments),
    )


def _image(environments: list[beam_runner_api_pb2.Environment]) -> str:
    for environment in environments:
        if environment.urn == common_urns.environments.DOCKER.urn:
            payload = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
            return str(payload.container_image)
    return ""
