"""Recipe section `sources`: inputs, and the kind of training rows made of each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from curate.schemas.settings.section import Section


class PairColumns(Section):
    """Columns of a table of pairs that has names of its own."""

    url: str = Field(description="Address of the image.")
    caption: str
    width: str | None = Field(None, description="Width of the image in pixels.")
    height: str | None = None
    similarity: str | None = Field(None, description="CLIP similarity of image and caption.")
    nsfw: str | None = Field(None, description="Probability that the image is unsafe.")
    watermark: str | None = Field(None, description="Probability that it has a watermark.")
    aesthetic: str | None = Field(None, description="Aesthetic score.")


PAIR_TABLES = ("laion-400m", "laion-2b-en", "coyo-700m", "cc3m", "cc12m", "grit", "pairs")


Format = Literal["text", "pairs", "interleaved", "instruction"]


class Source(Section):
    """One input and the kind of training rows made of it."""

    kind: Literal[
        "warc", "jsonl", "parquet", "wet", "text",
        "laion-400m", "laion-2b-en", "coyo-700m", "cc3m", "cc12m", "grit", "pairs", "img2dataset",
        "instructions",
    ] = Field(
        "warc",
        description="Reader. `warc` reads .warc, .warc.gz, .warc.zst, .arc and .arc.gz; `jsonl` a "
        "JSON object a line, `parquet` its rows, `wet` the text records of Common Crawl, `text` a "
        "document a file. `laion-400m` to `grit` are tables of pairs as published (.parquet, .csv "
        "or .tsv), `pairs` any other with columns `url` and `caption`, or `columns`; `img2dataset` "
        "is what that tool wrote, images included (.tar or .parquet); `instructions` are rows as "
        "Unnatural Instructions, self-instruct, Alpaca, FLAN v2 and P3 publish them (.jsonl, "
        ".parquet, FLAN's .tsv). Lines and tables but Parquet may be compressed (.gz, .zst, .bz2, "
        ".xz).",
    )  # fmt: skip
    max_row_bytes: int = Field(
        16 << 20,
        ge=1,
        description="Decoded bytes of one row of a corpus or table, or of a text file; a longer "
        "one is dropped. Records of archives have `extraction.max_record_bytes`.",
    )
    columns: PairColumns | None = Field(
        None, description="Columns of a table of pairs, where they are not named as published."
    )
    format: Format = Field(
        description="Rows to make of a page: text and images in reading order, its text alone, "
        "or one image-caption pair per image with alt text (as LAION took them from the crawl); of "
        "`instructions`, a prompt and its answer, on which alone there is loss."
    )
    paths: tuple[str, ...] = Field(
        (),
        description="Paths, globs, or folders (all files of the kind below them): local, "
        "http(s)://, s3:// or gs://.",
    )
    split: str | None = Field(
        None,
        description="Of a folder in the Hugging Face layout take this split alone: files named "
        "`train-00000-of-00002` or in a folder named `train`.",
    )
    text_field: str = Field(
        "text", description="Dotted path of a row's text; a row's `segments` go before it."
    )
    id_field: str = Field("id", description="Dotted path of a row's id; without one, ids are made.")
    select: dict[str, tuple[str, ...]] = Field(
        {},
        description="Rows to take: the values allowed at a dotted path, as "
        "`{meta.pile_set_name: [Pile-CC, Books3]}`.",
    )
    filtered: bool | None = Field(
        None,
        description="Apply `filters.url`, `filters.page` and `filters.text` to the documents; null "
        "does so for what comes from the web (`warc`, `wet`) and not for corpora that were curated "
        "before.",
    )
    crawl: str | None = Field(
        None,
        pattern=r"^CC-MAIN-\d{4}-\d{2}$",
        description="Common Crawl id; its WARC path listing is read instead of `paths`.",
    )
    crawl_root: str = Field(
        "https://data.commoncrawl.org",
        description="Where `crawl` is read from: an https:// or s3:// prefix, or a mirror.",
    )
    limit: int | None = Field(None, ge=1, description="Take the first N files of the listing.")
    weight: float = Field(
        1.0, gt=0, description="Share of the training tokens of its format, relative."
    )
    pages: bool | None = Field(
        None,
        description="Whether the `url` of a document is the address of a page, of which there may "
        "be several captures: of these `dedup.urls` keeps the latest. null: of archives (`warc`, "
        "`wet`) it is, of corpora it is not, for passages of a book share one.",
    )
    tokens: float | None = Field(
        None,
        gt=0,
        description="Tokens of the whole source where that is known, for `curate recipe plan`; "
        "what is built does not depend on it.",
    )

    @model_validator(mode="after")
    def _one_input(self) -> Source:
        if self.paths and self.crawl:
            raise ValueError("has both `paths` and `crawl`. Keep one of them")
        if self.crawl and self.kind not in ("warc", "wet"):
            raise ValueError(f"has `crawl`, which holds no {self.kind} files. Give `paths`")
        if (self.is_pair_table or self.kind == "img2dataset") and self.format != "pairs":
            raise ValueError(f"makes {self.format} rows of {self.kind}. Set `format: pairs`")
        makes_pairs = self.is_pair_table or self.kind in ("warc", "img2dataset")
        if self.format == "pairs" and not makes_pairs:
            raise ValueError(f"makes pairs of {self.kind} rows, which only tables and `warc` do")
        if (self.kind == "instructions") != (self.format == "instruction"):
            raise ValueError(
                f"makes {self.format} rows of {self.kind}: `kind: instructions` and "
                "`format: instruction` go together"
            )
        if self.columns is not None and not self.is_pair_table:
            raise ValueError(f"has `columns`, which {self.kind} does not. Leave it out")
        return self

    @property
    def is_filled(self) -> bool:
        """Whether it names any input; otherwise it is a slot that a user may fill."""
        return bool(self.paths or self.crawl)

    @property
    def has_pages(self) -> bool:
        """Whether documents of the same URL are captures of one page."""
        return self.kind in ("warc", "wet") if self.pages is None else self.pages

    @property
    def has_images(self) -> bool:
        return self.format in ("interleaved", "pairs")

    @property
    def is_pair_table(self) -> bool:
        return self.kind in PAIR_TABLES

    @property
    def tells_sizes(self) -> bool:
        """Whether it is a table that has a column for the image's size."""
        if self.columns is not None:
            return self.columns.width is not None and self.columns.height is not None
        return self.kind in ("laion-400m", "laion-2b-en", "coyo-700m", "grit")

    @property
    def is_filtered(self) -> bool:
        return self.kind in ("warc", "wet") if self.filtered is None else self.filtered
