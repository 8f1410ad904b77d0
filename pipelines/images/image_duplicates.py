"""Stage `image-duplicates`: which stored images show the same picture, and which a benchmark's.

    fingerprints/part-N ─┐
    benchmark images ────┴─▶ steps of pipelines.similarity ─▶ verdicts/image-duplicates/part-N

An image that shows what a benchmark image shows is dropped. The others are only named: what is
done about the same picture depends on the documents that show it (stage `pictures`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.decontamination.benchmark_images import image_fingerprints
from curate.dedup.nodes import row_of
from curate.dedup.pictures import PictureLikeness
from curate.pipelines.engine.engine import Engine
from curate.pipelines.groups import delivered
from curate.pipelines.images.images import EVERY_SOURCE
from curate.pipelines.similarity.job import SIZES, SignaturePart, Sizes, group_parts, signature_part
from curate.pipelines.similarity.search import find_duplicates, groups_of_parts, make_job
from curate.pipelines.steps import PartTask, run_parts
from curate.runs.buckets import bucket_count, bucket_name
from curate.runs.part import PartWriter, done_parts
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import IMAGE_DUPLICATES as STAGE
from curate.schemas.settings.recipe import Recipe
from curate.schemas.verdict import Drop

BENCHMARK = "image.benchmark"
BENCHMARKS_PATH = f"verdicts/{STAGE}/benchmarks.json"
_FINGERPRINTS_PATH = "references/benchmark-images.parquet"

VERDICT_SCHEMA = pa.schema(
    [
        ("key", pa.binary(16)),
        ("rule", pa.string()),
        ("kept_id", pa.string()),
        ("kept_url", pa.string()),
    ]
)
"""A row per image that shows what another shows. `rule` is null, and `kept_id` the key in
hexadecimal of the image that stands for the picture; or it names the rule that drops the image, and
`kept_id` the benchmark image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    bucket: int
    groups: tuple[int, ...]
    """Those that hold images of the bucket."""


def compares_images(recipe: Recipe) -> bool:
    """Whether the recipe asks for the stage."""
    return recipe.images.duplicates is not None or bool(_benchmarks_of(recipe))


def _benchmarks_of(recipe: Recipe) -> tuple[str, ...]:
    return () if recipe.decontamination is None else recipe.decontamination.images


def compared_parts(run: RunDirectory, plan: RunPlan) -> list[str]:
    if not compares_images(plan.recipe):
        return []
    return [bucket_name(b) for b in range(bucket_count(run, plan))]


def run_image_duplicates(
    engine: Engine, run: RunDirectory, plan: RunPlan, sizes: Sizes = SIZES
) -> None:
    """Make the stage.

    Raises:
        BenchmarkError: benchmark images can't be read.
    """
    names = compared_parts(run, plan)
    if done_parts(run, STAGE).issuperset(names):
        return
    groups = group_parts(_fingerprint_parts(run, plan, names), sizes)
    if groups:
        rules = plan.recipe.images.duplicates
        near = rules is None or rules.near
        steps = ("exact", "clusters") if near else ("exact",)
        find_duplicates(engine, make_job(run, STAGE, steps, PictureLikeness(), groups, sizes))
    of_parts = groups_of_parts(groups)
    tasks = [
        PartTask(name=name, cost=1, payload=_Task(bucket=b, groups=of_parts.get(b, ())))
        for b, name in enumerate(names)
    ]
    run_parts(engine, run, plan, STAGE, tasks, make_verdicts)
    run.remove(f"exchange/{STAGE}")


def _fingerprint_parts(
    run: RunDirectory, plan: RunPlan, names: list[str]
) -> Iterator[SignaturePart]:
    for number, name in enumerate(names):
        yield signature_part(run, f"fingerprints/{name}.parquet", number, True)
    benchmarks = _benchmarks_of(plan.recipe)
    if benchmarks:
        if not run.exists(_FINGERPRINTS_PATH):
            table, unreadable = image_fingerprints(benchmarks)
            counts = {"images": table.num_rows, "unreadable": unreadable}
            run.write_json(counts, BENCHMARKS_PATH)
            with run.publish(_FINGERPRINTS_PATH) as path:
                pq.write_table(table, path, use_dictionary=False)
        yield signature_part(run, _FINGERPRINTS_PATH, len(names), False)


def make_verdicts(plan: RunPlan, part: PartWriter, task: _Task) -> None:
    """Write what the images of one part show, and count those that a benchmark has."""
    name = bucket_name(task.bucket)
    rows = part.rows(f"verdicts/{STAGE}/{name}.parquet", VERDICT_SCHEMA)
    answers = _answers_of(part.run, task)
    with part.run.open(f"fingerprints/{name}.parquet") as stream:
        held = pq.read_table(stream, columns=["id", "url"]).to_pylist()
    for row, image in enumerate(held):
        part.came_in(EVERY_SOURCE, "image")
        answer = answers.get(row)
        is_benchmark = answer is not None and not answer["of_this_run"]
        if answer is not None:
            rows.write(
                {
                    "key": bytes.fromhex(image["id"]),
                    "rule": BENCHMARK if is_benchmark else None,
                    "kept_id": answer["kept_id"],
                    "kept_url": answer["kept_url"],
                }
            )
        if answer is not None and is_benchmark:
            drop = Drop(BENCHMARK, answer["kept_id"], match=answer["kept_id"])
            part.drop(EVERY_SOURCE, "image", image["id"], image["url"], drop)
        else:
            part.went_out(EVERY_SOURCE, "image")


def _answers_of(run: RunDirectory, task: _Task) -> dict[int, dict[str, Any]]:
    """By row of the fingerprints, which image stands for the picture."""
    found: dict[int, dict[str, Any]] = {}
    for batch in delivered(run, f"{STAGE}/answers", task.groups, task.bucket):
        rows = row_of(batch["low"].to_numpy()).tolist()
        found.update(zip(rows, batch.drop_columns(["low", "rule"]).to_pylist(), strict=True))
    return found
