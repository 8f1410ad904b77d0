"""The `curate` command. Exit codes: 0 done, 1 the work failed, 2 wrong usage."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from functools import wraps
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from curate import __version__
from schemas.errors import CurateError, UsageError
from schemas.recipe import Recipe
from schemas.recipe_file import RecipeError, load_recipe, parse_section, recipe_to_yaml

if TYPE_CHECKING:
    from pipelines.run_directory import RunDirectory

# Beam is imported by the commands that need it: it takes seconds, and `--help` should not.


def fail(message: str, code: int = 1) -> NoReturn:
    """End with a message on standard error."""
    click.echo(f"curate: {message}", err=True)
    sys.exit(code)


def explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors that are meant for the user into a message and an exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except CurateError as error:
            fail(str(error), error.exit_code)
        except OSError as error:
            fail(
                f"{error}. Finished parts are kept: mend the cause and run the same command again."
            )

    return run


def find_recipe(name: str) -> Recipe:
    """A recipe by path, or by the name of one that ships with the project."""
    if Path(name).suffix in (".yaml", ".yml") or Path(name).exists():
        return load_recipe(Path(name), name)
    shipped = shipped_recipes()
    if name not in shipped:
        raise RecipeError(
            f"no recipe is named {name!r}. Shipped: {', '.join(shipped)}; or give a .yaml file."
        )
    with as_file(files("recipes") / f"{name}.yaml") as path:
        return load_recipe(path, f"{name}.yaml")


def shipped_recipes() -> list[str]:
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def open_run(out: str) -> RunDirectory:
    from pipelines.run_directory import RunDirectory

    try:
        return RunDirectory(out)
    except ImportError as error:
        raise UsageError(
            f"{out} needs a package that is not installed: {error}. "
            "The extras `s3` and `gcp` of curate-pretraining bring what s3:// and gs:// need."
        ) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="curate")
@click.option("--verbose", is_flag=True, help="Show the libraries' own log lines.")
def main(verbose: bool) -> None:
    """From raw web archives to packed, tokenized, multimodal training shards.

    \b
    curate demo                          the whole thing on a small web of its own
    curate build-shards kosmos1 --input 'crawl/*.warc.gz' --out OUT
    curate dedup --input DOCS --out DIR  drop near-duplicates of any JSON lines or Parquet
    curate decontaminate --benchmarks FILES --input DOCS --out DIR
    curate stats OUT                     what came in, what was dropped, what came out
    curate why OUT URL                   everything that happened to a URL
    curate inspect OUT --row 0           see what a training row really holds
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(logging.INFO if verbose else logging.ERROR)


@main.command("build-shards")
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
    type=click.Choice(["direct"]),
    help="Where to run.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that work at the same time.",
)
@click.option(
    "--until",
    metavar="STAGE",
    help="Stop after this stage: documents, signatures, duplicates, decontamination, "
    "image-plan, images, image-verdicts, selection, tokenizer or shards.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Take images from the input archives alone, never from the network.",
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
    until: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Turn web archives into training shards, following RECIPE (a name or a .yaml file).

    Run the same command again after an interruption, at any moment: finished parts are kept, the
    rest is made, and the shards come out byte for byte as if nothing had happened.

    What follows `--` goes to Beam as pipeline options, for example `-- --job_name=crawl`.
    """
    from pipelines.worker_processes import worker_processes

    chosen = find_recipe(recipe)
    with worker_processes(workers) as processes:
        from curate.build import build_shards as build
        from curate.build import with_inputs
        from curate.progress import ProgressWatch
        from pipelines.stages import STAGE_NAMES

        if until is not None and until not in STAGE_NAMES:
            fail(f"--until must be one of {', '.join(STAGE_NAMES)} (got {until!r})", 2)
        chosen = with_inputs(chosen, inputs)
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
        )
    _finish(run, as_json)


def without_network(recipe: Recipe) -> Recipe:
    """The recipe with fetching switched off."""
    fetch = recipe.images.fetch.model_copy(update={"enabled": False})
    images = recipe.images.model_copy(update={"fetch": fetch})
    return recipe.model_copy(update={"images": images})


def _finish(run: RunDirectory, as_json: bool) -> dict[str, Any]:
    from curate.report import REPORT_PATH, write_report
    from curate.stats import collect_stats
    from curate.tables import print_stats

    stats = collect_stats(run)
    write_report(run, stats)
    if as_json:
        click.echo(json.dumps(stats, indent=1))
    else:
        print_stats(stats)
        click.echo(f"report: {run.root}/{REPORT_PATH}")
    return stats


@main.command()
@click.argument("out")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of stats.json and stop.")
@explained
def stats(out: str, as_json: bool, schema: bool) -> None:
    """Show what came in, what was dropped by which rule, and what came out; write the report."""
    if schema:
        from curate.stats_schema import STATS_SCHEMA

        click.echo(json.dumps(STATS_SCHEMA, indent=1))
        return
    _finish(open_run(out), as_json)


@main.command()
@click.argument("out")
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
@explained
def why(out: str, url: str, as_json: bool) -> None:
    """Tell everything that happened to URL (a page or an image) in the run OUT."""
    from curate.stats import collect_stats
    from curate.why import explain_url

    run = open_run(out)
    collect_stats(run)
    events = explain_url(run, url)
    if not events:
        fail(f"{url} occurs nowhere in {out}: neither as a page or image of the input nor in one.")
    for event in events:
        if as_json:
            click.echo(json.dumps(event))
        else:
            click.echo(f"{event['stage']:<15} {event['what']:<8} {event['detail']}")


@main.command()
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
    from curate.inspection import NoSuchItemError, view_document, view_row
    from curate.report import render_view
    from curate.stats import collect_stats
    from curate.tables import print_view
    from curate.why import find_document

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
        click.echo(f"wrote {html_path}")
    elif as_json:
        pieces = [
            {"kind": p.kind, "text": p.text, "url": p.url, "masked": p.masked} for p in view.pieces
        ]
        click.echo(
            json.dumps(
                {
                    "title": view.title,
                    "facts": view.facts,
                    "pieces": pieces,
                    "documents": view.documents,
                }
            )
        )
    else:
        print_view(view)


@main.command()
@click.argument("file")
@click.option("--url", help="Address of an HTML file; relative addresses resolve against it.")
@explained
def extract(file: str, url: str | None) -> None:
    """Print the documents of FILE, a WARC or ARC file or (with --url) an HTML file, as JSON lines.

    What can't be extracted is told on standard error, with the rule that says why.
    """
    from curate.single_stages import extract_file

    for line in extract_file(file, url):
        if isinstance(line, str):
            click.echo(line, err=True)
        else:
            click.echo(json.dumps(line, ensure_ascii=False))


class ManyValues(click.Command):
    """A command whose repeatable options also take several values: `--input A B C`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {n for p in self.params if getattr(p, "multiple", False) for n in p.opts}
        given: list[str] = []
        option: str | None = None
        for position, arg in enumerate(args):
            if arg.startswith("-"):
                option = arg if arg in names else None
            elif option is not None and args[position - 1] != option:
                given.append(option)
            given.append(arg)
        return super().parse_args(ctx, given)


_documents_option = click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    metavar="DOCS...",
    help="JSON lines (.jsonl, .gz, .zst) or Parquet with `text` or `segments`: paths, globs or "
    "folders.",
)
_workers_option = click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that work at the same time.",
)


@main.command(cls=ManyValues)
@_documents_option
@click.option("--out", required=True, metavar="DIR", help="Where to write.")
@click.option(
    "--preset",
    type=click.Choice(["fineweb", "mt-nlg"]),
    default="fineweb",
    show_default=True,
    help="Bands, rows and shingles: 14x8 or 20x13, of 5 words.",
)
@click.option("--bands", type=click.IntRange(min=1), help="Instead of the preset's.")
@click.option("--rows", type=click.IntRange(min=1), help="Positions per band, likewise.")
@click.option("--shingle-words", type=click.IntRange(min=1), help="Words per shingle, likewise.")
@click.option(
    "--min-similarity",
    type=click.FloatRange(0, 1),
    default=0.65,
    show_default=True,
    help="Least estimated Jaccard similarity of a near-duplicate; 0 takes every pair of a band.",
)
@click.option(
    "--repeated",
    type=click.Choice(["line", "paragraph"]),
    help="Also cut the lines, or paragraphs, that documents of one domain have in common.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="DIR",
    help="Outputs of earlier runs (--out): what they have is dropped. Repeatable.",
)
@_workers_option
@explained
def dedup(
    inputs: tuple[str, ...],
    out: str,
    preset: str,
    bands: int | None,
    rows: int | None,
    shingle_words: int | None,
    min_similarity: float,
    repeated: str | None,
    against: tuple[str, ...],
    workers: int,
) -> None:
    """Drop duplicate and near-duplicate documents.

    Of documents with the same `url` the latest `date` stays; then of equal texts, and of clusters
    of near-duplicates found by MinHash, the longest. Writes DIR/documents.jsonl (or .parquet, as
    the input), DIR/ledger.jsonl (what was dropped, by which rule, for which document) and
    DIR/report.json. An interrupted command goes on where it was when it is given again.
    """
    from schemas.recipe import DEDUP_PRESETS, Dedup

    given = {"bands": bands, "rows": rows, "shingle_words": shingle_words}
    settings: dict[str, Any] = {
        **DEDUP_PRESETS[preset],
        **{name: value for name, value in given.items() if value is not None},
    }
    settings |= {"min_similarity": min_similarity or None, "against": run_folders(against)}
    if repeated is not None:
        settings["repeated"] = {"unit": repeated}
    chosen = parse_section(Dedup, settings, "dedup")
    report = _run_on_files(inputs, out, workers, dedup=chosen)
    _tell_documents(report)
    if repeated is not None:
        click.echo(f"  {report['lines_cut']:,} {repeated}s cut that documents of a domain repeat")
    click.echo(f"clusters converged in {report['rounds']} rounds")


def run_folders(outs: tuple[str, ...]) -> tuple[str, ...]:
    """Run directories: given themselves, or as the `--out` of `curate dedup`."""
    return tuple(
        f"{out.rstrip('/')}/run" if open_run(out).exists("run/run.json") else out for out in outs
    )


@main.command(cls=ManyValues)
@click.option(
    "--benchmarks",
    multiple=True,
    required=True,
    metavar="FILE...",
    help="Benchmark items: JSON lines or Parquet with `id` and `text` or fields that the registry "
    "knows, or indexes made by `curate benchmark-index build`.",
)
@_documents_option
@click.option("--out", required=True, metavar="DIR", help="Where to write.")
@click.option(
    "--registry", metavar="FILE", help="YAML that maps fields of further benchmarks to texts."
)
@click.option(
    "--method",
    type=click.Choice(["both", "ngrams", "items"]),
    default="both",
    show_default=True,
    help="Shared 13-grams (MT-NLG), whole items even if edited, or both.",
)
@click.option(
    "--action",
    type=click.Choice(["cut", "drop", "tag"]),
    default="cut",
    show_default=True,
    help="Cut the match and 200 characters around it, drop the document, or only say so.",
)
@_workers_option
@explained
def decontaminate(
    benchmarks: tuple[str, ...],
    inputs: tuple[str, ...],
    out: str,
    registry: str | None,
    method: str,
    action: str,
    workers: int,
) -> None:
    """Remove benchmark items from documents.

    Writes DIR/documents.jsonl (or .parquet, as the input), DIR/ledger.jsonl (which document was
    cut or dropped, and for which items) and DIR/report.json (what each benchmark hit, with the
    worst examples in their context).
    """
    from schemas.recipe import Decontamination

    off: dict[str, Any] = {"ngrams": {"items": None}, "items": {"ngrams": None}}.get(method, {})
    settings = {"benchmarks": benchmarks, "registry": registry, "action": action, **off}
    chosen = parse_section(Decontamination, settings, "decontamination")
    report = _run_on_files(inputs, out, workers, decontamination=chosen)
    _tell_documents(report)
    for benchmark in report["benchmarks"]:
        click.echo(
            f"{benchmark['name']}: {benchmark['items_hit']:,} of {benchmark['items']:,} items in "
            f"{benchmark['documents_cut']:,} documents cut, {benchmark['documents_dropped']:,} "
            f"dropped, {benchmark['documents_tagged']:,} tagged"
        )


def _run_on_files(
    inputs: tuple[str, ...], out: str, workers: int, **settings: Any
) -> dict[str, Any]:
    from pipelines.worker_processes import worker_processes

    with worker_processes(workers) as processes:
        from curate.document_files import Job, run_on_files
        from curate.progress import ProgressWatch

        job = Job(inputs=inputs, out=out, workers=workers, **settings)
        return run_on_files(job, processes, ProgressWatch)


def _tell_documents(report: dict[str, Any]) -> None:
    click.echo(f"{report['documents_in']:,} documents in, {report['documents_out']:,} out")
    for rule, count in report["documents_dropped"].items():
        click.echo(f"  {count:,} dropped by {rule}")


@main.group("benchmark-index")
def benchmark_index() -> None:
    """Build indexes of benchmarks that hold hashes and no text."""


@benchmark_index.command("build", cls=ManyValues)
@click.option("--benchmarks", multiple=True, required=True, metavar="FILE...")
@click.option(
    "--registry", metavar="FILE", help="YAML that maps fields of further benchmarks to texts."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the .index file.",
)
@explained
def benchmark_index_build(benchmarks: tuple[str, ...], registry: str | None, out: Path) -> None:
    """Write an index of benchmark items, to ship or to use in their place."""
    from decontamination.index import INDEX_SUFFIX, save_index
    from pipelines.decontamination import index_of
    from schemas.recipe import Decontamination

    if out.suffix != INDEX_SUFFIX:
        fail(f"--out must end in {INDEX_SUFFIX} (got {out})", 2)
    index = index_of(Decontamination(benchmarks=benchmarks, registry=registry))
    out.write_bytes(save_index(index))
    click.echo(
        f"wrote {out}: {len(index.ids):,} texts of {len(index.benchmarks)} benchmarks; "
        f"{sum(index.too_short.values()):,} texts are too short to be looked for"
    )


@benchmark_index.command("registry")
def benchmark_index_registry() -> None:
    """Print the built-in registry: which fields of which benchmark are text."""
    from decontamination.benchmarks import built_in_registry

    click.echo(built_in_registry(), nl=False)


@main.command("train-tokenizer")
@click.argument("out")
@click.option(
    "--model",
    "model_path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the .model file.",
)
@click.option("--vocabulary", type=click.IntRange(min=100), help="Pieces, instead of the recipe's.")
@explained
def train_tokenizer(out: str, model_path: Path, vocabulary: int | None) -> None:
    """Train a SentencePiece model on the selected documents of the run OUT.

    The run must have come to `selection` (`curate build-shards ... --until selection`). Use the
    model in a recipe as `tokenization.model`.
    """
    from curate.single_stages import train_on_run

    pieces = train_on_run(open_run(out), model_path, vocabulary)
    click.echo(f"wrote {model_path}: {pieces:,} pieces")


@main.command("train-classifier", cls=ManyValues)
@click.option(
    "--high",
    multiple=True,
    required=True,
    metavar="DOCS...",
    help="Documents as they should be: JSON lines or Parquet with `text`.",
)
@click.option(
    "--low", multiple=True, required=True, metavar="DOCS...", help="Documents as the web has them."
)
@click.option(
    "--model",
    "model_path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the fastText model.",
)
@click.option(
    "--word-ngrams",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Longest n-gram that is a feature.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=5, show_default=True)
@explained
def train_classifier(
    high: tuple[str, ...], low: tuple[str, ...], model_path: Path, word_ngrams: int, epochs: int
) -> None:
    """Train a fastText classifier of quality on two sets of documents.

    DCLM took 200,000 instruction answers and well-liked explanations as high, as many web pages as
    low, and kept the tenth of the web with the best scores. A tenth of the documents is held out
    to measure the classifier, and to find the scores that keep a share of what is low. Use the
    model in a recipe: `filters: {text: {classifier: {model: quality.bin, min_score: 0.02}}}`.
    """
    from curate.classifier import train_classifier as train

    trained = train(high, low, model_path, word_ngrams=word_ngrams, epochs=epochs)
    click.echo(
        f"wrote {model_path}: learned from {trained.high:,} high and {trained.low:,} low "
        f"documents; {trained.accuracy:.1%} of {trained.held_out:,} held out were told right"
    )
    for share, score in trained.thresholds.items():
        click.echo(f"min_score {score:.6f} keeps {share:.0%} of the low documents")


@main.group()
def recipe() -> None:
    """List, show and check recipes."""


@recipe.command("list")
def recipe_list() -> None:
    """Name the recipes that ship with the project."""
    for name in shipped_recipes():
        click.echo(name)


@recipe.command("show")
@click.argument("name")
@explained
def recipe_show(name: str) -> None:
    """Print a recipe with every default written out."""
    click.echo(recipe_to_yaml(find_recipe(name)), nl=False)


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes, for editors; every key is described."""
    click.echo(json.dumps(Recipe.model_json_schema(), indent=1))


@recipe.command("validate")
@click.argument("name")
@explained
def recipe_validate(name: str) -> None:
    """Check a recipe and say what is wrong with it."""
    find_recipe(name)
    click.echo(f"{name}: valid")


@main.command()
@click.option("--out", default="demo-out", show_default=True, metavar="DIR", help="Run directory.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1))
@explained
def demo(out: str, workers: int) -> None:
    """Run the whole thing on a small web that ships with the project, served on 127.0.0.1.

    Serves the site, crawls it into a WARC, builds shards (half of the images come from the WARC,
    half over HTTP) and writes statistics and the report.
    """
    from pipelines.worker_processes import worker_processes

    with worker_processes(workers) as processes:
        from curate.demo import run_demo

        run_demo(out, workers, processes)
    _finish(open_run(f"{out}/run"), as_json=False)


if __name__ == "__main__":
    main()
