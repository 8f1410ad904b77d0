"""Stage `shards`: selected documents to packed rows, with their image bytes inside.

Consecutive parts of a source are joined until a shard has `tokenization.shard_documents` documents:
a rule on the stage before alone, so that the shards are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

from curate.pipelines.shards.selection import single_image_rule
from curate.runs.image_tars import ImageTars
from curate.runs.part import PartWriter, file_sha256
from curate.runs.plan import InputPart, RunPlan
from curate.runs.vocabulary import run_vocabulary
from curate.schemas.document import Document, document_from_row
from curate.schemas.ledger import TOKEN
from curate.schemas.packed import packed_schema
from curate.schemas.settings.recipe import Recipe
from curate.schemas.verdict import Drop
from curate.tokenization.fitting import Fitted, Piece, fit_images, fit_lines
from curate.tokenization.formats import Formatter, TokenizedDocument
from curate.tokenization.packing import pack
from curate.tokenization.shards import ShardWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """One shard: the parts whose documents go into it."""

    source: str
    index: int
    count: int
    """Shards of the source."""
    parts: tuple[InputPart, ...]
    documents: int

    @property
    def name(self) -> str:
        return f"{self.source}/shard-{self.index:05d}-of-{self.count:05d}"


def plan_shards(plan: RunPlan, documents: dict[str, int]) -> list[ShardTask]:
    """Cut each source's parts into shards.

    Args:
        documents: selected documents by part name.
    """
    tasks: list[ShardTask] = []
    for source in plan.sources():
        groups: list[list[InputPart]] = []
        held = 0
        for part in plan.parts_of(source):
            if documents[part.name] == 0:
                continue
            if not groups or held >= plan.recipe.tokenization.shard_documents:
                groups.append([])
                held = 0
            groups[-1].append(part)
            held += documents[part.name]
        tasks += [
            ShardTask(
                source=source,
                index=index,
                count=len(groups),
                parts=tuple(group),
                documents=sum(documents[p.name] for p in group),
            )
            for index, group in enumerate(groups)
        ]
    return tasks


def make_shard(plan: RunPlan, part: PartWriter, task: ShardTask) -> None:
    """Tokenize, pack and write one shard."""
    settings = plan.recipe.tokenization
    source = plan.recipe.sources[task.source]
    vocabulary = run_vocabulary(part.run)
    formatter = Formatter(
        vocabulary=vocabulary,
        format=source.format,
        image_slots=settings.image_slots,
        loss_on_image_token=settings.loss_on_image_token,
    )
    schema = packed_schema(
        vocabulary.size,
        {
            "block": str(settings.block),
            "tokenizer_sha256": vocabulary.sha256,
            "recipe_fingerprint": plan.fingerprint,
            "source": task.source,
            "format": source.format,
        },
    )
    path = part.file(f"shards/{task.name}.arrow")
    images = ImageTars(part.run)
    writer = ShardWriter(path, schema, lambda i: images.read(i.tar, i.offset, i.size))
    targets = 0
    pieces = _Pieces(plan.recipe, part, task, formatter).read()
    together = settings.pack or source.format == "text"
    for row in pack(pieces, settings.block, settings.image_slots, together=together):
        targets += sum(row.loss_mask)
        writer.write(row)
        part.went_out(task.source, "node", len(row.images))
        part.went_out(task.source, TOKEN, len(row.input_ids) - 1)
    writer.close()
    images.close()
    part.facts.update(
        path=f"shards/{task.name}.arrow",
        source=task.source,
        rows=writer.rows,
        tokens=writer.tokens,
        targets=targets,
        block=settings.block,
        images=images.count,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        seal=writer.seal,
    )


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The documents of a shard as pieces for its rows; what does not fit goes to the ledger."""

    recipe: Recipe
    part: PartWriter
    task: ShardTask
    formatter: Formatter

    def read(self) -> Iterator[Piece]:
        for input_part in self.task.parts:
            with self.part.run.open(f"selected/{input_part.name}.parquet") as stream:
                for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                    for row in batch.to_pylist():
                        yield from self._pieces_of(document_from_row(row))

    def _pieces_of(self, document: Document) -> tuple[Piece, ...]:
        source = self.task.source
        tokenized = self.formatter.tokenize(document)
        self.part.came_in(source, "document")
        self.part.came_in(source, "node", len(document.images))
        self.part.came_in(source, TOKEN, tokenized.length)
        fitted = self._fit(tokenized)
        if isinstance(fitted, Drop):
            self._drop(document, fitted, tokenized.length)
            return ()
        for image in fitted.lost_images:
            lost = Drop("pack.document_too_long", 1 + tokenized.length, self._block)
            self.part.drop(source, "node", document.id, image.url, lost)
        again = self._judge_again(document, fitted)
        if again is not None:
            left = [image for piece in fitted.pieces for image in piece.images]
            for image in left:
                lost = Drop("node.document_dropped", again.rule)
                self.part.drop(source, "node", document.id, image.url, lost)
            self._drop(document, again, tokenized.length)
            return ()
        for loss in fitted.losses:
            cut = Drop(loss.rule, loss.value, loss.limit)
            self.part.drop(source, "line", document.id, document.url, cut, tokens=loss.tokens)
        self.part.went_out(source, "document")
        return fitted.pieces

    @property
    def _block(self) -> int:
        return self.recipe.tokenization.block

    def _drop(self, document: Document, verdict: Drop, tokens: int) -> None:
        source = self.task.source
        self.part.drop(source, "document", document.id, document.url, verdict, tokens=tokens)

    def _fit(self, tokenized: TokenizedDocument) -> Fitted | Drop:
        settings = self.recipe.tokenization
        if tokenized.length <= 1:
            return Drop("pack.empty", tokenized.length, 2)
        if self.formatter.format == "text":
            return fit_lines(tokenized, settings.block, split=settings.long_lines == "split")
        if self.formatter.format == "instruction" and tokenized.length >= settings.block:
            return Drop("pack.instruction_too_long", tokenized.length, settings.block - 1)
        split = settings.long_documents == "split"
        return fit_images(tokenized, settings.block, settings.image_slots, split=split)

    def _judge_again(self, document: Document, fitted: Fitted) -> Drop | None:
        """A document that lost images may be one with a single image now."""
        if not fitted.lost_images:
            return None
        left = sum(len(piece.images) for piece in fitted.pieces)
        return single_image_rule(document.id, left, self.recipe)
