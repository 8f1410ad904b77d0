"""The pipeline of stage `image-scores`.

    documents ──read──▶ batches of images and texts ──RunInference──▶ scores ─by part─▶
    verdicts/image-scores/SOURCE/part-N.parquet

A batch is some images of one part in their order, whatever the workers: it is scored as it is. The
images go from the step that reads them into the model and no further; only scores are grouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, PredictionResult
from apache_beam.ml.inference.base import RunInference as BeamInference

from curate.filters.clip import assign_lines, clip_rule, lines_of, near_lines
from curate.media.clip import ClipModel, ClipScores, load_clip
from curate.pipelines.engine.engine import Build, Engine, WorkList
from curate.pipelines.groups import make_groups
from curate.runs.cleaned_documents import purged_documents
from curate.runs.image_tars import ImageTars
from curate.runs.image_verdicts import SCORE_SCHEMA
from curate.runs.part import PartWriter, read_markers
from curate.runs.plan import InputPart, RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION
from curate.runs.stage_names import IMAGE_SCORES as STAGE
from curate.schemas.document import Document
from curate.schemas.identity import image_key
from curate.schemas.settings.filter_rules import ClipRules
from curate.schemas.settings.recipe import Recipe
from curate.schemas.verdict import Drop

_MAX_LINES = 512
"""Lines of a document that images are compared with."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One image to be scored, and its texts."""

    row: int
    image: int
    texts: tuple[str, ...]
    data: bytes


Scored = tuple[int, tuple[int, int, ClipScores] | None]
"""A part with row, image and scores; None so that a part without images has a file too."""


def score_images(engine: Engine, run: RunDirectory, plan: RunPlan, parts: list[InputPart]) -> None:
    """Score the images of some parts and write their verdicts.

    A pipeline takes as many parts as have some hundred thousand images: the local runner holds
    the scores that it groups in memory.
    """
    markers = read_markers(run, DECONTAMINATION, [p.name for p in parts])
    groups = make_groups(markers[p.name]["images_wanted"] for p in parts)
    for group in range(len(groups)):
        members = [parts[number] for number in groups.members(group)]
        engine.run(scores_pipeline(engine, run, plan, members))


def scores_pipeline(
    engine: Engine, run: RunDirectory, plan: RunPlan, parts: list[InputPart]
) -> Build:
    """The pipeline that scores the images of some parts."""
    rules = plan.recipe.filters.clip
    assert rules is not None

    def build(pipeline: beam.Pipeline) -> beam.PCollection[int]:
        scores = (
            pipeline
            | "Parts" >> beam.Create(engine.share(parts, lambda p: p.size))
            | "Read images" >> beam.ParDo(ReadImages(run, plan.recipe))
            | "Score"
            >> BeamInference(KeyedModelHandler(ClipHandler(rules))).with_resource_hints(
                **engine.hints_for_models()
            )
            | "Without images" >> beam.FlatMap(without_images).with_output_types(Scored)
        )
        seeds: list[Scored] = [(p.number, None) for p in parts]
        every_part = pipeline | "Every part" >> beam.Create(seeds).with_output_types(Scored)
        written: beam.PCollection[int] = (
            (scores, every_part)
            | "All" >> beam.Flatten()
            | "By part" >> beam.GroupByKey()
            | "Write scores" >> beam.ParDo(WriteScores(run, plan.recipe, parts))
        )
        return written

    return build


class ReadImages(beam.DoFn):
    """(part number, batch of images) of the given parts."""

    def __init__(self, run: RunDirectory, recipe: Recipe) -> None:
        self._run = run
        self._recipe = recipe

    def process(self, parts: WorkList[InputPart]) -> Iterator[tuple[int, tuple[_Wanted, ...]]]:
        rules = self._recipe.filters.clip
        assert rules is not None
        for part in parts:
            batch: list[_Wanted] = []
            for wanted in self._read(part, rules):
                batch.append(wanted)
                if len(batch) == rules.batch_images:
                    yield part.number, tuple(batch)
                    batch = []
            if batch:
                yield part.number, tuple(batch)

    def _read(self, part: InputPart, rules: ClipRules) -> Iterator[_Wanted]:
        is_pairs = self._recipe.sources[part.source].format == "pairs"
        with self._run.open(f"verdicts/images/{part.name}.parquet") as stream:
            fates = {row["key"]: row for row in pq.read_table(stream).to_pylist()}
        with ImageTars(self._run) as tars:
            for row, document in purged_documents(self._run, part.name):
                texts = texts_of(document, is_pairs, rules)
                for number, image in enumerate(document.images):
                    fate = fates[image_key(image.url)]
                    if fate["rule"] is not None:
                        continue
                    data = tars.read(fate["tar"], fate["offset"], fate["size"])
                    yield _Wanted(row, number, tuple(texts[number]), data)


def texts_of(document: Document, is_pairs: bool, rules: ClipRules) -> list[list[str]]:
    """The texts that each image of a document is compared with."""
    if is_pairs:
        return [[document.text]] * len(document.images)
    if rules.text == "near":
        return near_lines(document, rules.near_lines)
    return [lines_of(document)[:_MAX_LINES]] * len(document.images)


class ClipHandler(ModelHandler[tuple[_Wanted, ...], PredictionResult, ClipModel]):
    """Scores batches as they come: each element is one."""

    def __init__(self, rules: ClipRules) -> None:
        super().__init__()
        self._rules = rules

    def load_model(self) -> ClipModel:
        return load_clip(self._rules)

    def run_inference(
        self,
        batch: Sequence[tuple[_Wanted, ...]],
        model: ClipModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        for images in batch:
            scores = model.score([i.data for i in images], [i.texts for i in images])
            yield PredictionResult(images, scores)

    def batch_elements_kwargs(self) -> dict[str, Any]:
        return {"min_batch_size": 1, "max_batch_size": 1}


def without_images(scored: tuple[int, PredictionResult]) -> Iterator[Scored]:
    """The scores of a batch, each with its place: no image and no text goes further."""
    part, result = scored
    images = cast(tuple[_Wanted, ...], result.example)
    inferred = cast(list[ClipScores], result.inference)
    for wanted, scores in zip(images, inferred, strict=True):
        yield part, (wanted.row, wanted.image, scores)


class WriteScores(beam.DoFn):
    """One verdict part, in the order of documents and images."""

    def __init__(self, run: RunDirectory, recipe: Recipe, parts: list[InputPart]) -> None:
        self._run = run
        self._recipe = recipe
        self._parts = {p.number: p for p in parts}

    def process(
        self, group: tuple[int, Iterable[tuple[int, int, ClipScores] | None]]
    ) -> Iterator[int]:
        number, scores = group
        name = self._parts[number].name
        rules = self._recipe.filters.clip
        assert rules is not None
        by_document: dict[int, list[tuple[int, ClipScores]]] = {}
        for row, image, score in sorted(
            (s for s in scores if s is not None), key=lambda s: (s[0], s[1])
        ):
            by_document.setdefault(row, []).append((image, score))
        is_pairs = self._recipe.sources[self._parts[number].source].format == "pairs"
        with PartWriter(self._run, STAGE, name) as part:
            rows = part.rows(f"verdicts/{STAGE}/{name}.parquet", SCORE_SCHEMA)
            for row, images in by_document.items():
                for verdict in judge_images(images, is_pairs, rules):
                    rows.write({"row": row, **verdict})
        yield number


def judge_images(
    images: list[tuple[int, ClipScores]], is_pairs: bool, rules: ClipRules
) -> Iterator[dict[str, Any]]:
    """The columns of `SCORE_SCHEMA` for the living images of one document."""
    least = rules.min_pair_similarity if is_pairs else rules.min_text_similarity
    lines: list[int | None] = [None] * len(images)
    if not is_pairs and rules.text == "assigned" and images[0][1].similarities:
        lines = list(assign_lines([score.similarities for _, score in images]))
    for (number, score), line in zip(images, lines, strict=True):
        similarity = max(score.similarities, default=None)
        if line is not None:
            similarity = score.similarities[line]
        verdict = clip_rule(similarity, score.aesthetic, score.nsfw, least, rules)
        dropped = verdict if isinstance(verdict, Drop) else None
        yield {
            "image": number,
            "similarity": similarity,
            "line": line,
            "aesthetic": score.aesthetic,
            "nsfw": score.nsfw,
            "rule": dropped.rule if dropped else None,
            "value": dropped.value if dropped else None,
            "limit": dropped.limit if dropped else None,
        }
