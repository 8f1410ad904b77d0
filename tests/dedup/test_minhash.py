"""Signatures are datasketch's, and estimate what they should."""

from __future__ import annotations

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from curate.dedup.minhash import MinHasher, similarity
from curate.schemas.settings.purging import DEDUP_PRESETS
from tests.texts import prose, with_words_replaced

FINEWEB = MinHasher(14, 8, 5)


@pytest.mark.parametrize("preset", sorted(DEDUP_PRESETS))
@given(text=st.text(min_size=1, max_size=400) | st.just(prose("a", 700)))
def test_signatures_are_those_of_datasketch(preset: str, text: str) -> None:
    hasher = MinHasher(**DEDUP_PRESETS[preset])
    shingles = hasher.shingles(text)
    reference = MinHash(num_perm=hasher.size, hashfunc=int)
    reference.update_batch(shingles.tolist())
    assert np.array_equal(hasher.signature(shingles), reference.hashvalues)


@pytest.mark.parametrize(
    ("text", "shingles"),
    [("one two three", 1), ("one two three four five", 1), ("a b c d e f", 2), ("...", 0)],
)
def test_a_short_text_is_one_shingle(text: str, shingles: int) -> None:
    assert FINEWEB.shingles(text).size == shingles


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    a, b = set(one.tolist()), set(other.tolist())
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("preset", sorted(DEDUP_PRESETS))
def test_recall_follows_the_theory(preset: str) -> None:
    """Shared bands of 600 pairs of known Jaccard, against 1 - (1 - J^rows)^bands."""
    hasher = MinHasher(**DEDUP_PRESETS[preset])
    expected, found, errors = [], [], []
    for number in range(600):
        text = prose(str(number), 400)
        edited = with_words_replaced(text, 0.005 + 0.0001 * number, str(number))
        shingles = hasher.shingles(text), hasher.shingles(edited)
        signatures = np.stack([hasher.signature(s) for s in shingles])
        keys = hasher.band_keys(signatures)
        known = jaccard(*shingles)
        expected.append(1 - (1 - known**hasher.rows) ** hasher.bands)
        found.append(bool((keys[0] == keys[1]).any()))
        errors.append(float(similarity(signatures[:1], signatures[1:])[0]) - known)
    spread = np.sqrt(sum(p * (1 - p) for p in expected))
    assert abs(sum(found) - sum(expected)) < 3.5 * spread
    assert 100 < sum(expected) < 500
    assert abs(np.mean(errors)) < 0.005


def test_bands_are_told_apart_by_their_place() -> None:
    same = np.zeros((1, 112), np.uint32)
    assert len(set(FINEWEB.band_keys(same)[0].tolist())) == 14
