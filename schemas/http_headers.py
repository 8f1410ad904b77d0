"""HTTP response headers as a mapping: lower-case names, repeated ones as one."""

from __future__ import annotations


def add_header(headers: dict[str, str], name: str, value: str) -> None:
    """Take in one header line.

    Lines of the same name are one with commas (RFC 9110, section 5.2). Not so X-Robots-Tag, in
    which a user agent's name holds for the rest of its line: its lines stay lines.
    """
    name, value = name.strip().lower(), value.strip()
    if name in headers:
        separator = "\n" if name == "x-robots-tag" else ", "
        value = headers[name] + separator + value
    headers[name] = value
