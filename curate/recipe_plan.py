"""`curate recipe plan`: what training on a recipe will take, before anything is built.

The tokens of a source are those that the recipe declares, or are estimated from a sample: the
first megabytes of one of its files go through the rules of stage `documents`, and stand for all its
bytes. Duplicates, benchmark items and images that can't be had are still among them.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq

from curate.filters.text.sentences import trim_around_images
from curate.pipelines.text.documents import make_documents
from curate.runs.part import PartWriter
from curate.runs.plan import InputPart, RunPlan, plan_parts
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DOCUMENTS as STAGE
from curate.schemas.document import Document, document_from_row
from curate.schemas.settings.mixture import Phase
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Format
from curate.tokenization.formats import document_lines
from curate.tokenization.vocabulary import Vocabulary

SAMPLE_BYTES = 16 << 20
CHARACTERS_PER_TOKEN = 4.3
"""English under KOSMOS-1's vocabulary of 64,000 pieces; measured on books and web pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """What one source gives and what training takes of it."""

    name: str
    format: Format
    filled: bool
    share: float
    """Of the tokens of its format."""
    tokens: float | None
    """In one epoch; None where nothing is known."""
    basis: str
    """Where the number of tokens comes from: `declared`, `sampled` or `unknown`."""
    taken: dict[str, float]
    """Tokens that training takes, by phase."""

    def epochs(self, phase: str) -> float | None:
        """Times that a phase goes through the source."""
        if phase not in self.taken or not self.tokens:
            return None
        return self.taken[phase] / self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipePlan:
    """The whole recipe."""

    sources: tuple[SourcePlan, ...]
    phases: dict[str, dict[str, Any]]
    """Steps, tokens a step and rows a step by format, by phase."""


def plan_recipe(recipe: Recipe) -> RecipePlan:
    """Estimate what a recipe's sources hold, and what its mixture takes of them.

    A recipe of which some sources have inputs is planned without the others.

    Raises:
        InputError: the inputs of a source can't be listed.
    """
    any_filled = any(source.is_filled for source in recipe.sources.values())
    chosen = {n: s for n, s in recipe.sources.items() if s.is_filled or not any_filled}
    sampled = {name: _sample(recipe, name) for name, source in chosen.items() if source.is_filled}
    phases: dict[str, Phase] = {}
    if recipe.mixture is not None:
        phases["pretraining"] = recipe.mixture.pretraining
        if recipe.mixture.instruction_tuning is not None:
            phases["instruction_tuning"] = recipe.mixture.instruction_tuning
    row_tokens = _row_tokens(recipe, sampled)
    steps = {
        name: _phase_facts(phase, row_tokens, {source.format for source in chosen.values()})
        for name, phase in phases.items()
    }
    sources = []
    for name, source in chosen.items():
        rest = sum(s.weight for s in chosen.values() if s.format == source.format)
        share = source.weight / rest
        held = sampled.get(name)
        sources.append(
            SourcePlan(
                name=name,
                format=source.format,
                filled=source.is_filled,
                share=share,
                tokens=source.tokens or (None if held is None else held.tokens),
                basis="declared" if source.tokens else "unknown" if held is None else "sampled",
                taken={
                    phase: facts["steps"] * facts["tokens"][source.format] * share
                    for phase, facts in steps.items()
                    if facts["tokens"].get(source.format)
                },
            )
        )
    return RecipePlan(sources=tuple(sources), phases=steps)


def _phase_facts(phase: Phase, row_tokens: dict[str, float], formats: set[str]) -> dict[str, Any]:
    tokens: dict[str, float | None] = {}
    rows: dict[str, int | None] = {}
    for row_format in phase.formats:
        if row_format not in formats:
            continue
        length = row_tokens.get(row_format)
        if phase.step_rows:
            rows[row_format] = phase.step_rows[row_format]
            tokens[row_format] = None if length is None else phase.step_rows[row_format] * length
        else:
            tokens[row_format] = phase.step_tokens[row_format]
            rows[row_format] = (
                None if length is None else max(1, round(phase.step_tokens[row_format] / length))
            )
    return {"steps": phase.steps, "tokens": tokens, "rows": rows}


@dataclass(slots=True)
class _Sample:
    """What a sample of a source tells of the whole."""

    documents: float = 0.0
    tokens: float = 0.0


def _row_tokens(recipe: Recipe, sampled: dict[str, _Sample]) -> dict[str, float]:
    """Mean tokens of a row, by format: a full block where rows are packed, else a document."""
    found: dict[str, float] = {}
    for row_format in {source.format for source in recipe.sources.values()}:
        own = [s for n, s in sampled.items() if recipe.sources[n].format == row_format]
        documents = sum(s.documents for s in own)
        if row_format == "text" or recipe.tokenization.pack:
            found[row_format] = float(recipe.tokenization.block)
        elif documents:
            found[row_format] = sum(s.tokens for s in own) / documents + 1
    return found


def _sample(recipe: Recipe, name: str) -> _Sample:
    alone = recipe.model_copy(update={"sources": {name: recipe.sources[name]}})
    parts = plan_parts(alone)
    chosen = sorted(parts, key=lambda part: part.size)[len(parts) // 2]
    if chosen.size == 0:
        # A crawl's listing tells no sizes; its files are about as large as each other.
        chosen = replace(chosen, size=_size_of(chosen.path))
        sizes = chosen.size * len(parts)
    else:
        sizes = sum(part.size for part in parts)
    vocabulary = _vocabulary(recipe)
    sample = _Sample()
    with tempfile.TemporaryDirectory(prefix="curate-plan-") as folder:
        path, taken = _beginning(chosen, Path(folder))
        run = RunDirectory(f"{folder}/run")
        # The beginning of the file is another file.
        task = replace(chosen, path=path, stamp="")
        plan = RunPlan(recipe=alone, fingerprint="", parts=(task,))
        with PartWriter(run, STAGE, task.name) as part:
            make_documents(plan, part, task)
        with run.open(f"documents/{task.name}.parquet") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    sample.documents += 1
                    sample.tokens += _tokens(document_from_row(row), recipe, vocabulary)
    scale = sizes / taken if taken and sizes else float(len(parts))
    return _Sample(sample.documents * scale, sample.tokens * scale)


def _beginning(part: InputPart, folder: Path) -> tuple[str, float]:
    """A file with the first megabytes of an input, and how many of its bytes it stands for.

    Readers take what is whole of a file that ends early. Of Parquet it is the first row group.
    """
    target = folder / Path(part.file_name).name
    if target.suffix == ".parquet":
        with fsspec.open(part.path, "rb") as stream:
            table = pq.ParquetFile(stream)
            rows = table.metadata.num_rows
            first = table.read_row_group(0) if table.num_row_groups else table.read()
        pq.write_table(first, target)
        return str(target), part.size * first.num_rows / max(rows, 1)
    with fsspec.open(part.path, "rb") as stream, target.open("wb") as copy:
        while copy.tell() < SAMPLE_BYTES and (data := stream.read(1 << 20)):
            copy.write(data)
        taken = copy.tell()
    return str(target), float(taken)


def _size_of(path: str) -> int:
    """Bytes of a file, or 0 where its server doesn't tell."""
    filesystem, name = fsspec.core.url_to_fs(path)
    return int(filesystem.size(name) or 0)


def _vocabulary(recipe: Recipe) -> Vocabulary | None:
    if recipe.tokenization.model is None:
        return None
    with fsspec.open(recipe.tokenization.model, "rb") as stream:
        return Vocabulary(stream.read())


def _tokens(document: Document, recipe: Recipe, vocabulary: Vocabulary | None) -> float:
    """Tokens of a document with its images' slots; estimated without a tokenizer."""
    around = recipe.images.sentences_around
    if around is not None and recipe.sources[document.source].format == "interleaved":
        document = trim_around_images(document, around).document
    lines = document_lines(document)
    images = min(len(document.images), recipe.images.max_per_document)
    slots = images * (recipe.tokenization.image_slots + 2)
    if vocabulary is None:
        return sum(map(len, lines)) / CHARACTERS_PER_TOKEN + len(lines) + slots
    return sum(len(ids) + 1 for ids in vocabulary.encode(lines)) + slots
