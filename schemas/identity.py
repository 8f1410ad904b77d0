"""Keyed hashes: every id, and every choice that looks random, comes from here."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from curate.schemas.address import wire_address
from curate.schemas.page import Origin

KEY_BYTES = 16


def content_key(*parts: str | bytes) -> bytes:
    """16-byte BLAKE2b of the parts, each preceded by its length so that joins are unambiguous."""
    digest = blake2b(digest_size=KEY_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def keyed_fraction(seed: int, purpose: str, item_id: str) -> float:
    """A number in [0, 1) that depends on seed, purpose and id alone: the source of every choice."""
    key = content_key(str(seed), purpose, item_id)
    return int.from_bytes(key[:8], "little") / 2**64


def document_id(origin: Origin, url: str, variant: str = "") -> str:
    """Hex id of a document: the record it came from, and which document of that record."""
    return content_key(origin.warc_file, origin.place, url, variant).hex()


def image_key(url: str) -> bytes:
    """16-byte key of an image URL in its wire form: one stored image per key."""
    return content_key("image", wire_address(url))


def mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread 64-bit values over all their bits (the finalizer of MurmurHash3)."""
    shifted = values >> np.uint64(33)
    mixed = values ^ shifted
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    np.right_shift(mixed, np.uint64(33), out=shifted)
    mixed ^= shifted
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    np.right_shift(mixed, np.uint64(33), out=shifted)
    mixed ^= shifted
    return mixed
