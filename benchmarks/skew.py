"""Hot keys of a corpus of a billion documents, at a sampled rate, through the steps that meet them.

    python -m benchmarks.skew [--documents 1e9] [--images 3e9]

A corpus this size is not made; some of its keys are. Sizes of clusters and hosts follow power laws
with a heavy head (a page template on 1 % of all documents, a host with 5 % of all images). Of some
46,000 partitions of band keys two are made, each with every row that it would have: one like most
others and the one with the hottest key. On these the real steps run.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.dedup.likeness import TextLikeness
from curate.dedup.minhash import MinHasher
from curate.dedup.nodes import Columns
from curate.pipelines.exchange import Task
from curate.pipelines.similarity.candidates import find_candidates
from curate.pipelines.similarity.job import SIZES, Job, SignaturePart
from curate.runs.run_directory import RunDirectory

_BANDS = 14
_SHARES_BAND = 0.8
"""Chance that a document of a cluster has the cluster's key in a band."""
_EXPONENT = 2.2
"""Clusters of size k are k ** -2.2 times as many as those of one."""


@dataclass(frozen=True)
class Partition:
    """The rows of one partition of band keys: how many rows share each key."""

    sizes: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        return int(self.sizes.sum())


def partition(documents: int, random: np.random.Generator, hot: bool) -> Partition:
    """Keys that fall into a partition of about `SIZES.partition_rows` rows."""
    share = SIZES.partition_rows / (documents * _BANDS)
    largest = documents // 100
    sizes = np.unique(np.geomspace(1, largest, 400).astype(np.int64))
    weights = sizes.astype(float) ** -_EXPONENT * np.gradient(sizes.astype(float))
    clusters = weights * (documents / (weights * sizes).sum())
    keys = random.poisson(clusters * _BANDS * share)
    held = random.binomial(np.repeat(sizes, keys), _SHARES_BAND)
    alone = random.poisson((1 - _SHARES_BAND) * documents * _BANDS * share)
    own = [np.full(alone, 1), held[held > 0]]
    if hot:
        own.append(np.array([int(largest * _SHARES_BAND)]))
    return Partition(np.concatenate(own))


def run_candidates(
    part: Partition, documents: int, random: np.random.Generator
) -> dict[str, float]:
    """Send the rows of a partition, and let the real step look for candidates in it."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        groups = tuple(
            (
                SignaturePart(
                    number=number,
                    run=run,
                    path="",
                    of_this_run=True,
                    documents=SIZES.group_documents,
                ),
            )
            for number in range(min(documents // SIZES.group_documents, 1 << 14))
        )
        job = Job(
            run=run,
            stage="skew",
            steps=("clusters",),
            likeness=TextLikeness(MinHasher(bands=_BANDS, rows=8, shingle_words=5), None),
            groups=groups,
            partitions={"bands": 1, "documents": 1, "edges": 1},
        )
        with job.by_partition("send-bands", "bands").outbox("0") as outbox:
            for rows in _rows(part, len(groups), random):
                outbox.send(rows, np.zeros(len(rows["key"]), np.int64))
        job.by_partition("send-bands", "bands").seal()
        started = time.monotonic()
        find_candidates(job, Task(name="0", cost=1, payload=0))
        (facts,) = job.by_group("bands").facts()
        return int(facts["rows"]), time.monotonic() - started


def _rows(part: Partition, groups: int, random: np.random.Generator) -> list[Columns]:
    keys = random.integers(0, 1 << 63, len(part.sizes), dtype=np.uint64).repeat(part.sizes)
    order = random.permutation(len(keys))
    rows = []
    for chunk in np.array_split(order, -(-len(order) // (1 << 16))):
        places = random.integers(0, groups, len(chunk), dtype=np.uint64) << np.uint64(24)
        within = random.integers(0, SIZES.group_documents, len(chunk), dtype=np.uint64)
        high = random.integers(1 << 62, 1 << 63, len(chunk), dtype=np.uint64)
        high |= np.uint64(1 << 63)
        rows.append({"key": keys[chunk], "high": high, "low": places | within})
    return rows


def host_loads(images: int, random: np.random.Generator) -> tuple[int, int, int]:
    """Images of the largest host, and of the fullest bucket without and with spreading.

    As `curate.pipelines.images.image_plan.bucket_of` places them: 10,000 of a host in a bucket.
    """
    buckets = images // 2_000
    hosts = 3_000_000
    weights = np.arange(1, hosts + 1, dtype=float) ** -1.05
    counts = np.maximum(1, (weights / weights.sum() * images * 0.95)).astype(np.int64)
    counts[0] = images // 20
    places = random.integers(0, buckets, hosts)
    whole = np.bincount(places, weights=counts, minlength=buckets)
    spread = np.zeros(buckets)
    for host in np.flatnonzero(counts > 10_000):
        slices = -(-int(counts[host]) // 10_000)
        index = (places[host] + np.arange(slices)) % buckets
        np.add.at(spread, index, counts[host] / slices)
    small = counts <= 10_000
    spread += np.bincount(places[small], weights=counts[small], minlength=buckets)
    return int(counts[0]), int(whole.max()), int(spread.max())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skew")
    parser.add_argument("--documents", type=float, default=1e9)
    parser.add_argument("--images", type=float, default=3e9)
    given = parser.parse_args()
    documents = int(given.documents)
    random = np.random.default_rng(0)
    for name, hot in (("a usual partition", False), ("with the hottest band", True)):
        part = partition(documents, random, hot)
        pairs, seconds = run_candidates(part, documents, random)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name:<22} {part.rows:>10,} rows, {int(part.sizes.max()):>10,} of one key, "
            f"{pairs:>10,} pairs, {seconds:5.1f} s, largest process so far {peak:,.0f} MB",
            flush=True,
        )
    largest, whole, spread = host_loads(int(given.images), random)
    print(f"largest host {largest:,} images; fullest bucket {whole:,}, spread {spread:,}")


if __name__ == "__main__":
    main()
