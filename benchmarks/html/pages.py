"""The pages that speed is measured on and that are broken to see what comes of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from curate.filters.web.record import classify_record
from curate.schemas.page import Record
from curate.sources.archives.archive import read_archive

_EVERY = 6


def pages_of(warcs: list[Path]) -> list[Record]:
    """Every `_EVERY`th page of all archives."""
    pages = (
        item
        for path in warcs
        for item in read_archive(str(path), 64 << 20)
        if isinstance(item, Record) and classify_record(item) == "page"
    )
    return list(islice(pages, 0, None, _EVERY))
