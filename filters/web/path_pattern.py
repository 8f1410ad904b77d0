"""Patterns on paths as robots.txt and the TDM reservation protocol have them (RFC 9309, 2.2.2).

A pattern is a prefix, in which `*` is anything and a `$` at its end the end of the path. It comes
from a stranger, so it never becomes a regular expression: matching takes time that grows with the
lengths alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern, cut at its stars."""

    parts: tuple[str, ...]
    to_the_end: bool
    octets: int
    """Length of the pattern: of two that match, the longer one decides."""

    def matches(self, path: str) -> bool:
        """Whether the pattern matches a path as `normal_path` gives it."""
        head, *rest = self.parts
        if not path.startswith(head):
            return False
        position = len(head)
        if not rest:
            return not self.to_the_end or position == len(path)
        last = rest.pop() if self.to_the_end else None
        for part in rest:
            found = path.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        return last is None or (path.endswith(last) and len(path) - len(last) >= position)


def path_pattern(text: str) -> PathPattern:
    """Read a pattern."""
    to_the_end = text.endswith("$")
    body = text.removesuffix("$").replace("$", "%24")
    parts = tuple(_normal(part) for part in body.split("*"))
    return PathPattern(parts, to_the_end, len(_normal(text)))


def normal_path(path: str) -> str:
    """A path, with its query, as patterns are matched against it."""
    return _normal(path.replace("*", "%2A").replace("$", "%24")) or "/"


def _normal(text: str) -> str:
    """Percent-encoded where need be, and nowhere else."""
    return _ENCODED.sub(_decoded, quote(text, safe=_ASCII, errors="replace"))


def _decoded(found: re.Match[str]) -> str:
    character = chr(int(found.group()[1:], 16))
    return character if character in _UNRESERVED else found.group().upper()
