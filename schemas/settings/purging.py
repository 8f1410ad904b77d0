"""Recipe sections `dedup` and `decontamination`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from curate.schemas.settings.section import Ratio, Section

DEDUP_PRESETS = {
    "fineweb": {"bands": 14, "rows": 8, "shingle_words": 5},
    "mt-nlg": {"bands": 20, "rows": 13, "shingle_words": 5},
}
"""Published parameters by name: datatrove's for FineWeb, NeMo Curator's after MT-NLG."""


class RepeatedLines(Section):
    """Lines or paragraphs that documents of one domain share, word by word (OBELICS)."""

    unit: Literal["line", "paragraph"] = Field(
        "line",
        description="What is compared: lines, or the lines between two empty ones. Extraction "
        "makes one line of every paragraph of a page.",
    )
    min_documents: int = Field(
        2, ge=2, description="Documents of the domain that must hold it before it goes."
    )
    keep: Literal["none", "one"] = Field(
        "none",
        description="`none` takes it from every document, as furniture of the site; `one` leaves "
        "it in the document that is preferred (by quality, length, hash).",
    )


class Dedup(Section):
    """Which documents are duplicates of another, compared within a format (text, interleaved)."""

    urls: bool = Field(
        True,
        description="Of pages with the same URL keep the latest capture (OBELICS). Which documents "
        "are pages, their source tells (`sources.X.pages`).",
    )
    exact: bool = Field(True, description="Drop documents whose text is the same, byte by byte.")
    near: bool = Field(True, description="Drop near-duplicates found by MinHash.")
    bands: int = Field(14, ge=1, le=256, description="FineWeb: 14; NeMo Curator, for MT-NLG: 20.")
    rows: int = Field(
        8, ge=1, le=256, description="Positions per band. FineWeb: 8; NeMo Curator: 13."
    )
    shingle_words: int = Field(5, ge=1, le=64, description="Words per shingle (FineWeb: 5).")
    normalization: Literal["words-3"] = Field(
        "words-3",
        description="How text becomes words: without case, punctuation and apostrophes, a mark "
        "with its letter, in NFKC; a character each in scripts without spaces.",
    )
    min_similarity: Ratio | None = Field(
        0.65,
        description="Least Jaccard similarity, estimated on the signatures, of a pair that shares "
        "a band; null takes every such pair for duplicates (FineWeb).",
    )
    quality_score: str | None = Field(
        None,
        description="Score, from 0 to 1, by which the best of a cluster is kept; then the longest.",
    )
    repeated: RepeatedLines | None = Field(
        None,
        description="Cut lines or paragraphs that the documents of a domain repeat; documents "
        "without a URL are left as they are.",
    )
    against: tuple[str, ...] = Field(
        (),
        description="Run directories of earlier runs: what they have is not taken again. Their "
        "signatures are read, not their text.",
    )

    @model_validator(mode="after")
    def _signature_size(self) -> Dedup:
        if self.bands * self.rows > 1_024:
            raise ValueError(f"bands x rows must be at most 1024 (got {self.bands} x {self.rows})")
        return self


class NgramRules(Section):
    """Shared n-grams of words, as MT-NLG's data were cleaned (Megatron-LM, filter_ngrams.py)."""

    frequent: int | None = Field(
        10,
        ge=2,
        description="An n-gram that the documents hold so many times is common speech and left "
        "alone (MT-NLG: 10).",
    )


class ItemRules(Section):
    """Items that a document holds whole, edited lightly or not at all."""

    min_similarity: Ratio = Field(
        0.7,
        description="Least share of an item's words found in their order, for items of 20 words "
        "or more.",
    )
    min_short_similarity: Ratio = Field(
        0.9, description="Likewise for items of 13 to 19 words; shorter ones must be whole."
    )


class Decontamination(Section):
    """Benchmark items that documents must not hold."""

    benchmarks: tuple[str, ...] = Field(
        (),
        description="Benchmark files (.jsonl, .parquet, compressed or not), or indexes made by "
        "`curate benchmark-index build`: paths or globs.",
    )
    images: tuple[str, ...] = Field(
        (),
        description="Benchmark images: folders, files or globs, or indexes made by `curate "
        "benchmark-index build --images`. What shows the same picture is dropped.",
    )
    registry: str | None = Field(
        None,
        description="YAML file that maps fields of further benchmarks to texts; "
        "`curate benchmark-index registry` prints the one that is built in.",
    )
    min_words: int = Field(
        8,
        ge=1,
        description="Items of fewer words are not looked for (MT-NLG: 8). In scripts without "
        "spaces two characters of Chinese or Japanese count as a word, four letters of Thai, Lao, "
        "Burmese or Khmer.",
    )
    max_words: int = Field(
        13,
        ge=2,
        description="Length of an n-gram in words; a shorter item is taken whole (MT-NLG: 13).",
    )
    ngrams: NgramRules | None = NgramRules()
    items: ItemRules | None = ItemRules()
    action: Literal["cut", "drop", "tag"] = Field(
        "cut",
        description="Cut the match out of the document (of instructions: drop it), drop the "
        "document, or keep it and note the number of matches as score `decontamination.matches`.",
    )
    cut_characters: int = Field(
        200, ge=0, description="Characters cut on each side, on to the end of a sentence (MT-NLG)."
    )
    min_piece_characters: int = Field(
        200, ge=0, description="A piece between cuts that has no more characters goes (MT-NLG)."
    )
    max_pieces: int = Field(
        10, ge=1, description="A document cut into more pieces is dropped (MT-NLG)."
    )

    @model_validator(mode="after")
    def _something_to_find(self) -> Decontamination:
        if not self.benchmarks and not self.images:
            raise ValueError("has neither `benchmarks` nor `images`. Name one, or leave it out")
        return self
