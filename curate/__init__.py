"""From raw web archives to packed, tokenized, multimodal training shards.

Names are looked up when they are first used: a command that only prints its help, or a worker that
only parses, does not wait for the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.extraction import extract
    from curate.schemas.document import Document, ImageSegment, TextSegment
    from curate.tokenization.shards import Shard
    from curate.tokenization.vocabulary import Vocabulary
    from curate.training.loading.opened import open_shards

__version__ = "0.1.0"
__all__ = [
    "Document",
    "ImageSegment",
    "Shard",
    "TextSegment",
    "Vocabulary",
    "extract",
    "open_shards",
]

_HOMES = {
    "Document": "curate.schemas.document",
    "ImageSegment": "curate.schemas.document",
    "Shard": "curate.tokenization.shards",
    "TextSegment": "curate.schemas.document",
    "Vocabulary": "curate.tokenization.vocabulary",
    "extract": "curate.extraction",
    "open_shards": "curate.training.loading.opened",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
