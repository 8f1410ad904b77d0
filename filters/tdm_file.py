"""The TDM reservation protocol's file, `/.well-known/tdmrep.json` (W3C TDMRep, section 6.1)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

PATH = "/.well-known/tdmrep.json"


@dataclass(frozen=True, slots=True)
class TdmFile:
    """Rules of one host in the order of the file."""

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()

    def reserves(self, path: str) -> bool:
        """Whether the first rule whose location matches the path reserves the rights."""
        return next((reserved for place, reserved in self.rules if place.match(path)), False)


def parse_tdm_file(text: str) -> TdmFile:
    """The rules of a file; one that is not as the protocol has it reserves nothing."""
    try:
        entries = json.loads(text)
    except ValueError:
        return TdmFile()
    if not isinstance(entries, list):
        return TdmFile()
    return TdmFile(
        tuple(
            (_pattern(entry["location"]), str(entry.get("tdm-reservation")) == "1")
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("location"), str)
        )
    )


def _pattern(location: str) -> re.Pattern[str]:
    """As in robots.txt: a prefix, in which `*` is anything and a final `$` the end."""
    end = "$" if location.endswith("$") else ""
    # Neighbouring stars are one: each would multiply the ways to match.
    parts = re.split(r"\*+", location.removesuffix("$"))
    return re.compile(".*".join(re.escape(part) for part in parts) + end)
