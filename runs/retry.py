"""Open a finished image stage again for those images whose fetch might succeed this time.

What was stored, and what another try would not change, goes back to the spool that the stage is
made of: only the rest is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from curate.media.store import PLACE
from curate.runs.buckets import BUCKETS_PATH, bucket_count, bucket_name
from curate.runs.image_tars import ImageTars
from curate.runs.part import done_parts, marker_path
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.spool import Made, spool_images
from curate.runs.stage_names import IMAGES, STAGE_NAMES, success_path

_AFTER_IMAGES = STAGE_NAMES[STAGE_NAMES.index(IMAGES) + 1 :]


def reopen_images(run: RunDirectory, plan: RunPlan) -> int:
    """How many images will be tried again; with any, the stages from `images` on are undone.

    Killed at any moment it leaves a run that goes on as if it had not been asked, or as if it had.
    """
    if not run.exists(BUCKETS_PATH):
        return 0
    reopened = 0
    names = [bucket_name(b) for b in range(len(plan.parts), bucket_count(run, plan))]
    made = done_parts(run, IMAGES)
    parts = {name: _retryable(run, name) for name in names if name in made}
    parts = {name: indexes for name, indexes in parts.items() if indexes}
    for name, indexes in parts.items():
        spool_images(run, name, _settled(run, name, indexes))
        reopened += len(indexes)
    if reopened:
        for stage in reversed(_AFTER_IMAGES):
            run.remove(f"stages/{stage}")
        for folder in ("shards", "report"):
            run.remove(folder)
        run.remove(success_path(IMAGES))
        for name in parts:
            run.remove(marker_path(IMAGES, name))
    return reopened


def _retryable(run: RunDirectory, name: str) -> set[int]:
    """Rows of a part's index that might succeed another time."""
    with run.open(f"images/{name}.parquet") as stream:
        flags = pq.read_table(stream, columns=["retryable"])["retryable"].to_pylist()
    return {index for index, flag in enumerate(flags) if flag}


def _settled(run: RunDirectory, name: str, without: set[int]) -> Iterator[tuple[int, Made]]:
    """The other rows, with their images."""
    with run.open(f"images/{name}.parquet") as stream:
        rows: list[dict[str, Any]] = pq.read_table(stream).to_pylist()
    with run.open(f"fingerprints/{name}.parquet") as stream:
        signed = pq.read_table(stream, columns=["id", "signature"]).to_pylist()
    thumbnails = {row["id"]: row["signature"] for row in signed}
    with ImageTars(run) as tars:
        for index, row in enumerate(rows):
            if index in without:
                continue
            jpeg = None
            if row["rule"] is None:
                jpeg = tars.read(row["tar"], row["offset"], row["size"])
                row["thumbnail"] = thumbnails[row["key"].hex()]
            for column in PLACE:
                del row[column]
            yield index, (row, jpeg)
