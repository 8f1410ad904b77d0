"""The recipe: everything that decides what comes out, with the source of every number.

Unknown keys are errors. A threshold of `null` switches its rule off.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from curate.schemas.settings.filter_rules import Filters
from curate.schemas.settings.image_settings import Images
from curate.schemas.settings.mixture import Mixture
from curate.schemas.settings.purging import Decontamination, Dedup
from curate.schemas.settings.section import Ratio, Section
from curate.schemas.settings.source import Source


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
    long_lines: Literal["cut", "split"] = Field(
        "split",
        description="A line of a text with more tokens than a row: `split` goes on in the next "
        "row, `cut` loses the rest (the released loader).",
    )
    long_documents: Literal["cut", "split"] = Field(
        "split",
        description="A document with images and more tokens than a row: `split` goes on in further "
        "rows with its remaining images, `cut` loses the rest (the released loader).",
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
    follows: (
        Literal["coyo", "dclm", "fineweb", "kosmos1", "laion", "mmc4", "obelics", "omnicorpus"]
        | None
    ) = Field(
        None,
        description="The published system that the recipe claims to follow: a build says which of "
        "its steps are left undone, as the recipe of that name has them.",
    )
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
    mixture: Mixture | None = Field(
        None,
        description="What a training step consists of; null draws on all sources by weight.",
    )
    seed: int = Field(0, description="Key of every hash that chooses.")
