"""The packed row: what a trainer reads, self-contained."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = "3"
UINT16_VOCABULARY = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSlots:
    """A run of positions that a vision encoder fills."""

    offset: int
    """First slot in `input_ids`."""
    length: int
    image: int
    """Index in the row's `images`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedImage:
    url: str
    key: bytes
    tar: int
    offset: int
    size: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSpan:
    """The tokens of one document in one row: `input_ids[start:end]`."""

    id: str
    url: str
    warc_file: str
    offset: int
    length: int
    inside: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRow:
    """One training sequence of at most `block` tokens, unpadded.

    `loss_mask[t]` tells whether token `t` counts as a prediction *target*.
    """

    input_ids: tuple[int, ...]
    loss_mask: tuple[bool, ...]
    image_slots: tuple[ImageSlots, ...]
    images: tuple[PackedImage, ...]
    documents: tuple[DocumentSpan, ...]


def packed_schema(vocabulary: int, metadata: dict[str, str]) -> pa.Schema:
    """Arrow schema of a shard: token ids are uint16 where the vocabulary allows, else uint32."""
    token = pa.uint16() if vocabulary <= UINT16_VOCABULARY else pa.uint32()
    slots = pa.struct([("offset", pa.int32()), ("length", pa.int32()), ("image", pa.int32())])
    image = pa.struct(
        [
            ("bytes", pa.binary()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("key", pa.binary(16)),
            ("url", pa.string()),
        ]
    )
    document = pa.struct(
        [
            ("id", pa.string()),
            ("url", pa.string()),
            ("warc_file", pa.string()),
            ("offset", pa.int64()),
            ("length", pa.int64()),
            ("inside", pa.int64()),
            ("start", pa.int32()),
            ("end", pa.int32()),
        ]
    )
    return pa.schema(
        [
            ("input_ids", pa.list_(token)),
            ("loss_mask", pa.list_(pa.bool_())),
            ("image_slots", pa.list_(slots)),
            ("images", pa.list_(image)),
            ("documents", pa.list_(document)),
        ],
        metadata={
            "schema_version": SCHEMA_VERSION,
            "vocabulary": str(vocabulary),
            **metadata,
        },
    )
