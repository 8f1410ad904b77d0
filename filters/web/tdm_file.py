"""The TDM reservation protocol's file, `/.well-known/tdmrep.json` (W3C TDMRep, section 6.1)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from curate.filters.web.path_pattern import PathPattern, normal_path, path_pattern

PATH = "/.well-known/tdmrep.json"


@dataclass(frozen=True, slots=True)
class TdmFile:
    """Rules of one host in the order of the file."""

    rules: tuple[tuple[PathPattern, bool], ...] = ()

    def reserves(self, path: str) -> bool:
        """Whether the first rule whose location matches the path reserves the rights."""
        normal = normal_path(path)
        return next((reserved for place, reserved in self.rules if place.matches(normal)), False)


def parse_tdm_file(text: str) -> TdmFile:
    """The rules of a file; one that is not as the protocol has it reserves nothing."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return TdmFile()
    if not isinstance(entries, list):
        return TdmFile()
    return TdmFile(
        tuple(
            (path_pattern(entry["location"]), str(entry.get("tdm-reservation")) == "1")
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("location"), str)
        )
    )
