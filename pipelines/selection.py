"""Stage `selection`: documents with the images that survived, capped and halved.

The order matters: a page with seven links and one living image is a single-image document, so the
cap and the halving come after every rule on images.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq

from filters.page import interspersed_rule
from pipelines.part import PartWriter
from pipelines.plan import InputPart, RunPlan
from pipelines.purged import purged_documents
from schemas.document import (
    DOCUMENT_SCHEMA,
    Document,
    ImageSegment,
    Segment,
    StoredImage,
    document_to_row,
)
from schemas.identity import image_key, keyed_fraction
from schemas.recipe import Images, Recipe
from schemas.verdict import Drop
from tokenization.formats import document_lines

STAGE = "selection"


def make_selection(plan: RunPlan, part: PartWriter, task: InputPart) -> None:
    """Apply the image verdicts to one documents part."""
    with part.run.open(f"verdicts/images/{task.name}.parquet") as stream:
        fates = {row["key"]: row for row in pq.read_table(stream).to_pylist()}
    selected = part.rows(f"selected/{task.name}.parquet", DOCUMENT_SCHEMA)
    lines = 0
    per_document: Counter[str] = Counter()
    for _, document in purged_documents(part.run, task.name):
        part.came_in(task.source, "document")
        part.came_in(task.source, "node", len(document.images))
        outcome = _select(plan.recipe, part, document, fates)
        if isinstance(outcome, Drop):
            part.drop(task.source, "document", document.id, document.url, outcome)
            continue
        part.went_out(task.source, "document")
        part.went_out(task.source, "node", len(outcome.images))
        lines += len(document_lines(outcome))
        per_document[str(len(outcome.images))] += 1
        selected.write(document_to_row(outcome))
    part.facts.update(
        documents=selected.count,
        lines=lines,
        images_per_document=dict(sorted(per_document.items())),
    )


def _select(
    recipe: Recipe, part: PartWriter, document: Document, fates: dict[bytes, dict[str, Any]]
) -> Document | Drop:
    source = recipe.sources[document.source]
    if source.format == "text":
        return document
    kept: list[Segment] = []
    count = 0
    for segment in document.segments:
        if not isinstance(segment, ImageSegment):
            kept.append(segment)
            continue
        verdict = judge_reference(segment, fates[image_key(segment.url)], count, recipe.images)
        if isinstance(verdict, Drop):
            part.drop(document.source, "node", document.id, segment.url, verdict)
        else:
            count += 1
            kept.append(verdict)
    selected = document.with_segments(kept)
    dropped = judge_document(selected, recipe)
    if dropped is not None:
        for image in selected.images:
            gone = Drop("node.document_dropped", dropped.rule)
            part.drop(document.source, "node", document.id, image.url, gone)
        return dropped
    return selected


def judge_reference(
    image: ImageSegment, fate: dict[str, Any], kept_before: int, rules: Images
) -> ImageSegment | Drop:
    """One image of a document: gone, over the cap, or kept with its place in images/."""
    if fate["rule"] is not None:
        return Drop("node.image_dropped", fate["rule"])
    if kept_before >= rules.max_per_document:
        return Drop("node.max_per_document", kept_before + 1, rules.max_per_document)
    stored = StoredImage(**{n: fate[n] for n in ("tar", "offset", "size", "width", "height")})
    return replace(image, stored=stored)


def judge_document(document: Document, recipe: Recipe) -> Drop | None:
    """A document after its images were judged: it needs one, and half of those with one go.

    KOSMOS-1 section 3.1: "randomly discard half of the documents that only have one image". The
    choice is a keyed hash of the document's id.
    """
    if not document.images:
        return Drop("document.no_image", 0, 1)
    if recipe.sources[document.source].format == "pairs":
        return None
    verdict = interspersed_rule(document, recipe.filters.page)
    if isinstance(verdict, Drop):
        return Drop("document.not_interspersed", verdict.value, verdict.limit)
    if len(document.images) == 1:
        share = keyed_fraction(recipe.seed, "single_image", document.id)
        if share >= recipe.images.single_image_keep:
            return Drop("document.single_image", share, recipe.images.single_image_keep)
    return None
