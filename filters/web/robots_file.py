"""robots.txt (RFC 9309): which paths of a host a robot may ask for.

groups of `User-agent` lines ▶ the group of our name, or of `*` ▶ the longest rule that matches
"""

from __future__ import annotations

from dataclasses import dataclass, field

from curate.filters.web.path_pattern import PathPattern, normal_path, path_pattern

_USER_AGENT = frozenset({"user-agent", "useragent", "user agent"})
_ALLOW = frozenset({"allow"})
_DISALLOW = frozenset({"disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"})
"""With the misspellings that Google's parser takes for it."""


@dataclass(frozen=True, slots=True)
class RobotsFile:
    """The rules of one host for one robot."""

    rules: tuple[tuple[PathPattern, bool], ...] = ()

    def allows(self, path: str) -> bool:
        """Whether the robot may ask for a path, given with its query.

        The longest rule that matches decides; of two as long, the one that allows.
        """
        if path == "/robots.txt":
            return True
        normal = normal_path(path)
        matching = [(p.octets, allowed) for p, allowed in self.rules if p.matches(normal)]
        return max(matching)[1] if matching else True


@dataclass(slots=True)
class _Group:
    names: set[str] = field(default_factory=set)
    rules: list[tuple[PathPattern, bool]] = field(default_factory=list)


def parse_robots_file(text: str, robot: str) -> RobotsFile:
    """The rules that hold for a robot; any text can be read.

    Args:
        robot: the product token, as `curate`.
    """
    groups = _groups(text)
    for name in (robot.lower(), "*"):
        own = [group for group in groups if name in group.names]
        if own:
            return RobotsFile(tuple(rule for group in own for rule in group.rules))
    return RobotsFile()


def _groups(text: str) -> list[_Group]:
    groups: list[_Group] = []
    naming = False
    for line in text.removeprefix("\ufeff").splitlines():
        key, colon, value = line.split("#", 1)[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key in _USER_AGENT:
            if not naming:
                groups.append(_Group())
            naming = True
            groups[-1].names.add(value.split("/", 1)[0].strip().lower())
        elif key in _ALLOW or key in _DISALLOW:
            naming = False
            if groups and value:
                groups[-1].rules.append((path_pattern(value), key in _ALLOW))
    return groups
