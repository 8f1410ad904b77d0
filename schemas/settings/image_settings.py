"""Recipe section `images`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curate.schemas.settings.section import Ratio, Section


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
    robots_token: str = Field(
        "curate", description="Our name in robots.txt, X-Robots-Tag and `<meta>`."
    )
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
        description="X-Robots-Tag and robots `<meta>` directives that refuse use for training.",
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
    sentences_around: int | None = Field(
        None,
        ge=1,
        description="Sentences to keep before the first image of an interleaved document, and "
        "behind its last one (the released loader of KOSMOS-1: 3); null keeps all.",
    )
    duplicates: Pictures | None = Field(
        None, description="What to do about the same picture at several addresses; null: nothing."
    )
    fetch: Fetch = Fetch()
