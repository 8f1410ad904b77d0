"""`shards/manifest.json` and the tokenizer beside it: with them `shards/` is all training needs."""

from __future__ import annotations

from curate.runs.part import read_markers
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import SHARDS as STAGE
from curate.runs.vocabulary import run_vocabulary
from curate.schemas.manifest import MANIFEST_PATH, TOKENIZER_PATH, Manifest, ShardFile, ShardSource


def write_manifest(
    run: RunDirectory, plan: RunPlan, shards: list[str], unfilled_steps: tuple[str, ...]
) -> None:
    """Describe the run's finished shards.

    Args:
        shards: names of the parts of stage `shards`.
        unfilled_steps: what the recipe leaves undone of the system that it follows.
    """
    recipe = plan.recipe
    vocabulary = run_vocabulary(run)
    markers = list(read_markers(run, STAGE, sorted(shards)).values())
    files = tuple(
        ShardFile(
            **{
                **{name: marker[name] for name in ShardFile.model_fields},
                "path": marker["path"].removeprefix("shards/"),
            }
        )
        for marker in markers
    )
    manifest = Manifest(
        recipe=recipe.name,
        recipe_fingerprint=plan.fingerprint,
        tokenizer_sha256=vocabulary.sha256,
        vocabulary=vocabulary.size,
        block=recipe.tokenization.block,
        image_slots=recipe.tokenization.image_slots,
        image_size=recipe.images.size,
        packed=recipe.tokenization.pack,
        seed=recipe.seed,
        sources={
            name: ShardSource(format=source.format, weight=source.weight)
            for name, source in sorted(recipe.sources.items())
            if any(file.source == name and file.rows for file in files)
        },
        mixture=recipe.mixture,
        unfilled_steps=unfilled_steps,
        shards=files,
    )
    run.write_bytes(vocabulary.model, TOKENIZER_PATH)
    run.write_bytes(manifest.model_dump_json(indent=1).encode() + b"\n", MANIFEST_PATH)
