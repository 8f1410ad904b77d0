"""What surrounds every task in a worker: its turn, and its failures in words.

An engine hands on what a worker raised as text alone. What a user can mend (a full disk, a
directory that can't be written, an object store that does not answer, a missing model) is raised as
`WorkError`, whose message is found again in that text. Anything else keeps its trace: it is a bug.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from curate.schemas.errors import CurateError, outside_errors

_RAISED = re.compile(r"WorkError: (.*?)(?: \[while running|\n|$)")
_TURN = threading.Lock()


class WorkError(CurateError):
    """The work of a part failed for a cause outside the program."""


@contextmanager
def working_on(what: str) -> Iterator[None]:
    """Do one task, alone in this process.

    Engines may give a process several bundles at once, each in a thread. Tasks would share its
    decoder, its connections and its memory and gain nothing, for Python runs one of them anyway.

    Raises:
        WorkError: the operating system, an object store or a check of ours refused.
    """
    with _TURN:
        try:
            yield
        except Exception as error:
            # Asked only now: which clients' errors there are depends on what the task has loaded.
            if not isinstance(error, (CurateError, *outside_errors())):
                raise
            told = " ".join(str(error).split())
            raise WorkError(f"{what}: {told or type(error).__name__}") from error


def work_error_in(text: str) -> WorkError | None:
    """The failure that an engine's message tells of, if it is one that a user can mend."""
    found = _RAISED.search(text)
    if found is None:
        return None
    return kept_so_far(found[1])


def kept_so_far(what: str) -> WorkError:
    """The failure that says what went wrong, and what to do."""
    return WorkError(
        f"{what.rstrip('.')}. Finished parts are kept: mend the cause and run the same command "
        "again."
    )
