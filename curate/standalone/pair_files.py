"""`curate fetch-pairs`: tables of image-caption pairs to WebDataset shards, by themselves.

The stages are those of `build-shards` up to the verdicts on images, in the run directory
`DIR/run`. Beside it stand shards as img2dataset writes them: `00000.tar` with a `.jpg`, a `.txt`
and a `.json` for each pair, `00000.parquet` with a row for every image that was wanted, had or not,
and `00000_stats.json`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.build import build_shards
from curate.media.store import SampleTarWriter
from curate.pipelines.engine.worker_processes import Process
from curate.pipelines.stages import Watch
from curate.runs.cleaned_documents import purged_documents
from curate.runs.image_tars import ImageTars
from curate.runs.plan import InputPart, plan_parts
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import IMAGE_VERDICTS as STAGE
from curate.runs.stage_names import STAGE_NAMES, success_path
from curate.schemas.document import Document
from curate.schemas.identity import image_key
from curate.schemas.ledger import Tally
from curate.schemas.settings.recipe import Recipe
from curate.sources.pair_tables import TableError, require_columns

SOURCE = "pairs"
ROW_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("url", pa.string()),
        ("caption", pa.string()),
        ("status", pa.string()),
        ("error_message", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("id", pa.string()),
    ]
)
"""Columns as img2dataset names them; `error_message` is the rule that dropped the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    document: Document
    fate: dict[str, Any]


def fetch_pairs(
    recipe: Recipe,
    out: str,
    pairs_per_shard: int,
    workers: int,
    processes: list[Process],
    watch: Callable[[RunDirectory], Watch],
    retry: bool,
) -> dict[str, Any]:
    """Do the stages, write the shards; the report.

    Raises:
        InputError: the tables can't be listed, or no row of them can be read.
        TableError: no table has a column of addresses and one of captions.
        RunError: the directory holds another run.
    """
    _require_columns(recipe)
    run = RunDirectory(f"{out.rstrip('/')}/run")
    build_shards(
        recipe,
        run.root,
        watch=watch(run),
        workers=workers,
        until=STAGE,
        processes=processes,
        retry_images=retry,
    )
    folder = RunDirectory(out)
    shards = 0
    for pairs in _shards_of(_pairs(run, recipe), pairs_per_shard):
        _write_shard(folder, run, f"{shards:05d}", pairs)
        shards += 1
    report = {**_counts(run), "shards": shards}
    folder.write_json(report, "report.json")
    return report


def _require_columns(recipe: Recipe) -> None:
    """Look for one table that has them: a bad one among others costs itself alone."""
    first: TableError | None = None
    for part in plan_parts(recipe):
        try:
            require_columns(part.path, recipe.sources[part.source])
        except TableError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _pairs(run: RunDirectory, recipe: Recipe) -> Iterator[_Pair]:
    for part in plan_parts(recipe):
        fates = _fates(run, part)
        for _, document in purged_documents(run, part.name):
            (image,) = document.images
            yield _Pair(document=document, fate=fates[image_key(image.url)])


def _fates(run: RunDirectory, part: InputPart) -> dict[bytes, dict[str, Any]]:
    with run.open(f"verdicts/images/{part.name}.parquet") as stream:
        return {row["key"]: row for row in pq.read_table(stream).to_pylist()}


def _shards_of(pairs: Iterator[_Pair], size: int) -> Iterator[list[_Pair]]:
    shard: list[_Pair] = []
    for pair in pairs:
        shard.append(pair)
        if len(shard) == size:
            yield shard
            shard = []
    if shard:
        yield shard


def _write_shard(folder: RunDirectory, run: RunDirectory, name: str, pairs: list[_Pair]) -> None:
    rows: list[dict[str, Any]] = []
    statuses: Counter[str] = Counter()
    with (
        folder.publish(f"{name}.tar") as path,
        path.open("wb") as stream,
        ImageTars(run) as images,
    ):
        tar = SampleTarWriter(stream)
        for number, pair in enumerate(pairs):
            row = _row(f"{name}{number:05d}", pair)
            rows.append(row)
            statuses[row["error_message"] or "success"] += 1
            if row["error_message"] is None:
                fate = pair.fate
                jpeg = images.read(fate["tar"], fate["offset"], fate["size"])
                about = json.dumps(row, ensure_ascii=False, sort_keys=True).encode()
                tar.add(
                    row["key"], {"jpg": jpeg, "txt": pair.document.text.encode(), "json": about}
                )
        tar.close()
    with folder.publish(f"{name}.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows, ROW_SCHEMA), path, compression="zstd")
    stats = {
        "count": len(rows),
        "successes": statuses["success"],
        "status_dict": dict(sorted(statuses.items())),
    }
    folder.write_json(stats, f"{name}_stats.json")


def _row(key: str, pair: _Pair) -> dict[str, Any]:
    rule = pair.fate["rule"]
    return {
        "key": key,
        "url": pair.document.images[0].url,
        "caption": pair.document.text,
        "status": "success" if rule is None else "failed",
        "error_message": rule,
        "width": pair.fate["width"],
        "height": pair.fate["height"],
        "id": pair.document.id,
    }


def _counts(run: RunDirectory) -> dict[str, Any]:
    """Pairs and images in and out, and what was dropped by which rule."""
    dropped: Counter[str] = Counter()
    total: Tally = Tally()
    for stage in STAGE_NAMES[: STAGE_NAMES.index(STAGE) + 1]:
        tally = Tally.from_json(run.read_json(success_path(stage))["tally"])
        total.add(tally)
        for (_, kind, rule), count in tally.dropped.items():
            if kind != "node":
                dropped[rule] += count
    images = [(s, k) for s, k in total.came_in if k == "image"]
    return {
        "rows": total.came_in[SOURCE, "record"],
        "images_wanted": sum(total.came_in[key] for key in images),
        "images_stored": sum(total.went_out[key] for key in images),
        "dropped": dict(sorted(dropped.items())),
    }
