"""Stage `shards`: selected documents to packed rows, with their image bytes inside.

Consecutive parts of a source are joined until a shard has `tokenization.shard_documents` documents:
a rule on the stage before alone, so that the shards are the same for any number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.image_tars import ImageTars
from pipelines.part import PartWriter
from pipelines.plan import InputPart, RunPlan
from pipelines.run_directory import RunDirectory
from pipelines.tokenizer import MODEL_PATH
from schemas.document import document_from_row
from schemas.packed import packed_schema
from schemas.verdict import Drop
from tokenization.formats import Formatter, TokenizedDocument
from tokenization.packing import Cut, one_row_each, pack
from tokenization.shards import ShardWriter
from tokenization.vocabulary import Vocabulary

STAGE = "shards"


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
    vocabulary = _vocabulary(part.run)
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
            "vocabulary": str(vocabulary.size),
            "recipe_fingerprint": plan.fingerprint,
            "source": task.source,
            "format": source.format,
        },
    )
    path = part.file(f"shards/{task.name}.arrow")
    packer = pack if settings.pack or source.format == "text" else one_row_each
    images = ImageTars(part.run)
    writer = ShardWriter(path, schema, lambda i: images.read(i.tar, i.offset, i.size))
    targets = 0
    documents = _documents(part, task, formatter, settings.block)
    for row in packer(documents, settings.block, settings.image_slots):
        if isinstance(row, Cut):
            verdict = Drop(row.rule, row.tokens, row.limit)
            part.drop(task.source, "line", row.document.id, row.document.url, verdict)
            continue
        targets += sum(row.loss_mask)
        writer.write(row)
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
        sha256=_sha256(path),
    )


def _documents(
    part: PartWriter, task: ShardTask, formatter: Formatter, block: int
) -> Iterator[TokenizedDocument]:
    for input_part in task.parts:
        with part.run.open(f"selected/{input_part.name}.parquet") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    document = document_from_row(row)
                    part.came_in(task.source, "document")
                    tokenized = formatter.tokenize(document)
                    if tokenized.length <= 1:
                        empty = Drop("pack.empty", tokenized.length, 2)
                        part.drop(task.source, "document", document.id, document.url, empty)
                        continue
                    if formatter.format == "instruction" and tokenized.length >= block:
                        long = Drop("pack.instruction_too_long", tokenized.length, block - 1)
                        part.drop(task.source, "document", document.id, document.url, long)
                        continue
                    part.went_out(task.source, "document")
                    yield tokenized


@lru_cache(maxsize=2)
def _vocabulary_of(root: str, sha256: str) -> Vocabulary:
    """The run's model, loaded once per process; the hash keeps another model's from serving."""
    with RunDirectory(root).open(MODEL_PATH) as stream:
        return Vocabulary(stream.read())


def _vocabulary(run: RunDirectory) -> Vocabulary:
    marker = run.read_json("stages/tokenizer/model.json")
    return _vocabulary_of(run.root, marker["sha256"])


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
