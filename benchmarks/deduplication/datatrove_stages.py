"""datatrove's four MinHash stages over a folder of JSON lines. Runs in an environment of its own:

python datatrove_stages.py INPUT OUTPUT

Prints the CPU seconds of each stage.
"""

from __future__ import annotations

import resource
import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig


def main(source: str, out: str) -> None:
    config = MinhashConfig(
        hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5
    )

    def reader() -> JsonlReader:
        return JsonlReader(source, text_key="text", id_key="id")

    stages = [
        ([reader(), MinhashDedupSignature(f"{out}/signatures", config=config)], 1),
        ([MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)], 14),
        ([MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)], 1),
        (
            [
                reader(),
                MinhashDedupFilter(f"{out}/remove"),
                JsonlWriter(f"{out}/kept", compression=None),
            ],
            1,
        ),
    ]
    for number, (pipeline, tasks) in enumerate(stages, 1):
        before = _cpu_seconds()
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=1, logging_dir=f"{out}/logs/{number}"
        ).run()
        print(f"stage {number}: {_cpu_seconds() - before:.1f}", flush=True)


def _cpu_seconds() -> float:
    used = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


main(sys.argv[1], sys.argv[2])
