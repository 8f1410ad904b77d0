"""Stage `selection`: documents with the images that survived, capped and halved.

The order matters: a page with seven links and one living image is a single-image document, so the
cap and the halving come after every rule on images.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.parquet as pq

from curate.filters.clip import move_to_lines
from curate.filters.page import interspersed_rule
from curate.filters.text.sentences import trim_around_images
from curate.runs.cleaned_documents import purged_documents
from curate.runs.image_verdicts import ImageFates, read_image_fates
from curate.runs.part import PartWriter
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import PICTURES
from curate.schemas.document import (
    DOCUMENT_SCHEMA,
    Document,
    ImageSegment,
    Segment,
    StoredImage,
    document_to_row,
)
from curate.schemas.identity import keyed_fraction
from curate.schemas.settings.image_settings import Images
from curate.schemas.settings.recipe import Recipe
from curate.schemas.verdict import Drop
from curate.tokenization.formats import document_lines


def make_selection(plan: RunPlan, part: PartWriter, task: InputPart) -> None:
    """Apply the image verdicts to one documents part."""
    fates = read_image_fates(part.run, task.name)
    pictured = _picture_verdicts(part.run, task.name)
    selected = part.rows(f"selected/{task.name}.parquet", DOCUMENT_SCHEMA)
    lines = 0
    per_document: Counter[str] = Counter()
    for row, document in purged_documents(part.run, task.name):
        part.came_in(task.source, "document")
        part.came_in(task.source, "node", len(document.images))
        outcome = _select(plan.recipe, part, row, document, fates, pictured.get(row, _NOTHING))
        if isinstance(outcome, Drop):
            part.drop(task.source, "document", document.id, document.url, outcome)
            continue
        part.went_out(task.source, "document")
        part.went_out(task.source, "node", len(outcome.images))
        lines += len(document_lines(outcome))
        per_document[str(len(outcome.images))] += 1
        selected.write(document_to_row(outcome), size=len(outcome.text))
    part.facts.update(
        documents=selected.count,
        lines=lines,
        images_per_document=dict(sorted(per_document.items())),
    )


def _trim(part: PartWriter, document: Document, sentences: int) -> Document:
    """Without the sentences far from its first and last image, which are told."""
    trimmed = trim_around_images(document, sentences)
    for where, gone in (("before", trimmed.before), ("behind", trimmed.behind)):
        if gone:
            cut = Drop(f"document.sentences_{where}_images", gone + sentences, sentences)
            part.drop(document.source, "passage", document.id, document.url, cut)
    return trimmed.document


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureVerdict:
    """What stage `pictures` says of one document."""

    furniture: frozenset[bytes] = frozenset()
    """Keys of the pictures that too many documents show."""
    kept_id: str | None = None
    """Id of the document that is kept instead; None where this one is kept."""
    kept_url: str = ""


_NOTHING = PictureVerdict()


def _picture_verdicts(run: RunDirectory, name: str) -> dict[int, PictureVerdict]:
    path = f"verdicts/{PICTURES}/{name}.parquet"
    if not run.exists(path):
        return {}
    with run.open(path) as stream:
        return {
            row["row"]: PictureVerdict(
                furniture=frozenset(row["furniture"]),
                kept_id=row["kept_id"],
                kept_url=row["kept_url"] or "",
            )
            for row in pq.read_table(stream).to_pylist()
        }


def _select(
    recipe: Recipe,
    part: PartWriter,
    row: int,
    document: Document,
    fates: ImageFates,
    pictured: PictureVerdict,
) -> Document | Drop:
    source = recipe.sources[document.source]
    if not source.has_images:
        return document
    kept: list[Segment] = []
    shown: list[bytes] = []
    lines: list[int | None] = []
    number = -1
    for segment in document.segments:
        if not isinstance(segment, ImageSegment):
            kept.append(segment)
            continue
        number += 1
        gone = fates.drop(row, number, segment.url)
        fate = fates.of(segment.url)
        verdict = gone or judge_reference(segment, fate, shown, pictured, recipe.images)
        if isinstance(verdict, Drop):
            part.drop(document.source, "node", document.id, segment.url, verdict)
        else:
            shown.append(fate["picture"])
            lines.append(fates.line(row, number))
            kept.append(verdict)
    selected = document.with_segments(kept)
    clip = recipe.filters.clip
    if clip is not None and clip.move_to_assigned and source.format == "interleaved":
        selected = move_to_lines(selected, lines)
    if source.format == "interleaved" and recipe.images.sentences_around is not None:
        selected = _trim(part, selected, recipe.images.sentences_around)
    dropped = judge_document(selected, recipe, pictured)
    if dropped is not None:
        for image in selected.images:
            lost = Drop("node.document_dropped", dropped.rule)
            part.drop(document.source, "node", document.id, image.url, lost)
        return dropped
    return selected


def judge_reference(
    image: ImageSegment,
    fate: dict[str, Any],
    shown: list[bytes],
    pictured: PictureVerdict,
    rules: Images,
) -> ImageSegment | Drop:
    """A living image of a document: shown before, over the cap, or kept with its place in images/.

    `shown` are the pictures of the document's images that were kept before it.
    """
    duplicates = rules.duplicates
    if duplicates is not None:
        if fate["picture"] in pictured.furniture:
            return Drop("node.max_documents", fate["picture"].hex(), duplicates.max_documents or "")
        if duplicates.repeated_in_document and fate["picture"] in shown:
            return Drop("node.repeated_picture", fate["picture"].hex())
    if len(shown) >= rules.max_per_document:
        return Drop("node.max_per_document", len(shown) + 1, rules.max_per_document)
    stored = StoredImage(**{n: fate[n] for n in ("tar", "offset", "size", "width", "height")})
    return replace(image, stored=stored)


def judge_document(document: Document, recipe: Recipe, pictured: PictureVerdict) -> Drop | None:
    """A document after its images were judged: it needs one, and half of those with one go.

    One that shows what another shows goes before that.

    KOSMOS-1 section 3.1: "randomly discard half of the documents that only have one image". The
    choice is a keyed hash of the document's id.
    """
    if not document.images:
        return Drop("document.no_image", 0, 1)
    if pictured.kept_id is not None:
        return Drop(
            "document.same_pictures", pictured.kept_url or pictured.kept_id, match=pictured.kept_id
        )
    if recipe.sources[document.source].format == "pairs":
        return None
    verdict = interspersed_rule(document, recipe.filters.page)
    if isinstance(verdict, Drop):
        return Drop("document.not_interspersed", verdict.value, verdict.limit)
    return single_image_rule(document.id, len(document.images), recipe)


def single_image_rule(document_id: str, images: int, recipe: Recipe) -> Drop | None:
    """Of interleaved documents with exactly one image a share is kept, by a keyed hash."""
    if images == 1:
        share = keyed_fraction(recipe.seed, "single_image", document_id)
        if share >= recipe.images.single_image_keep:
            return Drop("document.single_image", share, recipe.images.single_image_keep)
    return None
