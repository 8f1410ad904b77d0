"""Statistics and views on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.inspection import View, terminal_image

_RULES_SHOWN = 15


def print_stats(stats: dict[str, Any], console: Console | None = None) -> None:
    """The closing tables: stages, the rules that dropped most, shards by source."""
    console = console or Console()
    table = _table("stage", "source", "of", "in", "out", "dropped", "seconds", numbers=4)
    for row in stats["stages"]:
        counts = (f"{row[k]:,}" for k in ("in", "out", "dropped"))
        seconds = f"{row['seconds']:.1f}"
        table.add_row(row["stage"], row["source"], f"{row['kind']}s", *counts, seconds)
    console.print(table)
    drops = sorted(stats["drops"], key=lambda d: -d["count"])
    if drops:
        rules = _table("dropped by rule", "stage", "source", "of", "count", numbers=1)
        for drop in drops[:_RULES_SHOWN]:
            place = (drop["stage"], drop["source"], f"{drop['kind']}s")
            rules.add_row(drop["rule"], *place, f"{drop['count']:,}")
        console.print(rules)
        if len(drops) > _RULES_SHOWN:
            console.print(f"and {len(drops) - _RULES_SHOWN} more rules in the report")
    for sentence in stats["left_out"]:
        console.print(Text(sentence, style="bold"))
    shards = _table("shards of", "documents", "rows", "tokens", "images", "fill", numbers=5)
    for source, total in stats["sources"].items():
        counts = (f"{total[k]:,}" for k in ("documents", "rows", "tokens", "images"))
        shards.add_row(source, *counts, f"{total['fill']:.1%}")
    if stats["sources"]:
        console.print(shards)


def print_view(view: View, console: Console | None = None) -> None:
    """A row or document: text as text, images as coloured half blocks."""
    console = console or Console()
    console.print(Text(view.title, style="bold"))
    for name, value in view.facts.items():
        console.print(Text(f"  {name}: {value}", style="dim"))
    for index, piece in enumerate(view.pieces):
        if piece.kind == "boundary":
            if index:
                console.rule("next document", style="dim")
        elif piece.kind == "text":
            console.print(Text(piece.text, style="dim" if piece.masked else ""))
        else:
            console.print(Text(f"[image {piece.url}]", style="cyan"))
            if piece.image and console.color_system is not None:
                for line in terminal_image(piece.image):
                    console.print(
                        Text.assemble(*(("▀", f"{upper} on {lower}") for upper, lower in line))
                    )
            if piece.text:
                console.print(Text(piece.text, style="italic"))
    for document in view.documents:
        span = f"tokens {document['start']} to {document['end']}"
        origin = f"{document['warc_file']} at byte {document['offset']}"
        console.print(Text(f"  {document['id']} {document['url']} ({origin}, {span})", style="dim"))


def _table(*headings: str, numbers: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        right = index >= len(headings) - numbers
        table.add_column(heading, justify="right" if right else "left")
    return table
