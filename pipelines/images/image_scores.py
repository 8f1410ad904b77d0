"""Stage `image-scores`: what a CLIP model says of the living images of every document.

The pipeline is in `clip_inference.py`, apart because Beam's RunInference brings torch with it, and
that takes every process seconds to import: only a run that scores images pays for it.
"""

from __future__ import annotations

from curate.media.clip import ClipError, load_clip
from curate.pipelines.engine.engine import Engine
from curate.runs.part import done_parts
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import IMAGE_SCORES as STAGE
from curate.schemas.settings.recipe import Recipe

SKIPPED_PATH = f"verdicts/{STAGE}/skipped.json"
"""Why the scores were left out, where the recipe allows it."""


def scored_parts(run: RunDirectory, plan: RunPlan) -> list[InputPart]:
    """The parts of the stage; none where the recipe does not ask for it, or it was skipped."""
    if plan.recipe.filters.clip is None or run.exists(SKIPPED_PATH):
        return []
    return [p for p in plan.parts if plan.recipe.sources[p.source].has_images]


def why_skipped(recipe: Recipe) -> str | None:
    """Why the model can't be had, where the recipe goes on without it; None where it can.

    Raises:
        ClipError: it can't, and the recipe says to stop.
    """
    rules = recipe.filters.clip
    if rules is None:
        return None
    try:
        load_clip(rules)
    except ClipError as error:
        if rules.without_weights == "stop":
            raise
        return str(error)
    return None


def run_image_scores(engine: Engine, run: RunDirectory, plan: RunPlan) -> None:
    """Make the stage."""
    done = done_parts(run, STAGE)
    parts = [p for p in scored_parts(run, plan) if p.name not in done]
    if parts:
        from curate.pipelines.images.clip_inference import score_images

        score_images(engine, run, plan, parts)
