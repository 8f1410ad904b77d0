"""`build-shards`: open or continue a run directory, and drive the stages through it."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from curate.claims import unfilled_steps
from curate.console import tracked
from curate.extraction.fallback import require_fallback
from curate.filters.text.models import require_packages
from curate.pipelines.engine.engine import Engine
from curate.pipelines.engine.worker_processes import Process
from curate.pipelines.images.image_scores import SKIPPED_PATH, why_skipped
from curate.pipelines.stages import STAGES, Stages, Watch
from curate.pipelines.text.decontamination import index_of
from curate.run_identity import InputHash, RunError, fingerprint_of, input_hashes, refuse_other_run
from curate.runs.damaged_shards import (
    find_damaged,
    finished_shards,
    reopen_shards,
    require_same_again,
)
from curate.runs.part import read_markers
from curate.runs.plan import RunPlan, plan_run
from curate.runs.retry import reopen_images
from curate.runs.run_directory import RunDirectory
from curate.runs.run_lock import only_one
from curate.runs.shard_manifest import write_manifest
from curate.runs.stage_names import DECONTAMINATION, DOCUMENTS, SHARDS, STAGE_NAMES, success_path
from curate.schemas.ledger import Tally
from curate.schemas.packed import SCHEMA_VERSION
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.recipe_file import recipe_to_yaml
from curate.schemas.text.secrets import masked
from curate.sources.first_rows import require_readable
from curate.sources.input_identity import identify, require_same, to_rows

_log = logging.getLogger(__name__)
_CHOSEN_RULES = ("record.not_selected", "record.not_fetched")
"""Rules by which a row is left out that could be read."""
_INPUTS_PATH = "inputs.json"
_NAMED = 5
"""Of files or shards that a warning is about, so many are named."""
_VERSIONED = (
    "apache-beam",
    "pyarrow",
    "pillow",
    "sentencepiece",
    "selectolax",
    "fastwarc",
    "warcio",
)


def with_inputs(recipe: Recipe, inputs: tuple[str, ...]) -> Recipe:
    """The recipe with the inputs of its archives (without any, of all sources) replaced."""
    if not inputs:
        return recipe
    has_archives = any(source.kind == "warc" for source in recipe.sources.values())
    sources = {
        name: source.model_copy(update={"paths": inputs, "crawl": None})
        if source.kind == "warc" or not has_archives
        else source
        for name, source in recipe.sources.items()
    }
    return recipe.model_copy(update={"sources": sources})


def without_empty_slots(recipe: Recipe) -> tuple[Recipe, list[str]]:
    """The recipe with those sources alone that name inputs, and the names of the others.

    A recipe without any input is left as it is.
    """
    empty = [name for name, source in recipe.sources.items() if not source.is_filled]
    if len(empty) == len(recipe.sources):
        return recipe, []
    filled = {name: source for name, source in recipe.sources.items() if source.is_filled}
    return recipe.model_copy(update={"sources": filled}), empty


def build_shards(
    recipe: Recipe,
    out: str,
    *,
    watch: Watch,
    runner: str = "direct",
    workers: int = 1,
    until: str | None = None,
    processes: list[Process] | None = None,
    beam_options: Sequence[str] = (),
    accelerator: str | None = None,
    retry_images: bool = False,
) -> list[dict[str, Any]]:
    """Run the stages that are not done yet; the success records of all that are done at the end.

    With `retry_images` the images of an earlier call that failed to come, and might come this time,
    are fetched first.

    Raises:
        CurateError: a package that the recipe needs is missing, or a model.
        UsageError: there is no such place as `out`.
        RunError: the directory holds another run.
        RunInUseError: another command works in the directory.
        BenchmarkError, IndexFileError: a file of benchmarks can't be used.
        InputError: a source's inputs can't be listed.
        InputChangedError: an input is not what it was when the run began.
        UnreadableSourceError: nothing of a source can be read.
        EngineError: a worker process died.
        CorruptShardError: a damaged shard can't be made anew as it was.
    """
    if recipe.extraction.fallback:
        require_fallback()
    require_packages(recipe.filters)
    run = RunDirectory(out)
    run.require_place()
    plan = plan_run(recipe)
    rules = recipe.decontamination
    has_items = rules is not None and bool(rules.benchmarks)
    if rules is not None and has_items and not run.exists(success_path(DECONTAMINATION)):
        # Built anew by the workers; here it is seen whether it can be.
        index_of(rules)
    with only_one(run) as hold:
        run.sweep()
        without_clip = why_skipped(recipe)
        _refuse_changed_inputs(run, plan)
        inputs = input_hashes(plan, without_clip is not None)
        refuse_other_run(run, plan.fingerprint, inputs)
        if without_clip is not None:
            run.write_json({"reason": masked(without_clip)}, SKIPPED_PATH)
        run.write_bytes(recipe_to_yaml(recipe).encode(), "recipe.yaml")
        if retry_images:
            reopen_images(run, plan)
        _reopen_damaged_shards(run, workers)
        records: list[dict[str, Any]] = []
        if not run.exists("run.json"):
            for name, source in recipe.sources.items():
                files = ((part.path, part.file_name) for part in plan.parts_of(name))
                require_readable(name, source, files)
            # Before the first part: a run killed early must be known for what it is, too.
            _write_run_json(run, plan, inputs, runner, workers, records)
        with Engine(runner, workers, processes, beam_options, accelerator) as engine:
            stages = Stages(
                engine=engine, run=run, plan=plan, input_fingerprint=fingerprint_of(inputs)
            )
            for stage in STAGES:
                hold.require_held()
                _require_documents(stages, stage.name)
                records.append(stages.complete(stage, watch))
                if stage.name == DOCUMENTS:
                    _tell_unread_files(run, plan)
                if stage.name == SHARDS:
                    require_same_again(run)
                    names = [task.name for task in stages.shard_tasks()]
                    write_manifest(run, plan, names, unfilled_steps(recipe))
                _write_run_json(run, plan, inputs, runner, workers, records)
                if stage.name == until:
                    break
        return records


def _reopen_damaged_shards(run: RunDirectory, threads: int) -> None:
    """Name the finished shards that are not what they were, and undo them."""
    finished = finished_shards(run)
    if not finished:
        return
    found = tracked(find_damaged(run, finished, threads), len(finished), "checking shards")
    damaged = [name for name in found if name is not None]
    if damaged:
        _log.warning(
            "%d of %d finished shards are damaged or missing, and are made anew: %s",
            len(damaged), len(finished), _first_of(damaged),
        )  # fmt: skip
        reopen_shards(run, damaged)


def _tell_unread_files(run: RunDirectory, plan: RunPlan) -> None:
    """Warn of input files that gave nothing, among others that did."""
    tallies = {
        name: Tally.from_json(marker["tally"])
        for name, marker in read_markers(run, DOCUMENTS, [p.name for p in plan.parts]).items()
    }
    unread = [
        part.file_name
        for part in plan.parts
        if not (tally := tallies[part.name]).went_out[part.source, "record"]
        and not any(tally.dropped[part.source, "record", rule] for rule in _CHOSEN_RULES)
    ]
    if unread:
        _log.warning(
            "%d of %d input files gave nothing that can be read: %s. The ledger of `documents` "
            "says why, but of empty files.",
            len(unread), len(plan.parts), _first_of(unread),
        )  # fmt: skip


def _first_of(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _require_documents(stages: Stages, stage: str) -> None:
    if stage != "tokenizer" or stages.run.exists(success_path("tokenizer")):
        return
    selected = read_markers(stages.run, "selection", [p.name for p in stages.plan.parts])
    if not any(marker["documents"] for marker in selected.values()):
        raise RunError(
            "no document came through the filters, so there is nothing to tokenize. "
            f"`curate stats {stages.run.root}` shows which rules dropped them."
        )


def _refuse_changed_inputs(run: RunDirectory, plan: RunPlan) -> None:
    """Know the inputs again; a run notes them before it begins, which `run.json` tells.

    Raises:
        InputChangedError: one is not what it was.
    """
    files = [(p.source, p.file_name, p.path, p.size, p.stamp) for p in plan.parts]
    identities = identify(files)
    if run.exists("run.json") and run.exists(_INPUTS_PATH):
        require_same(run.read_json(_INPUTS_PATH), identities, run.root)
    else:
        run.write_json(to_rows(identities), _INPUTS_PATH)


def _write_run_json(
    run: RunDirectory,
    plan: RunPlan,
    inputs: list[InputHash],
    runner: str,
    workers: int,
    records: list[dict[str, Any]],
) -> None:
    run.write_json(
        {
            "recipe": plan.recipe.name,
            "recipe_fingerprint": plan.fingerprint,
            "input_fingerprint": fingerprint_of(inputs),
            "inputs": [{"what": masked(i.what), "sha256": i.sha256} for i in inputs],
            "shard_schema": SCHEMA_VERSION,
            "runner": runner,
            "workers": workers,
            "python": platform.python_version(),
            "versions": {name: version(name) for name in ("curate-pretraining", *_VERSIONED)},
            "unfilled_steps": unfilled_steps(plan.recipe),
            "parts": [
                {"name": p.name, "path": masked(p.path), "bytes": p.size} for p in plan.parts
            ],
            "stages": records,
            "complete": len(records) == len(STAGE_NAMES),
        },
        "run.json",
    )
