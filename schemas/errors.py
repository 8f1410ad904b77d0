"""Errors that are meant for the user: their message says what, where, what was got, what to do."""

from __future__ import annotations


class CurateError(Exception):
    """The work failed; the message is complete, and no trace helps."""

    exit_code = 1


class UsageError(CurateError):
    """What was asked for can't be done as asked."""

    exit_code = 2
