"""Shards that were finished and are not any more what they were: found, and opened to be made anew.

What they are made of is kept in the run directory, so that they come out with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curate.runs.part import done_parts, file_sha256, marker_path, read_markers
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import SHARDS as STAGE
from curate.runs.stage_names import success_path
from curate.schemas.manifest import MANIFEST_PATH, Manifest
from curate.tokenization.shard_batches import CorruptShardError

Marker = dict[str, Any]


def finished_shards(run: RunDirectory) -> dict[str, Marker]:
    """What is known of each finished shard, by the name of its part."""
    return read_markers(run, STAGE, sorted(done_parts(run, STAGE)))


def find_damaged(
    run: RunDirectory, finished: dict[str, Marker], threads: int
) -> Iterator[str | None]:
    """Name of each shard that is not as it was written, None for the others.

    On this machine every byte is read. An object store keeps its objects whole, so there it is
    only seen whether each has its size.
    """
    with ThreadPoolExecutor(threads) as pool:
        is_whole = pool.map(lambda marker: _is_whole(run, marker), finished.values())
        for name, whole in zip(finished, is_whole, strict=True):
            yield None if whole else name


def reopen_shards(run: RunDirectory, names: list[str]) -> None:
    """Undo some shards. Killed at any moment, it leaves a run in which they are found again."""
    run.remove(success_path(STAGE))
    for name in names:
        run.remove(marker_path(STAGE, name))


def require_same_again(run: RunDirectory) -> None:
    """See that the shards of a run that was finished before are those that its manifest names.

    Raises:
        CorruptShardError: one made anew is not, so what it is made of is damaged, too.
    """
    if not run.exists(MANIFEST_PATH):
        return
    try:
        manifest = Manifest.model_validate_json(run.read_bytes(MANIFEST_PATH))
    except ValidationError:  # It is damaged itself, and about to be written anew.
        return
    written = {f"shards/{file.path}": file.sha256 for file in manifest.shards}
    other = [
        marker["path"]
        for marker in finished_shards(run).values()
        if marker["path"] in written and marker["sha256"] != written[marker["path"]]
    ]
    if other:
        raise CorruptShardError(
            f"{run.root}: made anew, {', '.join(other[:10])} came out other than before, so files "
            "that they are made of are damaged as well. Build into a new --out."
        )


def _is_whole(run: RunDirectory, marker: Marker) -> bool:
    try:
        if run.size(marker["path"]) != marker["bytes"]:
            return False
    except FileNotFoundError:
        return False
    if not run.is_local:
        return True
    return bool(file_sha256(Path(run.path(marker["path"]))) == marker["sha256"])
