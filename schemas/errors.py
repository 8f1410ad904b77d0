"""Errors that are meant for the user: their message says what, where, what was got, what to do."""

from __future__ import annotations

import sys


class CurateError(Exception):
    """The work failed; the message is complete, and no trace helps."""

    exit_code = 1


class UsageError(CurateError):
    """What was asked for can't be done as asked."""

    exit_code = 2


def outside_errors() -> tuple[type[BaseException], ...]:
    """What the operating system and the clients of object stores raise when they are refused.

    The clients' own errors are no `OSError`; they exist only where a client is loaded.
    """
    found: list[type[BaseException]] = [OSError]
    clients = (
        ("botocore.exceptions", "BotoCoreError"),
        ("aiohttp", "ClientError"),
        ("gcsfs.retry", "HttpError"),
        ("google.auth.exceptions", "GoogleAuthError"),
    )
    for module, name in clients:
        loaded = sys.modules.get(module)
        if loaded is not None:
            found.append(getattr(loaded, name))
    return tuple(found)
