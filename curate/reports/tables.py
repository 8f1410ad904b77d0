"""Statistics and views as the commands print them: what is printed here is what was asked for.

All of it goes through `Screen`, which lets nothing from outside steer a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from curate.console import Screen
from curate.recipe_plan import RecipePlan
from curate.reports.inspection import View, terminal_image
from curate.schemas.text.shown import visible, visible_line

if TYPE_CHECKING:
    from curate.dry_run import StageGraph

_RULES_SHOWN = 15
_RULE_COLUMNS = 80


def print_stats(stats: dict[str, Any]) -> None:
    """The closing tables: stages, the rules that dropped most, shards by source."""
    console = Screen()
    table = _table("stage", "source", "of", "in", "out", "dropped", "seconds", numbers=4)
    for row in stats["stages"]:
        counts = (f"{row[k]:,}" for k in ("in", "out", "dropped"))
        seconds = f"{row['seconds']:.1f}"
        table.add_row(row["stage"], row["source"], f"{row['kind']}s", *counts, seconds)
    console.print(table)
    drops = sorted(stats["drops"], key=lambda d: -d["count"])
    if drops:
        # What cost tokens is shown whatever its count: one long line may be a whole corpus.
        shown = drops[:_RULES_SHOWN] + [d for d in drops[_RULES_SHOWN:] if d["tokens"]]
        rules = _table("dropped by rule", "stage", "source", "of", "count", "tokens", numbers=2)
        for drop in shown:
            place = (drop["stage"], drop["source"], f"{drop['kind']}s")
            tokens = f"{drop['tokens']:,}" if drop["tokens"] else ""
            rules.add_row(drop["rule"], *place, f"{drop['count']:,}", tokens)
        console.print(rules)
        if len(drops) > len(shown):
            console.print(f"and {len(drops) - len(shown)} more rules in the report")
    for sentence in stats["left_out"]:
        console.print(Text(sentence, style="bold"))
    shards = _table("shards of", "documents", "rows", "tokens", "images", "fill", numbers=5)
    for source, total in stats["sources"].items():
        counts = (f"{total[k]:,}" for k in ("documents", "rows", "tokens", "images"))
        shards.add_row(source, *counts, f"{total['fill']:.1%}")
    if stats["sources"]:
        console.print(shards)


def print_plan(plan: RecipePlan) -> None:
    """Sources with tokens and epochs, then what a step of each phase holds."""
    console = Screen()
    phases = list(plan.phases)
    heads = ["source", "format", "share", "tokens", "known by"]
    for phase in phases:
        heads += [phase.replace("_", " "), "epochs"]
    table = _table(*heads, numbers=len(heads) - 2)
    for source in plan.sources:
        row = [
            source.name,
            source.format,
            f"{source.share:.1%}",
            _large(source.tokens),
            source.basis,
        ]
        for phase in phases:
            epochs = source.epochs(phase)
            row += [_large(source.taken.get(phase)), "-" if epochs is None else f"{epochs:.2f}"]
        table.add_row(*row)
    console.print(table)
    for phase, facts in plan.phases.items():
        console.print(Text(f"{phase.replace('_', ' ')}: {facts['steps']:,} steps", style="bold"))
        for row_format, tokens in facts["tokens"].items():
            rows = facts["rows"][row_format]
            shown = "unknown" if rows is None else f"{rows:,}"
            total = None if tokens is None else tokens * facts["steps"]
            console.print(
                f"  {row_format:<12} {_large(tokens):>8} tokens and {shown} rows a step, "
                f"{_large(total)} tokens in all"
            )


def _large(number: float | None) -> str:
    """A number of tokens for people: 14.8 B."""
    if number is None:
        return "unknown"
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def print_view(view: View) -> None:
    """A row or document: text as text, images as coloured half blocks."""
    console = Screen()
    console.print(Text(visible_line(view.title), style="bold"))
    for name, value in view.facts.items():
        console.print(Text(visible_line(f"  {name}: {value}"), style="dim"))
    for index, piece in enumerate(view.pieces):
        if piece.kind == "boundary":
            if index:
                rule = Rule("next document", style="dim")
                console.print(rule, width=min(console.width, _RULE_COLUMNS))
        elif piece.kind == "text":
            console.print(Text(visible(piece.text), style="dim" if piece.masked else ""))
        else:
            console.print(Text(visible_line(f"[image {piece.url}]"), style="cyan"))
            if piece.image and console.color_system is not None:
                for line in terminal_image(piece.image):
                    console.print(
                        Text.assemble(*(("▀", f"{upper} on {lower}") for upper, lower in line))
                    )
            if piece.text:
                console.print(Text(visible(piece.text), style="italic"))
    for document in view.documents:
        span = f"tokens {document['start']} to {document['end']}"
        origin = f"{document['warc_file']} at byte {document['offset']}"
        console.print(
            Text(
                visible_line(f"  {document['id']} {document['url']} ({origin}, {span})"),
                style="dim",
            )
        )


def print_graphs(graphs: list[StageGraph], later: list[str]) -> None:
    """The job graphs of a dry run."""
    console = Screen()
    table = _table("stage", "steps", "hints", "parts", "proto bytes", numbers=2)
    for graph in graphs:
        steps, hints = " > ".join(graph.steps), " ".join(graph.hints)
        table.add_row(graph.stage, steps, hints, f"{graph.parts:,}", f"{graph.proto_bytes:,}")
    console.print(table)
    for image in sorted({graph.image for graph in graphs if graph.image}):
        console.print(f"workers: {image}")
    console.print(f"planned when the stage before each is done: {', '.join(later)}")


def _table(*headings: str, numbers: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        right = index >= len(headings) - numbers
        # On a narrow terminal a name goes on below itself: cut, it could not be looked up.
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    return table
