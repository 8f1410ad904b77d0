"""Which run a directory holds: of which recipe and which inputs, and by which version.

A run goes on only with all of them as they were; what differs is named.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import fsspec

from curate.decontamination.benchmark_images import benchmark_image_files
from curate.pipelines.text.decontamination import benchmark_files, registry_of
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.schemas.errors import CurateError
from curate.schemas.packed import SCHEMA_VERSION
from curate.schemas.settings.recipe_file import filter_files
from curate.schemas.text.secrets import masked
from curate.sources.input_identity import sample_of


class RunError(CurateError):
    """The run can't go on as asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class InputHash:
    """One thing that a run reads: what it is, with the recipe's key, and its SHA-256."""

    what: str
    sha256: str


def input_hashes(plan: RunPlan, without_clip: bool) -> list[InputHash]:
    """What is read, each with its SHA-256.

    Names and sizes of the inputs; names, sizes and samples of earlier runs' signatures; benchmarks,
    the files that filters name and the tokenizer model with their bytes. A run that goes on without
    its CLIP model is another than the one that has it.
    """
    found = [_hash_of_data("the names and sizes of the sources' files",
                           [[p.source, p.file_name, p.size] for p in plan.parts])]  # fmt: skip
    dedup, decontamination = plan.recipe.dedup, plan.recipe.decontamination
    for root in dedup.against if dedup is not None else ():
        earlier = RunDirectory(root)
        samples = [
            [path, size, sample_of(earlier.address(path), size)]
            for path in earlier.files("signatures", suffix=".parquet")
            for size in [earlier.size(path)]
        ]
        found.append(_hash_of_data(f"dedup.against: {root}", samples))
    files: list[tuple[str, str]] = []
    if decontamination is not None:
        files += [("decontamination.benchmarks", p) for p in benchmark_files(decontamination)]
        images = benchmark_image_files(decontamination.images)
        files += [("decontamination.images", path) for path in images]
        registry = registry_of(decontamination.registry)
        found.append(_hash_of_data("decontamination.registry", str(registry)))
    files += [
        (key, path)
        for key, path in filter_files(plan.recipe.filters)
        if not (without_clip and key.startswith("filters.clip."))
    ]
    if plan.recipe.tokenization.model is not None:
        files.append(("tokenization.model", plan.recipe.tokenization.model))
    return found + [_hash_of_file(key, path) for key, path in files]


def _hash_of_data(what: str, data: object) -> InputHash:
    return InputHash(what, hashlib.sha256(json.dumps(data).encode()).hexdigest())


def _hash_of_file(key: str, path: str) -> InputHash:
    try:
        with fsspec.open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        hint = (
            " Give a path to a SentencePiece .model file, or null to train one."
            if key == "tokenization.model"
            else ""
        )
        raise RunError(f"{key}: {path} can't be read: {error}.{hint}") from error
    return InputHash(f"{key}: {path}", digest)


def refuse_other_run(run: RunDirectory, recipe: str, inputs: list[InputHash]) -> None:
    """See that what a run directory holds is this run, as far as it has come.

    Raises:
        RunError: it is another's; the message says what differs.
    """
    if not run.exists("run.json"):
        return
    held = run.read_json("run.json")
    schema = held.get("shard_schema", "before 3")
    if schema != SCHEMA_VERSION:
        raise _another(
            run, f"version of curate (its shards have schema {schema}, now {SCHEMA_VERSION})"
        )
    begun = held["recipe_fingerprint"]
    if begun != recipe:
        raise _another(run, f"recipe ({begun[:12]}, now {recipe[:12]})")
    # Files may lie elsewhere than they did; what they hold is compared in order.
    before = [entry["sha256"] for entry in held["inputs"]]
    if before != [entry.sha256 for entry in inputs]:
        changed = [entry.what for entry in inputs if entry.sha256 not in before]
        told = "; ".join(changed[:5]) or "files are named in another order, or fewer"
        raise _another(run, f"input: changed since it began: {told}")


def _another(run: RunDirectory, what: str) -> RunError:
    return RunError(
        f"{run.root} holds a run of another {masked(what)}. Runs are never mixed: "
        "give a new --out, or delete the directory."
    )


def fingerprint_of(inputs: list[InputHash]) -> str:
    return hashlib.sha256(json.dumps([entry.sha256 for entry in inputs]).encode()).hexdigest()
