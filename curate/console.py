"""The one way to the terminal: what came from outside can't steer it, whoever prints it.

`say` and `say_json` are for lines, `Screen` for tables and drawings. `guard_streams` catches the
rest: warnings, log lines, tracebacks, and what a library prints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

import click
from rich.console import Console, ConsoleOptions, RenderableType  # noqa: TID251
from rich.segment import Segment

from curate.schemas.text.shown import ShownStream, json_text, visible

T = TypeVar("T")
_COLUMNS_OF_A_FILE = 10_000


def guard_streams() -> None:
    """Let nothing through to standard output and standard error that steers a terminal."""
    if not isinstance(sys.stdout, ShownStream):
        sys.stdout = ShownStream(sys.stdout, masks=False)
    if not isinstance(sys.stderr, ShownStream):
        sys.stderr = ShownStream(sys.stderr, masks=True)


def drawn_on(stream: Any) -> TextIO:
    """The stream below the guard, for what moves the cursor by intent and shows no data."""
    raw: TextIO = getattr(stream, "raw_stream", stream)
    return raw


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text, on standard error if told so."""
    click.echo(visible(text), err=err, nl=nl)  # noqa: TID251


def say_json(data: Any, *, indent: int | None = None, ascii_only: bool = True) -> None:
    """Print data as JSON."""
    click.echo(json_text(data, indent=indent, ascii_only=ascii_only))  # noqa: TID251


def tracked(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """The items, with a progress bar on standard error while they are taken, on a terminal."""
    with click.progressbar(
        items,
        length=total,
        label=label,
        file=drawn_on(sys.stderr),
        hidden=not sys.stderr.isatty(),
    ) as shown:
        yield from shown


class Screen(Console):
    """A terminal to draw on: text is text, with no markup, and its styles are the caller's.

    Where it is none (a pipe, a file), lines and tables are as wide as what they hold: there is no
    edge to fold them at, and what reads them takes them line by line.
    """

    def __init__(self, *, err: bool = False, file: TextIO | None = None, **options: Any) -> None:
        super().__init__(
            file=drawn_on(file or (sys.stderr if err else sys.stdout)),
            markup=False,
            emoji=False,
            highlight=False,
            **options,
        )
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = _COLUMNS_OF_A_FILE

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As rich does, with everything but its own control codes made visible."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
