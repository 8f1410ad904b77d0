"""Log lines of Beam and of stores that tell a second time what the command tells in the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LEVELS = {
    # It warns that workers without its multi-process mode don't work in parallel; ours do.
    "apache_beam.runners.portability.fn_api_runner.fn_runner": logging.ERROR,
    # What a step raised reaches the command, with its trace where a trace helps.
    "apache_beam.runners.common": logging.CRITICAL,
    "apache_beam.runners.portability.portable_runner": logging.CRITICAL,
    "apache_beam.runners.worker.sdk_worker": logging.CRITICAL,
    # Engines hang up on their workers after a job.
    "apache_beam.runners.worker.data_plane": logging.CRITICAL,
    # What a request ended with is in the error that is raised, too.
    "gcsfs": logging.CRITICAL,
}


def _is_news(record: logging.LogRecord) -> bool:
    """False for the errors of an engine's job: the last of them is what its runner raises."""
    return record.module != "portable_runner" or record.levelno < logging.ERROR


@contextmanager
def quiet_beam() -> Iterator[None]:
    """Leave those lines out while the block lasts, in the command and in its workers alike."""
    before = {name: logging.getLogger(name).level for name in _LEVELS}
    root = logging.getLogger()
    is_filtered = _is_news in root.filters
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    # The portable runner writes what a job says to the root logger, from a thread of its own.
    root.addFilter(_is_news)
    try:
        yield
    finally:
        if not is_filtered:
            root.removeFilter(_is_news)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
