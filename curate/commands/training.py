"""Commands on finished shards: verify, train, generate."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curate.commands.common import explained, fail
from curate.console import say, say_json, tracked
from curate.schemas.errors import UsageError
from curate.schemas.text.shown import json_text

if TYPE_CHECKING:
    from curate.training.loading.shard_set import ShardSet

# PyTorch, JAX and pydantic's models are imported by the commands that need them.

_PHASES = {"pretraining": "pretraining", "instruction-tuning": "instruction_tuning"}
_KOSMOS1 = {"vocabulary": 64_007, "block": 2_048, "slots": 64}


@click.command()
@click.argument("out")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@explained
def verify(out: str, as_json: bool) -> None:
    """Check the checksum of every shard of the run OUT; exit code 1 if one is not as written."""
    from curate.training.loading.shard_set import ShardSet

    shards = ShardSet(out)
    faults = _verified(shards)
    count = len(shards.manifest.shards)
    if as_json:
        found = [{"path": f"shards/{f.path}", "problem": f.problem} for f in faults]
        say_json({"shards": count, "faults": found})
    else:
        for fault in faults:
            say(f"shards/{fault.path} {fault.problem}", err=True)
        say(f"{count - len(faults)} of {count} shards are as they were written")
    if faults:
        raise SystemExit(1)


def _verified(shards: ShardSet) -> list[Any]:
    """The faults of all shards, with a progress bar on a terminal."""
    checked = tracked(shards.verify(), len(shards.manifest.shards), "checking shards")
    return [fault for fault in checked if fault is not None]


@click.command()
@click.argument("out", required=False)
@click.option(
    "--config",
    "config_name",
    default="tiny",
    show_default=True,
    metavar="tiny|small|kosmos1|FILE",
    help="Model and training settings, by name or as a YAML file.",
)
@click.option("--backend", type=click.Choice(["torch", "jax"]), default="torch", show_default=True)
@click.option(
    "--phase",
    type=click.Choice(list(_PHASES)),
    default="pretraining",
    show_default=True,
    help="Phase of the recipe's mixture.",
)
@click.option(
    "--from",
    "start_from",
    metavar="CHECKPOINT",
    help="Checkpoint, or folder of them, whose weights to begin with: for instruction tuning.",
)
@click.option(
    "--to",
    "to",
    metavar="DIR",
    help="Folder for log and checkpoints.  [default: OUT/training/CONFIG-BACKEND-PHASE]",
)
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(min=0),
    help="Processes per rank that read and decode.",
)
@click.option(
    "--parallel",
    type=click.Choice(["ddp", "fsdp"]),
    default="ddp",
    show_default=True,
    help="With torchrun: replicas, or parameters in parts (FSDP2).",
)
@click.option("--until", type=click.IntRange(min=1), help="Stop after this step.")
@click.option(
    "--cache", metavar="DIR", help="Folder for copies of shards, where OUT is an object store."
)
@click.option(
    "--unverified", is_flag=True, help="Begin without checking the checksums of the shards."
)
@click.option(
    "--describe", is_flag=True, help="Print the parameter counts by part and stop; needs no OUT."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@explained
def train(
    out: str | None,
    config_name: str,
    backend: str,
    phase: str,
    start_from: str | None,
    to: str | None,
    workers: int,
    parallel: str,
    until: int | None,
    cache: str | None,
    unverified: bool,
    describe: bool,
    as_json: bool,
) -> None:
    """Train a model on the shards of the run OUT; run it again to go on from the last checkpoint.

    \b
    curate train OUT --config tiny
    torchrun --nproc-per-node 8 -m curate.cli train OUT --config kosmos1 --parallel fsdp
    curate train OUT --phase instruction-tuning --from OUT/training/kosmos1-torch-pretraining
    curate train --config kosmos1 --describe
    """
    _require(backend)
    from curate.training.config import load_config
    from curate.training.loading.shard_set import ShardSet
    from curate.training.phases import TrainingJob
    from curate.training.training_directory import TrainingDirectory, find_checkpoint

    config = load_config(config_name)
    if describe:
        _describe(out, config, as_json)
        return
    if out is None:
        fail("give OUT, the --out of a `curate build-shards`, or --describe", 2)
    shards = ShardSet(out, cache)
    if to is None and "://" in out:
        fail("give --to DIR: log and checkpoints are written to this machine", 2)
    name = f"{Path(config_name).stem}-{backend}-{phase}"
    if not unverified and os.environ.get("LOCAL_RANK", "0") == "0":
        shards.refuse(_verified(shards))
    job = TrainingJob(
        shards=shards,
        directory=TrainingDirectory(f"{out}/training/{name}" if to is None else to),
        config=config,
        phase_name=_PHASES[phase],  # type: ignore[arg-type]
        start_from=None if start_from is None else find_checkpoint(start_from),
        workers=workers,
        strategy=parallel,  # type: ignore[arg-type]
        until=until,
    )

    def tell(numbers: dict[str, Any]) -> None:
        say(json_text(numbers) if as_json else _line(numbers))

    if backend == "torch":
        from curate.training.torch_backend.train import train as run
    else:
        from curate.training.jax_backend.train import train as run
    run(job, tell)
    if os.environ.get("RANK", "0") == "0" and not as_json:
        say(f"checkpoints and log: {job.directory.path}")


def _require(backend: str) -> None:
    """See that the backend's packages are there.

    Raises:
        UsageError: one is missing.
    """
    extra, packages = {
        "torch": ("train", ("torch", "open_clip", "tensorboard")),
        "jax": ("jax", ("jax", "flax", "optax", "tensorboard")),
    }[backend]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"--backend {backend} needs {', '.join(missing)}. "
            f"Install the extra `{extra}` of curate-pretraining."
        )


def _describe(out: str | None, config: Any, as_json: bool) -> None:
    from curate.training.loading.shard_set import ShardSet
    from curate.training.torch_backend.model import make_model, parameter_counts

    shape = dict(_KOSMOS1)
    if out is not None:
        manifest = ShardSet(out).manifest
        shape = {
            "vocabulary": manifest.vocabulary,
            "block": manifest.block,
            "slots": manifest.image_slots,
        }
    counts = parameter_counts(make_model(config.model, **shape, device="meta"))
    if as_json:
        say_json({**shape, "parameters": counts})
        return
    say(f"{shape['vocabulary']:,} ids, {shape['slots']} slots an image")
    for part, count in counts.items():
        say(f"{part:<26}{count:>16,}")


def _line(numbers: dict[str, Any]) -> str:
    head = f"step {numbers['step']:>{len(str(numbers['steps']))}}/{numbers['steps']}"
    if "loss" not in numbers:
        held = (f"{name} {v:.4f}" for name, v in numbers.items() if name.startswith("held_out/"))
        return f"{head}  {'  '.join(held) or 'no rows are held out'}"
    told = (
        f"loss {numbers['loss']:.4f}",
        f"rate {numbers['rate']:.2e}",
        f"norm {numbers['gradient_norm']:.2f}",
        f"{numbers['tokens_per_second']:,.0f} tokens/s",
        f"waiting {numbers['waiting']:.0%}",
        f"MFU {numbers['mfu']:.1%}" if "mfu" in numbers else "",
        f"{numbers['memory_gib']} GiB" if "memory_gib" in numbers else "",
    )
    return "  ".join((head, *filter(None, told)))


@click.command()
@click.argument("checkpoint")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Image to describe. Repeatable.",
)
@click.option("--prompt", default="", help="Text to continue, after the image if there is one.")
@click.option(
    "--temperature",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="0 takes the likeliest token each time.",
)
@click.option(
    "--top-p",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Draw from the likeliest tokens that have this probability together.",
)
@click.option(
    "--max-tokens", default=64, show_default=True, type=click.IntRange(min=1), help="Most tokens."
)
@click.option("--seed", default=0, show_default=True, help="Of the draws.")
@click.option(
    "--shards", metavar="OUT", help="Run with the tokenizer, if it is not where it was trained on."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@explained
def generate(
    checkpoint: str,
    images: tuple[Path, ...],
    prompt: str,
    temperature: float,
    top_p: float,
    max_tokens: int,
    seed: int,
    shards: str | None,
    as_json: bool,
) -> None:
    """Write captions of images, or continue a prompt, with the model of CHECKPOINT.

    CHECKPOINT is a step-... folder of a `curate train`, or the folder that holds them.

    \b
    curate generate OUT/training/tiny-torch-pretraining --image photo.jpg
    curate generate CHECKPOINT --image photo.jpg --prompt "An image of"
    """
    _require("torch")
    from curate.training.loading.batches import PictureError
    from curate.training.loading.shard_set import ShardSet
    from curate.training.torch_backend.generate import Sampling, load_generator
    from curate.training.training_directory import find_checkpoint, read_facts

    folder = find_checkpoint(checkpoint)
    vocabulary = ShardSet(read_facts(folder).shards if shards is None else shards).vocabulary
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed, max_tokens=max_tokens)
    generator = load_generator(folder, vocabulary)
    for path in images or (None,):
        try:
            text = generator.generate(path.read_bytes() if path else None, prompt, sampling)
        except PictureError as error:
            fail(f"{path} {error}. Give a whole image file.", 2)
        if as_json:
            say_json({"image": path and str(path), "prompt": prompt, "text": text})
        else:
            say(f"{path}\t{text}" if path else text)
