"""Commands on files of documents: dedup, decontaminate, benchmark-index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from curate.commands.common import (
    ManyValues,
    documents_option,
    explained,
    fail,
    open_run,
    workers_option,
)
from curate.console import say
from curate.schemas.settings.recipe_file import parse_section


@click.command(cls=ManyValues)
@documents_option
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
    "--urls/--no-urls",
    default=False,
    show_default=True,
    help="Documents are web pages: of those with the same `url` keep the latest `date`.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="DIR",
    help="Outputs of earlier runs (--out): what they have is dropped. Repeatable.",
)
@workers_option
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
    urls: bool,
    against: tuple[str, ...],
    workers: int,
) -> None:
    """Drop duplicate and near-duplicate documents.

    Of equal texts, and of clusters of near-duplicates found by MinHash, the longest stays; with
    --urls, first of all, of pages with the same `url` the latest. Writes DIR/documents.jsonl (or
    .parquet, as the input), DIR/ledger.jsonl (what was dropped, by which rule, for which document)
    and DIR/report.json. An interrupted command goes on where it was when it is given again.
    """
    from curate.schemas.settings.purging import DEDUP_PRESETS, Dedup

    given = {"bands": bands, "rows": rows, "shingle_words": shingle_words}
    settings: dict[str, Any] = {
        **DEDUP_PRESETS[preset],
        **{name: value for name, value in given.items() if value is not None},
    }
    settings |= {"min_similarity": min_similarity or None, "against": run_folders(against)}
    if repeated is not None:
        settings["repeated"] = {"unit": repeated}
    chosen = parse_section(Dedup, settings, "dedup")
    report = _run_on_files(inputs, out, workers, pages=urls, dedup=chosen)
    _tell_documents(report)
    if repeated is not None:
        say(f"  {report['lines_cut']:,} {repeated}s cut that documents of a domain repeat")
    say(f"clusters converged in {report['rounds']} rounds")


def run_folders(outs: tuple[str, ...]) -> tuple[str, ...]:
    """Run directories: given themselves, or as the `--out` of `curate dedup`."""
    return tuple(
        f"{out.rstrip('/')}/run" if open_run(out).exists("run/run.json") else out for out in outs
    )


@click.command(cls=ManyValues)
@click.option(
    "--benchmarks",
    multiple=True,
    required=True,
    metavar="FILE...",
    help="Benchmark items: JSON lines or Parquet with `id` and `text` or fields that the registry "
    "knows, or indexes made by `curate benchmark-index build`.",
)
@documents_option
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
@workers_option
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
    from curate.schemas.settings.purging import Decontamination

    off: dict[str, Any] = {"ngrams": {"items": None}, "items": {"ngrams": None}}.get(method, {})
    settings = {"benchmarks": benchmarks, "registry": registry, "action": action, **off}
    chosen = parse_section(Decontamination, settings, "decontamination")
    report = _run_on_files(inputs, out, workers, decontamination=chosen)
    _tell_documents(report)
    for benchmark in report["benchmarks"]:
        say(
            f"{benchmark['name']}: {benchmark['items_hit']:,} of {benchmark['items']:,} items in "
            f"{benchmark['documents_cut']:,} documents cut, {benchmark['documents_dropped']:,} "
            f"dropped, {benchmark['documents_tagged']:,} tagged"
        )
        for item in benchmark["frequent_items"]:
            say(f"  item {item['item']} is in {item['documents']:,} of them: {item['text']}")


def _run_on_files(
    inputs: tuple[str, ...], out: str, workers: int, **settings: Any
) -> dict[str, Any]:
    from curate.pipelines.engine.worker_processes import local_processes, worker_processes

    with worker_processes(local_processes("direct", workers, ())) as processes:
        from curate.progress import ProgressWatch
        from curate.standalone.document_files import Job, run_on_files

        job = Job(inputs=inputs, out=out, workers=workers, **settings)
        return run_on_files(job, processes, ProgressWatch)


def _tell_documents(report: dict[str, Any]) -> None:
    say(f"{report['documents_in']:,} documents in, {report['documents_out']:,} out")
    for rule, count in report["documents_dropped"].items():
        say(f"  {count:,} dropped by {rule}")


@click.group("benchmark-index")
def benchmark_index() -> None:
    """Build indexes of benchmarks that hold hashes and no text."""


@benchmark_index.command("build", cls=ManyValues)
@click.option("--benchmarks", multiple=True, metavar="FILE...", help="Benchmark items.")
@click.option(
    "--images",
    multiple=True,
    metavar="FOLDER...",
    help="Benchmark images, for an index of their own: folders, files or globs.",
)
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
def benchmark_index_build(
    benchmarks: tuple[str, ...], images: tuple[str, ...], registry: str | None, out: Path
) -> None:
    """Write an index of benchmark items, or of benchmark images, to use in their place.

    An index of items goes into a recipe's `decontamination.benchmarks`, one of images into
    `decontamination.images`. It holds hashes and no text; of an image it holds 32 x 32 grey values.
    """
    from curate.decontamination.index_file import INDEX_SUFFIX, save_index

    if out.suffix != INDEX_SUFFIX:
        fail(f"--out must end in {INDEX_SUFFIX} (got {out})", 2)
    if bool(benchmarks) == bool(images):
        fail("give --benchmarks or --images, one of them: each makes an index of its own", 2)
    if images:
        from pyarrow import parquet

        from curate.decontamination.benchmark_images import image_fingerprints

        table, unreadable = image_fingerprints(images)
        parquet.write_table(table, out, use_dictionary=False)
        say(f"wrote {out}: {table.num_rows:,} images")
        for path in unreadable:
            say(f"  no image: {path}")
        return
    from curate.pipelines.text.decontamination import index_of
    from curate.schemas.settings.purging import Decontamination

    index = index_of(Decontamination(benchmarks=benchmarks, registry=registry))
    out.write_bytes(save_index(index))
    say(
        f"wrote {out}: {len(index.ids):,} texts of {len(index.benchmarks)} benchmarks; "
        f"{sum(index.too_short.values()):,} texts are too short to be looked for"
    )


@benchmark_index.command("registry")
def benchmark_index_registry() -> None:
    """Print the built-in registry: which fields of which benchmark are text."""
    from curate.decontamination.benchmarks import built_in_registry

    say(built_in_registry(), nl=False)
