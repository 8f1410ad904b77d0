"""HTTP response headers as a mapping: lower-case names, repeated ones as one.

Lines of the same name are one with commas (RFC 9110, section 5.2). Not so X-Robots-Tag, in which a
user agent's name holds for the rest of its line: its lines stay lines.
"""

from __future__ import annotations

from collections.abc import Iterable


def headers_of(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """All headers of an answer, given as names and values."""
    values: dict[str, list[str]] = {}
    for name, value in lines:
        values.setdefault(name.strip().lower(), []).append(value.strip())
    return {name: _separator(name).join(found) for name, found in values.items()}


def add_header(headers: dict[str, str], name: str, value: str) -> None:
    """Take in one header line more.

    Each copies the lines of its name before it: for answers of bounded size.
    """
    name, value = name.strip().lower(), value.strip()
    if name in headers:
        value = headers[name] + _separator(name) + value
    headers[name] = value


def _separator(name: str) -> str:
    return "\n" if name == "x-robots-tag" else ", "
