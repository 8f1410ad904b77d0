"""Parts of the image stages: one per input part, then those for images by HTTP."""

from __future__ import annotations

from curate.runs.part import read_markers
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DECONTAMINATION

_IMAGES_PER_BUCKET, _IMAGES_PER_SMALL_BUCKET = 2_000, 250
_SHARED_BUCKETS = 16
BUCKETS_PATH = "references/buckets.json"


def bucket_count(run: RunDirectory, plan: RunPlan) -> int:
    """Parts of the image stages: one per input part, then those for images by HTTP.

    Of these there is one for some thousand images that documents want, one per input at least, and
    in a small run enough to share among workers.
    """
    if not run.exists(BUCKETS_PATH):
        facts = read_markers(run, DECONTAMINATION, [p.name for p in plan.parts])
        wanted = sum(fact["images_wanted"] for fact in facts.values())
        shared = min(_SHARED_BUCKETS, -(-wanted // _IMAGES_PER_SMALL_BUCKET))
        by_http = max(len(plan.parts), -(-wanted // _IMAGES_PER_BUCKET), shared)
        run.write_json({"buckets": len(plan.parts) + by_http}, BUCKETS_PATH)
    return int(run.read_json(BUCKETS_PATH)["buckets"])


def bucket_name(bucket: int) -> str:
    return f"part-{bucket:05d}"
