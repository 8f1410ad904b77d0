"""From raw web archives to packed, tokenized, multimodal training shards."""

from extraction import extract
from schemas.document import Document, ImageSegment, TextSegment
from tokenization.shards import Shard
from tokenization.vocabulary import Vocabulary
from training.opened import open_shards

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
