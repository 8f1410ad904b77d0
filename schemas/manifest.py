"""The manifest of a run's shards: all that a trainer must know before it opens one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from curate.schemas.settings.mixture import Mixture
from curate.schemas.settings.source import Format

MANIFEST_PATH = "shards/manifest.json"
TOKENIZER_PATH = "shards/tokenizer.model"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardFile(_Part):
    """One shard."""

    path: str
    """Below `shards/`."""
    source: str
    rows: int
    tokens: int
    targets: int
    """Tokens that count in the loss."""
    images: int
    bytes: int
    sha256: str
    seal: str
    """Checksum of what the shard holds, as its last record batch tells it."""


class ShardSource(_Part):
    format: Format
    weight: float
    """Share of the tokens of its format, relative."""


class Manifest(_Part):
    """`shards/manifest.json`."""

    version: str = "1"
    recipe: str
    recipe_fingerprint: str
    tokenizer_sha256: str
    vocabulary: int
    """Number of token ids, special ones included."""
    block: int
    image_slots: int
    image_size: int
    """Pixels of a stored image's shorter side."""
    packed: bool
    """Whether a row of pairs or documents with images may hold several."""
    seed: int
    sources: dict[str, ShardSource]
    mixture: Mixture | None
    unfilled_steps: tuple[str, ...] = ()
    """What the recipe leaves undone of the published system that it follows, in words."""
    shards: tuple[ShardFile, ...]
