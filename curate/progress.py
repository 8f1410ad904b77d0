"""Progress of a stage, read from the markers that its parts leave in the run directory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from curate.console import Screen, say
from curate.runs.part import done_parts, read_markers
from curate.runs.run_directory import RunDirectory
from curate.schemas.errors import outside_errors
from curate.schemas.ledger import Tally

_POLL_SECONDS = 0.3
_REMOTE_POLL_SECONDS = 5.0
_LINE_SECONDS = 10.0
_READING_SHARE = 0.1
"""Of the time: to list a hundred thousand parts takes seconds, in the process that drives them."""


@dataclass(slots=True)
class _Seen:
    """What the markers read so far say."""

    total: int
    started: float
    resumed: int = 0
    names: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    reading_seconds: float = 0.0
    """Of the last look."""

    def items(self) -> tuple[int, str]:
        """The most telling count: what was read, in the finest kind that the stage has."""
        for kind in ("record", "image", "document"):
            count = sum(n for (_, k), n in self.tally.came_in.items() if k == kind)
            if count:
                return count, f"{kind}s"
        return len(self.names), "parts"

    def describe(self, now: float) -> str:
        seconds = max(now - self.started, 1e-3)
        count, unit = self.items()
        made = len(self.names) - self.resumed
        left = (self.total - len(self.names)) * seconds / made if made else None
        eta = "" if left is None or left < 1 else f", {left:.0f}s left"
        return (
            f"{len(self.names)}/{self.total} parts, {count:,} {unit}, {count / seconds:,.0f}/s{eta}"
        )


class ProgressWatch:
    """Progress bars on a terminal, plain lines elsewhere; both on standard error."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._console = Screen(err=True)

    @contextmanager
    def __call__(self, stage: str, total: int) -> Iterator[None]:
        seen = _Seen(total, time.monotonic())
        self._read(stage, seen)
        seen.resumed = len(seen.names)
        stop = threading.Event()
        show = self._bar if self._console.is_terminal else self._lines
        thread = threading.Thread(target=show, args=(stage, seen, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _read(self, stage: str, seen: _Seen) -> None:
        started = time.monotonic()
        new = done_parts(self._run, stage) - seen.names
        for marker in read_markers(self._run, stage, new).values():
            seen.tally.add(Tally.from_json(marker["tally"]))
        seen.names |= new
        seen.reading_seconds = time.monotonic() - started

    def _try_read(self, stage: str, seen: _Seen) -> None:
        """As `_read`; a place that does not answer is the work's to report, not the progress'."""
        with suppress(*outside_errors()):
            self._read(stage, seen)

    def _poll(self, seen: _Seen) -> float:
        least = _POLL_SECONDS if self._run.is_local else _REMOTE_POLL_SECONDS
        return max(least, seen.reading_seconds / _READING_SHARE)

    def _bar(self, stage: str, seen: _Seen, stop: threading.Event) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn(f"{stage:<14}"),
            BarColumn(bar_width=14),
            _Describe(seen),
        )
        # Redirected, what is printed meanwhile would be read for styles and links.
        with Progress(
            *columns, console=self._console, redirect_stdout=False, redirect_stderr=False
        ) as progress:
            task = progress.add_task(stage, total=seen.total)
            while not stop.wait(self._poll(seen)):
                self._try_read(stage, seen)
                progress.update(task, completed=len(seen.names))
            self._try_read(stage, seen)
            progress.update(task, completed=len(seen.names))

    def _lines(self, stage: str, seen: _Seen, stop: threading.Event) -> None:
        said = time.monotonic()
        while not stop.wait(self._poll(seen)):
            if time.monotonic() - said >= _LINE_SECONDS:
                self._try_read(stage, seen)
                say(f"{stage}: {seen.describe(time.monotonic())}", err=True)
                said = time.monotonic()
        self._try_read(stage, seen)
        say(f"{stage}: {seen.describe(time.monotonic())}", err=True)


class _Describe(ProgressColumn):
    def __init__(self, seen: _Seen) -> None:
        super().__init__()
        self._seen = seen

    def render(self, task: Task) -> Text:
        end = task.finished_time
        now = time.monotonic() if end is None else self._seen.started + end
        return Text(self._seen.describe(now))
