"""Rules on a decoded image."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from curate.filters.words import words_of_file
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.verdict import KEEP, Drop, Verdict

_PHASH = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShape:
    """What the rules look at before an image is decoded: its header tells it."""

    format: str
    """As Pillow names it, lower case: `jpeg`, `png`, `webp`, ..."""
    width: int
    height: int
    encoded_bytes: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts(ImageShape):
    """What the rules look at once it is decoded."""

    channel_spread: int
    """Largest difference, 0 to 255, between two pixels of the stored image in one channel."""
    blank_share: float
    """Share of pixels that are of nearly one brightness, 0 to 1."""
    sharpness: float
    """Variance of the Laplacian of the stored image, in grey levels squared."""


def shape_rule(shape: ImageShape, rules: ImageRules) -> Verdict:
    """Judge what need not be decoded for it."""
    short, long = sorted((shape.width, shape.height))
    if short * long > rules.max_pixels:
        return Drop("image.max_pixels", short * long, rules.max_pixels)
    if short < rules.min_side:
        return Drop("image.min_side", short, rules.min_side)
    if rules.max_side is not None and long > rules.max_side:
        return Drop("image.max_side", long, rules.max_side)
    if rules.max_aspect is not None and long > rules.max_aspect * short:
        return Drop("image.max_aspect", long / short, rules.max_aspect)
    if rules.min_bytes is not None and shape.encoded_bytes < rules.min_bytes:
        return Drop("image.min_bytes", shape.encoded_bytes, rules.min_bytes)
    if rules.formats and shape.format not in rules.formats:
        return Drop("image.format", shape.format, " ".join(rules.formats))
    if shape.frames > rules.max_frames:
        return Drop("image.max_frames", shape.frames, rules.max_frames)
    if rules.drop_animated and shape.frames > 1:
        return Drop("image.animated", shape.frames, 1)
    return KEEP


def picture_rule(facts: ImageFacts, rules: ImageRules) -> Verdict:
    """Judge what an image shows (KOSMOS-1 appendix B.1.3 rule 3, and the presets' rules)."""
    if rules.drop_single_color and facts.channel_spread <= rules.single_color_tolerance:
        return Drop("image.single_color", facts.channel_spread, rules.single_color_tolerance)
    if rules.max_blank_share is not None and facts.blank_share > rules.max_blank_share:
        return Drop("image.max_blank_share", facts.blank_share, rules.max_blank_share)
    if rules.min_sharpness is not None and facts.sharpness < rules.min_sharpness:
        return Drop("image.min_sharpness", facts.sharpness, rules.min_sharpness)
    return KEEP


def blocked_rule(rules: ImageRules, data: bytes, sha256: str) -> Verdict:
    """Judge an image's bytes by the lists of hashes.

    Raises:
        ListError: a list can't be read.
    """
    listed = _listed(rules)
    if not listed:
        return KEEP
    for digest in (sha256, hashlib.md5(data).hexdigest()):
        if digest in listed:
            return Drop("image.blocked_hash", digest)
    return KEEP


def blocked_phash_rule(rules: ImageRules, phash: int) -> Verdict:
    """Judge what an image looks like by the perceptual hashes of the lists.

    Raises:
        ListError: a list can't be read.
    """
    listed = _listed_phashes(rules)
    if listed.size:
        distances = np.bitwise_count(listed ^ np.uint64(phash))
        nearest = int(distances.argmin())
        if distances[nearest] <= rules.blocked_phash_distance:
            match = f"{int(listed[nearest]):016x}"
            return Drop(
                "image.blocked_hash", int(distances[nearest]), rules.blocked_phash_distance, match
            )
    return KEEP


@lru_cache(maxsize=2)
def _listed(rules: ImageRules) -> frozenset[str]:
    return frozenset().union(
        *(words_of_file(path, "filters.image.blocked_hashes") for path in rules.blocked_hashes)
    )


@lru_cache(maxsize=2)
def _listed_phashes(rules: ImageRules) -> npt.NDArray[np.uint64]:
    hashes = [int(entry, 16) for entry in _listed(rules) if _PHASH.fullmatch(entry)]
    return np.array(sorted(hashes), np.uint64)


def spread_rule(documents: int, rules: ImageRules) -> Verdict:
    """Judge an image by how many documents show it (OBELICS: more than 10 is a logo or an ad)."""
    if rules.max_documents is not None and documents > rules.max_documents:
        return Drop("image.max_documents", documents, rules.max_documents)
    return KEEP
