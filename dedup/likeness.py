"""How near-duplicates are found: keys that they share, and signatures that decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from curate.dedup.minhash import MinHasher, similarity
from curate.dedup.words import Hashes

SignatureBytes = npt.NDArray[np.uint8]
"""Signatures as they are stored, shape (documents, `signature_bytes`)."""


class Likeness(Protocol):
    """What is compared, and how: texts by MinHash, pictures by `dedup.pictures`."""

    @property
    def signature_bytes(self) -> int:
        """Bytes of one signature."""

    @property
    def keys_each(self) -> int:
        """Keys of one signature."""

    def keys(self, signatures: SignatureBytes) -> Hashes:
        """Shape (documents, `keys_each`): only what shares a key is compared."""

    def alike(self, one: SignatureBytes, other: SignatureBytes) -> npt.NDArray[np.bool_]:
        """Whether each pair is near-duplicates, row by row."""


@dataclass(frozen=True)
class TextLikeness:
    """Texts that share a band and of whose signatures enough positions are equal."""

    hasher: MinHasher
    min_similarity: float | None
    """None takes every pair that shares a band."""

    @property
    def signature_bytes(self) -> int:
        return 4 * self.hasher.size

    @property
    def keys_each(self) -> int:
        return self.hasher.bands

    def keys(self, signatures: SignatureBytes) -> Hashes:
        return self.hasher.band_keys(signatures.view("<u4"))

    def alike(self, one: SignatureBytes, other: SignatureBytes) -> npt.NDArray[np.bool_]:
        if self.min_similarity is None:
            return np.ones(len(one), np.bool_)
        return similarity(one.view("<u4"), other.view("<u4")) >= self.min_similarity
