"""HTML extraction: ours against trafilatura and resiliparse, in pages per CPU second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.timing import compare
from extraction import extract
from extraction.charset import decode_html
from filters.record import classify_record
from schemas.page import Record
from sources.archive import read_archive

_PAGES = 300


def run(warcs: list[Path]) -> None:
    records = [
        item
        for path in warcs
        for item in read_archive(str(path), 64 << 20)
        if isinstance(item, Record) and classify_record(item) == "page"
    ]
    pages = records[:: max(len(records) // _PAGES, 1)]
    texts = [decode_html(p.payload, p.charset) for p in pages]

    def each(work: Callable[[int], object]) -> Callable[[], int]:
        def go() -> int:
            for index in range(len(pages)):
                work(index)
            return len(pages)

        return go

    candidates = {
        "trafilatura, fast": each(lambda i: trafilatura.extract(texts[i], fast=True)),
        "resiliparse, main content": each(
            lambda i: extract_plain_text(texts[i], main_content=True)
        ),
        "curate, text and images": each(
            lambda i: extract(pages[i].payload, pages[i].url, charset=pages[i].charset)
        ),
    }
    compare(candidates, "pages", rounds=2)
