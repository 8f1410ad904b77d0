"""Commands on tables of image-caption pairs: fetch-pairs."""

from __future__ import annotations

from typing import Any

import click

from curate.commands.common import ManyValues, explained, workers_option
from curate.console import say
from curate.schemas.settings.recipe_file import parse_recipe
from curate.schemas.settings.source import PAIR_TABLES


@click.command("fetch-pairs", cls=ManyValues)
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...")
@click.option("--out", required=True, metavar="DIR", help="Where to write.")
@click.option(
    "--kind",
    type=click.Choice(PAIR_TABLES),
    default="pairs",
    show_default=True,
    help="Whose table it is, with the columns as published; `pairs` has those named below.",
)
@click.option("--url-col", default="url", show_default=True, help="Column of the image's address.")
@click.option("--caption-col", default="caption", show_default=True, help="Column of the caption.")
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    default=224,
    show_default=True,
    help="Shorter side of a stored image.",
)
@click.option(
    "--resize-mode",
    type=click.Choice(["center_crop", "keep_ratio"]),
    default="center_crop",
    show_default=True,
    help="Keep the middle square, or the whole image.",
)
@click.option(
    "--encode-quality",
    type=click.IntRange(1, 100),
    default=95,
    show_default=True,
    help="Of the stored JPEG.",
)
@click.option(
    "--min-image-size",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Least width and height of an original.",
)
@click.option("--max-aspect-ratio", type=click.FloatRange(min=1), help="Long side / short side.")
@click.option(
    "--number-sample-per-shard",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Rows of the table for one .tar.",
)
@click.option(
    "--thread-count",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Requests in flight in each worker.",
)
@click.option(
    "--connections-per-host",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Of these at one host.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=15,
    show_default=True,
    help="Seconds for one whole response.",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="More tries in this call for what can succeed.",
)
@click.option(
    "--retry",
    is_flag=True,
    help="Of a finished DIR fetch again the images that failed and might come this time.",
)
@click.option("--user-agent", help="A name and a contact of yours, sent with every request.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Exempt from the guard that refuses private addresses. Repeatable.",
)
@workers_option
@explained
def fetch_pairs(
    tables: tuple[str, ...],
    out: str,
    kind: str,
    url_col: str,
    caption_col: str,
    image_size: int,
    resize_mode: str,
    encode_quality: int,
    min_image_size: int,
    max_aspect_ratio: float | None,
    number_sample_per_shard: int,
    thread_count: int,
    connections_per_host: int,
    timeout: float,
    retries: int,
    retry: bool,
    user_agent: str | None,
    allow_host: tuple[str, ...],
    workers: int,
) -> None:
    """Fetch the images of tables of pairs (.parquet, .csv, .tsv) into WebDataset shards.

    Options are named as img2dataset's where they mean the same, and DIR is laid out as its output:
    00000.tar with a .jpg, .txt and .json for each pair, 00000.parquet with a row for every image
    wanted, had or not, and 00000_stats.json. robots.txt, X-Robots-Tag and TDM reservations are
    honoured; DIR/run holds the evidence. An interrupted command goes on where it was when it is
    given again.
    """
    from curate.pipelines.engine.worker_processes import local_processes, worker_processes

    source: dict[str, Any] = {"kind": kind, "format": "pairs", "paths": tables}
    if kind == "pairs":
        source["columns"] = {"url": url_col, "caption": caption_col}
    fetch = {
        "connections": thread_count,
        "connections_per_host": connections_per_host,
        "timeout_seconds": timeout,
        "retries": retries,
        "allow_hosts": allow_host,
        **({"user_agent": user_agent} if user_agent else {}),
    }
    recipe = parse_recipe(
        {
            "name": "fetch-pairs",
            "sources": {"pairs": source},
            "filters": {"image": {"min_side": min_image_size, "max_aspect": max_aspect_ratio}},
            "images": {
                "size": image_size,
                "center_crop": resize_mode == "center_crop",
                "jpeg_quality": encode_quality,
                "fetch": fetch,
            },
        },
        "fetch-pairs",
    )
    with worker_processes(local_processes("direct", workers, ())) as processes:
        from curate.progress import ProgressWatch
        from curate.reports.image_report import fault_notice
        from curate.standalone.pair_files import fetch_pairs as run

        report = run(recipe, out, number_sample_per_shard, workers, processes, ProgressWatch, retry)
    say(
        f"{report['rows']:,} rows, {report['images_wanted']:,} images wanted, "
        f"{report['images_stored']:,} stored in {report['shards']} shards"
    )
    for rule, count in sorted(report["dropped"].items(), key=lambda item: -item[1]):
        say(f"  {count:,} dropped by {rule}")
    for sentence in fault_notice(report["dropped"]):
        say(sentence)
