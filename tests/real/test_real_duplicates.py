"""Near-duplicates made of real pages by real edits, where the pages lie beside the checkout."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from curate.dedup.likeness import TextLikeness
from curate.dedup.minhash import MinHasher
from curate.extraction import extract
from curate.filters.web.record import classify_record
from curate.schemas.document import Document
from curate.schemas.page import DamagedRegion
from curate.schemas.settings.purging import DEDUP_PRESETS
from curate.sources.archives.archive import read_archive
from tests.conftest import SHARED_DATA, needs_shared_data

pytestmark = needs_shared_data

PAGES, COPIES = 500, 4
MIN_WORDS, MAX_WORDS = 150, 1_500


def real_texts() -> Iterator[str]:
    for path in sorted((SHARED_DATA / "warc").glob("*.warc.gz")):
        for record in read_archive(str(path), 64 << 20):
            if isinstance(record, DamagedRegion) or classify_record(record) != "page":
                continue
            page = extract(record.payload, record.url, charset=record.charset)
            if isinstance(page, Document) and MIN_WORDS <= len(page.text.split()) <= MAX_WORDS:
                yield page.text


def edited(text: str, choose: random.Random) -> str:
    """Another header and footer, up to a tenth of the words changed, some sentences moved."""
    words = text.split(" ")
    for _ in range(int(len(words) * choose.uniform(0.0, 0.06))):
        words[choose.randrange(len(words))] = f"word{choose.randrange(10_000)}"
    lines = " ".join(words).split("\n")
    if choose.random() < 0.5 and len(lines) > 3:
        one, other = choose.sample(range(len(lines)), 2)
        lines[one], lines[other] = lines[other], lines[one]
    site = choose.randrange(1_000)
    header = f"Portal number {site} for readers of every kind and of every age"
    return "\n".join([header, *lines, f"All rights reserved by owner {site} of this portal"])


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    texts = list(dict.fromkeys(real_texts()))[:PAGES]
    assert len(texts) == PAGES
    choose = random.Random(3)
    return [(text, edited(text, choose)) for text in texts for _ in range(COPIES)]


@pytest.mark.parametrize("preset", sorted(DEDUP_PRESETS))
def test_recall_follows_the_theory(preset: str, pairs: list[tuple[str, str]]) -> None:
    settings = DEDUP_PRESETS[preset]
    hasher = MinHasher(settings["bands"], settings["rows"], settings["shingle_words"])
    likeness = TextLikeness(hasher, 0.65)
    truth, shares, alike = [], [], []
    for one, other in pairs:
        shingles = [hasher.shingles(text) for text in (one, other)]
        sets = [set(s.tolist()) for s in shingles]
        truth.append(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
        signatures = [hasher.signature(s).view(np.uint8)[None] for s in shingles]
        shares.append(bool((likeness.keys(signatures[0]) == likeness.keys(signatures[1])).any()))
        alike.append(bool(likeness.alike(*signatures)[0]))
    similarity, shared = np.array(truth), np.array(shares)
    expected = 1 - (1 - similarity ** settings["rows"]) ** settings["bands"]
    for low, high in ((0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)):
        here = (similarity >= low) & (similarity < high)
        assert here.sum() >= 50, (low, high)
        chances = expected[here]
        error = 4 * np.sqrt((chances * (1 - chances)).sum()) / here.sum() + 0.01
        assert abs(shared[here].mean() - chances.mean()) <= error, (low, high)
    merged = shared & np.array(alike)
    assert similarity[merged].min() >= 0.5


def test_other_pages_are_not_merged(pairs: list[tuple[str, str]]) -> None:
    hasher = MinHasher(14, 8, 5)
    likeness = TextLikeness(hasher, 0.65)
    texts = [one for one, _ in pairs[::COPIES]]
    shingles = [hasher.shingles(text) for text in texts]
    matrix = np.stack([hasher.signature(s) for s in shingles]).view(np.uint8)
    sets = [set(s.tolist()) for s in shingles]
    keys = likeness.keys(matrix)
    one, other = np.triu_indices(len(texts), 1)
    close = np.flatnonzero((keys[one] == keys[other]).any(axis=1))
    merged = close[likeness.alike(matrix[one[close]], matrix[other[close]])]
    for pair in merged.tolist():
        a, b = sets[one[pair]], sets[other[pair]]
        assert len(a & b) / len(a | b) >= 0.5
