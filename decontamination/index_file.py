"""Files of benchmark indexes: written, read, and several as one."""

from __future__ import annotations

import io
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np

from curate.decontamination.index import BenchmarkIndex, HashTable
from curate.dedup.words import NORMALIZATION
from curate.schemas.errors import UsageError

INDEX_SUFFIX = ".index"
_VERSION = 2


class IndexFileError(UsageError):
    """An index file can't be used; the message says why."""


def _tables(prefix: str, tables: Mapping[int, HashTable]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for length, table in tables.items():
        arrays[f"{prefix}-{length}"] = table.hashes
        arrays[f"{prefix}-{length}-values"] = table.values
    return arrays


def save_index(index: BenchmarkIndex) -> bytes:
    """The index as a file: the same bytes for the same items."""
    about = {
        "version": _VERSION,
        "normalization": NORMALIZATION,
        "benchmarks": index.benchmarks,
        "ids": index.ids,
        "max_words": index.max_words,
        "min_words": index.min_words,
        "ngrams": sorted(index.ngrams),
        "anchors": sorted(index.anchors),
        "too_short": index.too_short,
    }
    arrays: dict[str, Any] = {
        "about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8),
        "benchmark_of": index.benchmark_of.astype(np.uint16),
        "word_counts": index.word_counts.astype(np.uint32),
        "lengths": index.lengths,
        "letter_counts": index.letter_counts.astype(np.uint32),
        "letter_hashes": index.letter_hashes,
        "words": index.words,
        "seeds": index.seeds.hashes,
        "seed_values": index.seeds.values,
        "seed_items": index.seed_items.astype(np.uint32),
        "seed_offsets": index.seed_offsets.astype(np.uint32),
        **_tables("ngrams", index.ngrams),
        **_tables("anchors", index.anchors),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def load_index(data: bytes, label: str) -> BenchmarkIndex:
    """The inverse of `save_index`.

    Raises:
        IndexFileError: it is no index, or of another version.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            arrays = dict(held)
        about = json.loads(arrays["about"].tobytes())
    except (ValueError, OSError, EOFError, KeyError, TypeError, BadZipFile, zlib.error) as error:
        raise IndexFileError(f"{label}: is no benchmark index: {error}") from error
    for name, wanted in (("version", _VERSION), ("normalization", NORMALIZATION)):
        if about.get(name) != wanted:
            raise IndexFileError(
                f"{label}: its {name} is {about.get(name)}, this version needs {wanted}. Build it "
                "anew with `curate benchmark-index build`."
            )

    def table(name: str) -> HashTable:
        return HashTable(arrays[name], arrays[f"{name}-values"])

    return BenchmarkIndex(
        benchmarks=about["benchmarks"],
        ids=about["ids"],
        benchmark_of=arrays["benchmark_of"].astype(np.int64),
        word_counts=arrays["word_counts"].astype(np.int64),
        lengths=arrays["lengths"],
        letter_counts=arrays["letter_counts"].astype(np.int64),
        letter_hashes=arrays["letter_hashes"],
        words=arrays["words"],
        max_words=about["max_words"],
        min_words=about["min_words"],
        ngrams={n: table(f"ngrams-{n}") for n in about["ngrams"]},
        seeds=HashTable(arrays["seeds"], arrays["seed_values"]),
        seed_items=arrays["seed_items"].astype(np.int64),
        seed_offsets=arrays["seed_offsets"].astype(np.int64),
        anchors={n: table(f"anchors-{n}") for n in about["anchors"]},
        too_short=about["too_short"],
    )


def join_indexes(indexes: list[BenchmarkIndex]) -> BenchmarkIndex:
    """One index of the items of several, in their order.

    Raises:
        IndexFileError: they were built for n-grams of different lengths.
    """
    if len({(i.min_words, i.max_words) for i in indexes}) > 1:
        raise IndexFileError("the indexes were built with different --min-words or --max-words")
    benchmarks = sorted({b for i in indexes for b in i.benchmarks})
    firsts = np.cumsum([0, *(len(i.ids) for i in indexes)])[:-1].tolist()
    seed_items = np.concatenate(
        [i.seed_items[i.seeds.values] + first for i, first in zip(indexes, firsts, strict=True)]
    )
    seed_offsets = np.concatenate([i.seed_offsets[i.seeds.values] for i in indexes])
    seed_hashes = np.concatenate([i.seeds.hashes for i in indexes])

    def joined(tables: list[dict[int, HashTable]], distinct: bool) -> dict[int, HashTable]:
        made = {}
        for length in sorted({n for t in tables for n in t}):
            held = [
                (t[length], first) for t, first in zip(tables, firsts, strict=True) if length in t
            ]
            hashes = np.concatenate([t.hashes for t, _ in held])
            values = np.concatenate([t.values + first for t, first in held])
            if distinct:
                hashes, first_of = np.unique(hashes, return_index=True)
                values = values[first_of]
            made[length] = HashTable(hashes, values)
        return made

    return BenchmarkIndex(
        benchmarks=benchmarks,
        ids=[item_id for i in indexes for item_id in i.ids],
        benchmark_of=np.concatenate(
            [
                np.array([benchmarks.index(b) for b in i.benchmarks], np.int64)[i.benchmark_of]
                for i in indexes
            ]
        ),
        word_counts=np.concatenate([i.word_counts for i in indexes]),
        lengths=np.concatenate([i.lengths for i in indexes]),
        letter_counts=np.concatenate([i.letter_counts for i in indexes]),
        letter_hashes=np.concatenate([i.letter_hashes for i in indexes]),
        words=np.concatenate([i.words for i in indexes]),
        max_words=indexes[0].max_words,
        min_words=indexes[0].min_words,
        ngrams=joined([i.ngrams for i in indexes], distinct=True),
        seeds=HashTable(seed_hashes, np.arange(seed_hashes.size)),
        seed_items=seed_items,
        seed_offsets=seed_offsets,
        anchors=joined([i.anchors for i in indexes], distinct=False),
        too_short=dict(sorted(sum((Counter(i.too_short) for i in indexes), Counter()).items())),
    )
