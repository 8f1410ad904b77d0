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


class Source(Section):
    """One input and the kind of training rows made of it."""

    kind: Literal["warc"] = Field(
        "warc", description="Reader. `warc` reads .warc, .warc.gz, .arc and .arc.gz."
    )
    format: Literal["interleaved", "text", "pairs"] = Field(
        description="Rows to make of a page: text and images in reading order, its text alone, "
        "or one image-caption pair per image with alt text (as LAION took them from the crawl)."
    )
    paths: tuple[str, ...] = Field(
        (), description="Paths or globs: local, http(s)://, s3:// or gs://."
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
        return self


class PageRules(Section):
    """Rules on a page's language and text (KOSMOS-1 B.1.3; thresholds ours unless named)."""

    language: str | None = Field("en", description="ISO 639-1 code to keep (KOSMOS-1: English).")
    min_language_score: Ratio = Field(
        0.65, description="Least fastText probability of the language (FineWeb, DCLM: 0.65)."
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
    """Rules on a decoded image."""

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
    max_documents: int | None = Field(
        None, ge=1, description="Drop an image that more documents show (OBELICS: 10)."
    )
    max_pixels: int = Field(
        64_000_000, ge=1, description="Pixels above which an image is not decoded."
    )
    max_frames: int = Field(1_000, ge=1, description="Frames above which it is not decoded.")


class PairRules(Section):
    """Rules on the caption of an image-caption pair."""

    min_caption_chars: int = Field(5, ge=1, description="LAION-400M: 5.")
    max_caption_chars: int = Field(1_000, ge=1, description="COYO-700M: 1000.")
    drop_tagged_captions: bool = Field(
        True, description="Drop captions with tags such as <PERSON> (KOSMOS-1 B.1.2)."
    )


class Filters(Section):
    page: PageRules = PageRules()
    node: NodeRules = NodeRules()
    image: ImageRules = ImageRules()
    pair: PairRules = PairRules()


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


class Images(Section):
    size: int = Field(224, ge=1, description="Shorter side of a stored image (KOSMOS-1: 224).")
    center_crop: bool = Field(True, description="Cut the longer side to `size` as CLIP does.")
    jpeg_quality: int = Field(95, ge=1, le=100)
    max_per_document: int = Field(5, ge=1, description="KOSMOS-1 section 3.1: 5.")
    single_image_keep: Ratio = Field(
        0.5, description="Share of documents with exactly one image to keep (KOSMOS-1: half)."
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
    images: Images = Images()
    tokenization: Tokenization = Tokenization()
    seed: int = Field(0, description="Key of every hash that chooses.")
