"""Stage `documents`: input records to filtered documents, one part per input file.

row of a corpus or a table of pairs ───rules────┐
record ──classify──▶ page ──consent, extract, rules─┴▶ documents/SOURCE/part-N.parquet
             └─────▶ image record ─────────────────▶ references/available/SOURCE/part-N.parquet
image nodes of the kept documents ─────────────────▶ references/shown/SOURCE/part-N.parquet
`data:` images ────────────────────────────────────▶ references/inline/SOURCE/part-N.parquet
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from curate.extraction import extract
from curate.filters.node import node_rule
from curate.filters.page import coherence_rule, interspersed_rule, length_rule
from curate.filters.pair import caption_rule, table_score_rule, table_size_rule
from curate.filters.text.families import apply_text_rules
from curate.filters.text.language import language_rule
from curate.filters.web.address import url_rule
from curate.filters.web.consent import header_rule, meta_rule
from curate.filters.web.record import classify_record
from curate.runs.part import PartWriter, RowWriter
from curate.runs.plan import InputPart, RunPlan
from curate.schemas.document import (
    DOCUMENT_SCHEMA,
    Document,
    ImageSegment,
    Segment,
    TextSegment,
    document_to_row,
)
from curate.schemas.identity import content_key, document_id, image_key
from curate.schemas.page import DamagedRegion, Record
from curate.schemas.settings.filter_rules import Filters
from curate.schemas.settings.source import Source
from curate.schemas.verdict import KEEP, Drop, Verdict
from curate.sources.archives.archive import read_archive
from curate.sources.corpus import RejectedRow, read_corpus
from curate.sources.img2dataset import KIND as IMPORTED
from curate.sources.img2dataset import read_img2dataset
from curate.sources.input_identity import unchanged
from curate.sources.instructions import KIND as INSTRUCTIONS
from curate.sources.instructions import read_instructions
from curate.sources.pair_tables import read_pair_table

SHOWN_SCHEMA = pa.schema([("row", pa.int64()), ("key", pa.binary(16)), ("url", pa.string())])
"""A row per image of a document; `row` counts the rows of the documents file."""
AVAILABLE_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("url", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("inside", pa.int64()),
    ]
)
INLINE_SCHEMA = pa.schema([("key", pa.binary(16)), ("url", pa.string()), ("bytes", pa.binary())])


def make_documents(plan: RunPlan, part: PartWriter, task: InputPart) -> None:
    """Read one input file to its end and write what it holds.

    Raises:
        InputChangedError: the file changed meanwhile.
    """
    made = _DocumentsPart(plan, part, task)
    source = plan.recipe.sources[task.source]
    with unchanged(task.path, task.size, task.stamp):
        if source.kind == "warc":
            made.take_archive()
        elif source.is_pair_table:
            made.take_pair_table()
        elif source.kind == IMPORTED:
            made.take_imported_pairs()
        else:
            made.take_corpus()
    part.facts["lines"] = made.lines
    part.facts["available"] = made.available.count + made.inline.count


class _DocumentsPart:
    def __init__(self, plan: RunPlan, part: PartWriter, task: InputPart) -> None:
        self.recipe = plan.recipe
        self.filters: Filters = plan.recipe.filters
        self.source: Source = plan.recipe.sources[task.source]
        self.page_rules = self.filters.page
        if self.source.format == "pairs":
            # A pair needs its caption; where the image stands in the text plays no part.
            self.page_rules = self.page_rules.model_copy(update={"min_words_beside_image": None})
        self.part = part
        self.task = task
        self.documents = part.rows(f"documents/{task.name}.parquet", DOCUMENT_SCHEMA)
        self.available = part.rows(f"references/available/{task.name}.parquet", AVAILABLE_SCHEMA)
        self.inline: RowWriter = part.rows(f"references/inline/{task.name}.parquet", INLINE_SCHEMA)
        self.inline_keys: set[bytes] = set()
        self.lines = 0
        """Of the documents kept so far."""
        self.shown = part.rows(f"references/shown/{task.name}.parquet", SHOWN_SCHEMA)

    def take_corpus(self) -> None:
        """A corpus has documents already; web text among them is judged as pages are."""
        name = self.task.source
        read = read_instructions if self.source.kind == INSTRUCTIONS else read_corpus
        for item in read(self.task.path, self.source, self.task.file_name, name):
            self.part.came_in(name, "record")
            if isinstance(item, RejectedRow):
                self.reject(item)
                continue
            self.part.went_out(name, "record")
            self.part.came_in(name, "page")
            listed = self.judge_address(item.url)
            document = listed if isinstance(listed, Drop) else self.judge_document(item)
            if isinstance(document, Drop):
                self.part.drop(name, "page", item.id, item.url, document)
            else:
                self.part.went_out(name, "page")
                self.keep(document)

    def take_pair_table(self) -> None:
        """What the table tells decides, before anything is fetched."""
        name = self.task.source
        for item in read_pair_table(self.task.path, self.source, self.task.file_name, name):
            self.part.came_in(name, "record")
            if isinstance(item, RejectedRow):
                self.reject(item)
                continue
            self.part.went_out(name, "record")
            self.take_pair(item)

    def take_imported_pairs(self) -> None:
        """Pairs whose images came with them."""
        name = self.task.source
        for item in read_img2dataset(self.task.path, self.source, self.task.file_name, name):
            self.part.came_in(name, "record")
            if isinstance(item, RejectedRow):
                self.reject(item)
                continue
            self.part.went_out(name, "record")
            if not self.take_pair(item.document):
                continue
            (image,) = item.document.images
            held = {"key": image_key(image.url), "url": image.url}
            if item.data is None:
                place = {"offset": item.offset, "length": item.length, "inside": 0}
                self.available.write({**held, **place})
            elif held["key"] not in self.inline_keys:
                self.inline_keys.add(image_key(image.url))
                self.inline.write({**held, "bytes": item.data}, size=len(item.data))

    def reject(self, row: RejectedRow) -> None:
        self.part.drop(self.task.source, "record", row.origin.label, "", row.drop)

    def take_pair(self, pair: Document) -> bool:
        """Judge a pair and keep it, if it stays."""
        name = self.task.source
        self.part.came_in(name, "document")
        self.part.came_in(name, "node")
        verdict = self.judge_pair(pair)
        if isinstance(verdict, Drop):
            self.part.drop(name, "document", pair.id, pair.url, verdict)
            self.drop_nodes(pair, verdict.rule)
            return False
        self.part.went_out(name, "document")
        self.keep(pair)
        return True

    def judge_pair(self, pair: Document) -> Verdict:
        (image,) = pair.images
        rules = self.filters.pair
        for verdict in (
            self.judge_address(pair.url),
            node_rule(image, self.filters.node),
            caption_rule(pair.text, rules),
            table_score_rule(pair.scores, rules),
        ):
            if isinstance(verdict, Drop):
                return verdict
        return table_size_rule(image, rules, self.source.tells_sizes)

    def take_archive(self) -> None:
        name = self.task.source
        wants_images = self.source.has_images
        limit = self.recipe.extraction.max_record_bytes
        for item in read_archive(self.task.path, limit):
            record_id = item.origin.label
            self.part.came_in(name, "record")
            if isinstance(item, DamagedRegion):
                damage = Drop("record.damaged", item.reason, f"{item.origin.length} bytes")
                self.part.drop(name, "record", record_id, "", damage)
                continue
            verdict = classify_record(item)
            if verdict == "image" and not wants_images:
                verdict = Drop("record.media_type", item.content_type, "text/html")
            if isinstance(verdict, Drop):
                self.part.drop(name, "record", record_id, item.url, verdict)
                continue
            self.part.went_out(name, "record")
            if verdict == "image":
                self.available.write(
                    {
                        "key": image_key(item.url),
                        "url": _clean(item.url),
                        "offset": item.origin.offset,
                        "length": item.origin.length,
                        "inside": item.origin.inside,
                    }
                )
            else:
                self.take_page(item)

    def take_page(self, record: Record) -> None:
        name = self.task.source
        self.part.came_in(name, "page")
        page = replace(record, url=_clean(record.url))
        page_id = document_id(page.origin, page.url)
        made = self.judge_page(page)
        if isinstance(made, Drop):
            self.part.drop(name, "page", page_id, page.url, made)
            return
        self.part.went_out(name, "page")
        if self.source.format != "pairs":
            self.keep(made)
            return
        for pair in _pairs(made):
            self.part.came_in(name, "document")
            verdict = caption_rule(pair.text, self.filters.pair)
            if isinstance(verdict, Drop):
                self.part.drop(name, "document", pair.id, pair.url, verdict)
                self.drop_nodes(pair, verdict.rule)
            else:
                self.part.went_out(name, "document")
                self.keep(pair)

    def judge_page(self, page: Record) -> Document | Drop:
        """All rules on a page, cheapest first; its image nodes are judged on the way."""
        consent = header_rule(page.headers, self.recipe.images.fetch)
        if isinstance(consent, Drop):
            return consent
        listed = self.judge_address(page.url)
        if isinstance(listed, Drop):
            return listed
        document = extract(
            page.payload,
            page.url,
            source=self.task.source,
            charset=page.charset,
            origin=page.origin,
            date=page.date,
            limits=self.recipe.extraction,
            robots_token=self.recipe.images.fetch.robots_token,
        )
        if isinstance(document, Drop):
            return document
        consent = meta_rule(document.consent, self.recipe.images.fetch)
        if isinstance(consent, Drop):
            return consent
        return self.judge_document(document)

    def judge_address(self, url: str) -> Verdict:
        return url_rule(url, self.filters.url) if self.source.is_filtered else KEEP

    def judge_document(self, document: Document) -> Document | Drop:
        """The rules on a document's text, then on its image nodes."""
        if self.source.is_filtered:
            scores = dict(document.scores)
            text = document.text
            for rule in (length_rule, language_rule, coherence_rule):
                verdict = rule(text, self.page_rules)
                if isinstance(verdict, Drop):
                    return verdict
                scores.update(verdict.scores)
            document = replace(document, scores=scores)
            judged = apply_text_rules(document, self.filters.text, self.tell_line(document))
            if isinstance(judged, Drop):
                return judged
            document = judged
        if not self.source.has_images:
            return document.with_segments(
                [s for s in document.segments if isinstance(s, TextSegment)]
            )
        if not self.source.is_filtered:
            self.part.came_in(document.source, "node", len(document.images))
            return replace(
                document,
                segments=tuple(
                    self.shorten_data_uri(s) if isinstance(s, ImageSegment) else s
                    for s in document.segments
                ),
            )
        document = self.judge_nodes(document)
        verdict = interspersed_rule(document, self.page_rules)
        if isinstance(verdict, Drop):
            self.drop_nodes(document, verdict.rule)
            return verdict
        return document

    def tell_line(self, document: Document) -> Callable[[Drop], None]:
        return partial(self.part.drop, self.task.source, "line", document.id, document.url)

    def judge_nodes(self, document: Document) -> Document:
        for left_out in document.left_out:
            self.part.came_in(document.source, "node")
            self.part.drop(document.source, "node", document.id, left_out.url[:100], left_out.drop)
        seen: set[bytes] = set()
        kept: list[Segment] = []
        for segment in document.segments:
            if not isinstance(segment, ImageSegment):
                kept.append(segment)
                continue
            self.part.came_in(document.source, "node")
            image = self.shorten_data_uri(segment)
            key = image_key(image.url)
            verdict = node_rule(image, self.filters.node)
            if not isinstance(verdict, Drop) and self.filters.node.drop_repeats and key in seen:
                verdict = Drop("node.repeated", image.url[:100])
            seen.add(key)
            if isinstance(verdict, Drop):
                self.part.drop(document.source, "node", document.id, image.url, verdict)
            else:
                kept.append(image)
        return document.with_segments(kept)

    def shorten_data_uri(self, image: ImageSegment) -> ImageSegment:
        """Give a `data:` image a short address, and put its bytes beside the part."""
        if not image.url.startswith("data:image/"):
            return image
        data = _decode_data_uri(image.url)
        url = f"data:,{content_key(data).hex()}"
        key = image_key(url)
        if key not in self.inline_keys:
            self.inline_keys.add(key)
            self.inline.write({"key": key, "url": url, "bytes": data}, size=len(data))
        return replace(image, url=url)

    def drop_nodes(self, document: Document, rule: str) -> None:
        for image in document.images:
            self.part.drop(
                document.source, "node", document.id, image.url, Drop("node.page_dropped", rule)
            )

    def keep(self, document: Document) -> None:
        self.part.went_out(document.source, "node", len(document.images))
        for image in document.images:
            row = self.documents.count
            self.shown.write({"row": row, "key": image_key(image.url), "url": image.url})
        self.lines += document.text.count("\n") + 1
        self.documents.write(document_to_row(document), size=len(document.text))


def _pairs(page: Document) -> Iterator[Document]:
    """One document per image: the image and its caption, alt text before figure caption."""
    for index, image in enumerate(page.images):
        caption = " ".join((image.alt or image.caption).split())
        yield replace(
            page,
            id=document_id(page.origin, page.url, str(index)),
            segments=(replace(image, alt="", caption=""), TextSegment(text=caption)),
        )


def _decode_data_uri(uri: str) -> bytes:
    header, _, body = uri.partition(",")
    data = unquote_to_bytes(body)
    if header.rstrip().lower().endswith(";base64"):
        try:
            return base64.b64decode(b"".join(data.split()))
        except binascii.Error:
            return b""
    return data


def _clean(url: str) -> str:
    """The address as UTF-8 can hold it."""
    return url.encode("utf-8", "replace").decode("utf-8")
