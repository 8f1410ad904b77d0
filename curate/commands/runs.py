"""Commands on runs: build-shards, stats, why, inspect, extract, demo."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curate.commands.common import (
    explained,
    fail,
    find_recipe,
    open_run,
    tell_empty_slots,
    tell_unfilled_steps,
    workers_option,
)
from curate.console import say, say_json
from curate.pipelines.engine.worker_processes import (
    PORTABLE_RUNNERS,
    local_processes,
    worker_processes,
)
from curate.schemas.settings.recipe import Recipe
from curate.schemas.text.shown import visible_line

if TYPE_CHECKING:
    from curate.runs.run_directory import RunDirectory


@click.command("build-shards")
@click.argument("recipe")
@click.argument("beam_options", nargs=-1, type=click.UNPROCESSED, metavar="[-- BEAM OPTIONS]")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="GLOB",
    help="WARC or ARC files, not the recipe's: path, glob, http(s)://, s3://, gs://. Repeatable.",
)
@click.option("--out", required=True, metavar="DIR", help="Run directory: local, s3:// or gs://.")
@click.option(
    "--runner",
    default="direct",
    show_default=True,
    type=click.Choice(["direct", *PORTABLE_RUNNERS, "dataflow"]),
    help="Where to run: on this machine, or on an engine. docs/engines.md has a command for each.",
)
@workers_option
@click.option(
    "--accelerator",
    metavar="HINT",
    help="GPU for the steps that run a model, on Dataflow: "
    "'type:nvidia-tesla-t4;count:1;install-nvidia-driver'.",
)
@click.option(
    "--until",
    metavar="STAGE",
    help="Stop after this stage.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Take images from the input archives alone, never from the network.",
)
@click.option(
    "--retry-images",
    is_flag=True,
    help="Of a finished run fetch again the images that failed and might come this time (time-out, "
    "429, 5xx); nothing that was stored is fetched twice.",
)
@click.option(
    "--dry-run",
    "is_dry",
    is_flag=True,
    help="Build and check the job graphs, print their steps and sizes, and submit nothing.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the statistics as JSON instead of tables."
)
@explained
def build_shards(
    recipe: str,
    beam_options: tuple[str, ...],
    inputs: tuple[str, ...],
    out: str,
    runner: str,
    workers: int,
    accelerator: str | None,
    until: str | None,
    offline: bool,
    retry_images: bool,
    is_dry: bool,
    as_json: bool,
) -> None:
    """Turn web archives into training shards, following RECIPE (a name or a .yaml file).

    Run the same command again after an interruption, at any moment: finished parts are kept, the
    rest is made, and the shards come out byte for byte as if nothing had happened.

    \b
    Stages: documents, signatures, duplicates, repeats, decontamination, image-plan, images,
    image-duplicates, image-verdicts, image-scores, pictures, selection, tokenizer, shards.

    What follows `--` goes to Beam as pipeline options, for example
    `--runner flink -- --flink_master=localhost:8081`.
    """

    chosen = find_recipe(recipe)
    if is_dry:
        from curate.build import with_inputs, without_empty_slots
        from curate.dry_run import dry_run
        from curate.reports.tables import print_graphs

        chosen, _ = without_empty_slots(with_inputs(chosen, inputs))
        graphs, later = dry_run(
            chosen,
            out,
            runner=runner,
            workers=workers,
            beam_options=beam_options,
            accelerator=accelerator,
        )
        if as_json:
            told = {"graphs": [asdict(graph) for graph in graphs], "later": later}
            say_json(told, indent=1)
        else:
            print_graphs(graphs, later)
        return
    with worker_processes(local_processes(runner, workers, beam_options)) as processes:
        from curate.build import build_shards as build
        from curate.build import with_inputs, without_empty_slots
        from curate.progress import ProgressWatch
        from curate.runs.stage_names import STAGE_NAMES

        if until is not None and until not in STAGE_NAMES:
            fail(f"--until must be one of {', '.join(STAGE_NAMES)} (got {until!r})", 2)
        chosen, empty = without_empty_slots(with_inputs(chosen, inputs))
        tell_empty_slots(chosen, empty)
        tell_unfilled_steps(chosen)
        run = open_run(out)
        build(
            without_network(chosen) if offline else chosen,
            out,
            watch=ProgressWatch(run),
            runner=runner,
            workers=workers,
            until=until,
            processes=processes,
            beam_options=beam_options,
            accelerator=accelerator,
            retry_images=retry_images,
        )
    _finish(run, as_json)


def without_network(recipe: Recipe) -> Recipe:
    """The recipe with fetching switched off."""
    fetch = recipe.images.fetch.model_copy(update={"enabled": False})
    images = recipe.images.model_copy(update={"fetch": fetch})
    return recipe.model_copy(update={"images": images})


def _finish(run: RunDirectory, as_json: bool) -> dict[str, Any]:
    from curate.reports.report import REPORT_PATH, write_report
    from curate.reports.stats import collect_stats
    from curate.reports.tables import print_stats

    stats = collect_stats(run)
    write_report(run, stats)
    if as_json:
        say_json(stats, indent=1)
    else:
        print_stats(stats)
        say(f"report: {run.root}/{REPORT_PATH}")
    return stats


@click.command()
@click.argument("out")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of stats.json and stop.")
@explained
def stats(out: str, as_json: bool, schema: bool) -> None:
    """Show what came in, what was dropped by which rule, and what came out; write the report."""
    if schema:
        from curate.reports.stats_schema import STATS_SCHEMA

        say_json(STATS_SCHEMA, indent=1)
        return
    _finish(open_run(out), as_json)


@click.command()
@click.argument("out")
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
@explained
def why(out: str, url: str, as_json: bool) -> None:
    """Tell everything that happened to URL (a page or an image) in the run OUT."""
    from curate.reports.stats import collect_stats
    from curate.reports.why import explain_url

    run = open_run(out)
    collect_stats(run)
    events = explain_url(run, url)
    if not events:
        fail(f"{url} occurs nowhere in {out}: neither as a page or image of the input nor in one.")
    for event in events:
        if as_json:
            say_json(event)
        else:
            say(visible_line(f"{event['stage']:<15} {event['what']:<8} {event['detail']}"))


@click.command()
@click.argument("out")
@click.option(
    "--row", type=click.IntRange(min=0), help="Number of a packed row, through all shards."
)
@click.option("--document", "document_id", metavar="ID", help="Id of a document.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an HTML page with the images instead.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (images by address alone).")
@explained
def inspect(
    out: str, row: int | None, document_id: str | None, html_path: Path | None, as_json: bool
) -> None:
    """See what a packed row or a document of the run OUT really holds, images included."""
    from curate.reports.inspection import NoSuchItemError, view_document, view_row
    from curate.reports.report import render_view
    from curate.reports.stats import collect_stats
    from curate.reports.tables import print_view
    from curate.reports.why import find_document

    if (row is None) == (document_id is None):
        fail("give one of --row N and --document ID", 2)
    run = open_run(out)
    collect_stats(run)
    if row is not None:
        view = view_row(run, row)
    else:
        assert document_id is not None
        found = find_document(run, document_id)
        if found is None:
            raise NoSuchItemError(f"no document of {out} has the id {document_id}")
        view = view_document(run, found)
    if html_path is not None:
        html_path.write_text(render_view(view), encoding="utf-8")
        say(f"wrote {html_path}")
    elif as_json:
        pieces = [
            {"kind": p.kind, "text": p.text, "url": p.url, "masked": p.masked} for p in view.pieces
        ]
        say_json(
            {
                "title": view.title,
                "facts": view.facts,
                "pieces": pieces,
                "documents": view.documents,
            }
        )
    else:
        print_view(view)


@click.command()
@click.argument("file")
@click.option("--url", help="Address of an HTML file; relative addresses resolve against it.")
@explained
def extract(file: str, url: str | None) -> None:
    """Print the documents of FILE, a WARC or ARC file or (with --url) an HTML file, as JSON lines.

    What can't be extracted is told on standard error, with the rule that says why.
    """
    from curate.standalone.single_stages import extract_file

    for line in extract_file(file, url):
        if isinstance(line, str):
            say(visible_line(line), err=True)
        else:
            say_json(line, ascii_only=False)


@click.command()
@click.option("--out", default="demo-out", show_default=True, metavar="DIR", help="Run directory.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1))
@explained
def demo(out: str, workers: int) -> None:
    """Run the whole thing on a small web that ships with the project, served on 127.0.0.1.

    Serves the site, crawls it into a WARC, builds shards (half of the images come from the WARC,
    half over HTTP), writes statistics and the report, and trains a tiny model that captions the
    pictures (extra `train`).
    """
    with worker_processes(local_processes("direct", workers, ())) as processes:
        from curate.demo import run_demo

        run_demo(out, workers, processes)
    run = open_run(f"{out}/run")
    _finish(run, as_json=False)
    _train_on_demo(run)


def _train_on_demo(run: RunDirectory) -> None:
    """Train a tiny model, show what it has learned, and write the report anew."""
    from curate.demo.trained import can_train, train_on
    from curate.reports.report import write_report
    from curate.reports.stats import collect_stats

    if not can_train():
        say("no model is trained: the extra `train` of curate-pretraining is not installed")
        return

    def tell(numbers: dict[str, Any]) -> None:
        if "loss" in numbers and (numbers["step"] % 40 == 0 or numbers["step"] == 1):
            say(f"step {numbers['step']:>3}/{numbers['steps']}  loss {numbers['loss']:.3f}")

    say("training a tiny model on the shards")
    captioned = train_on(run, tell)
    for picture in captioned:
        mark = "right" if picture.right else "wrong"
        say(f"  {mark}: {picture.written[:50]!r} for {' or '.join(picture.captions)!r}")
    right = sum(picture.right for picture in captioned)
    captions = {caption for picture in captioned for caption in picture.captions}
    chance = sum(len(set(picture.captions)) for picture in captioned) / len(captions)
    say(
        f"{right} of {len(captioned)} pictures get a caption of theirs, by chance {chance:.0f}; "
        "the curve is in the report"
    )
    write_report(run, collect_stats(run))
