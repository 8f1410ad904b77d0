"""Single stages by themselves: extracting a file, training a tokenizer on a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec

from curate.extraction import extract
from curate.filters.web.record import classify_record
from curate.pipelines.shards.tokenizer import sample_lines
from curate.run_identity import RunError
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import success_path
from curate.schemas.document import document_to_json
from curate.schemas.errors import UsageError
from curate.schemas.page import DamagedRegion
from curate.schemas.settings.recipe import Extraction, Recipe
from curate.schemas.settings.recipe_file import load_recipe
from curate.schemas.verdict import Drop
from curate.sources.archives.archive import read_archive
from curate.tokenization.train import train_model
from curate.tokenization.vocabulary import Vocabulary, VocabularyError


def extract_file(path: str, url: str | None) -> Iterator[dict[str, Any] | str]:
    """Documents as JSON-ready objects; a string tells of something that gave none.

    Raises:
        OSError: the file can't be opened.
        UsageError: it is no archive.
    """
    limits = Extraction()
    found = False
    if url is not None:
        with fsspec.open(path, "rb") as stream:
            document = extract(stream.read(), url, limits=limits)
        yield _told(document, url)
        return
    for item in read_archive(path, limits.max_record_bytes):
        if isinstance(item, DamagedRegion):
            yield f"{item.origin.label}: record.damaged: {item.reason}"
            continue
        found = True
        verdict = classify_record(item)
        if isinstance(verdict, Drop):
            yield _told(verdict, item.url)
        elif verdict == "page":
            document = extract(
                item.payload,
                item.url,
                charset=item.charset,
                origin=item.origin,
                date=item.date,
                limits=limits,
            )
            yield _told(document, item.url)
    if not found:
        raise UsageError(
            f"{path}: no record of a WARC or ARC file can be read of it. Give such a file, or an "
            "HTML file with --url."
        )


def _told(outcome: Any, url: str) -> dict[str, Any] | str:
    if isinstance(outcome, Drop):
        limit = f", limit {outcome.limit_text}" if outcome.limit_text else ""
        return f"{url}: {outcome.rule}: {outcome.value_text}{limit}"
    return document_to_json(outcome)


def train_on_run(run: RunDirectory, model_path: Path, vocabulary: int | None) -> int:
    """Train a model on the selected documents of a run; the number of its pieces.

    Raises:
        RunError: the run has not come to `selection`.
        VocabularyError: there is too little text.
    """
    if not run.is_local or not run.exists(success_path("selection")):
        raise RunError(
            f"{run.root} has no selected documents. "
            "Run `curate build-shards RECIPE --out DIR --until selection` first."
        )
    recipe = load_recipe(Path(run.path("recipe.yaml")))
    plan = _plan_of(run, recipe)
    settings = recipe.tokenization
    lines = sum(run.read_json(f"stages/selection/{p.name}.json")["lines"] for p in plan.parts)
    try:
        model = train_model(
            sample_lines(run, plan, lines),
            vocabulary or settings.vocabulary,
            settings.character_coverage,
        )
    except ValueError as error:
        raise VocabularyError(str(error)) from error
    model_path.write_bytes(model)
    return Vocabulary(model).pieces


def _plan_of(run: RunDirectory, recipe: Recipe) -> RunPlan:
    """The plan of a run as it stands there: its inputs may need secrets, which are not kept."""
    about = run.read_json("run.json")
    parts = []
    for number, part in enumerate(about["parts"]):
        source, _, index = part["name"].rpartition("/part-")
        parts.append(
            InputPart(
                number=number,
                source=source,
                index=int(index),
                path=part["path"],
                file_name=part["path"].rsplit("/", 1)[-1],
                size=part["bytes"],
            )
        )
    return RunPlan(recipe=recipe, fingerprint=about["recipe_fingerprint"], parts=tuple(parts))
