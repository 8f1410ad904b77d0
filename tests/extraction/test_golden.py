"""What the extractor promises: the pages of `golden/`, with the expected document beside each.

`golden/NAME.html` is a part of an article. It is put between two paragraphs of one, and that into a
page with a menu, a sidebar and a footer. `golden/NAME.txt` shows what becomes of the part: a line
for every line of text, headings after their level, images as `[address | alt | caption | size]`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.extraction import extract
from curate.schemas.document import Document, ImageSegment, Segment
from curate.schemas.settings.recipe import Extraction

URL = "http://site.test/dir/page.html"
GOLDEN = Path(__file__).with_name("golden")
BEFORE = (
    "The winter of that year was the coldest that anybody in the town could remember, and the "
    "older people said so to everyone who came to the harbour to look at the frozen boats."
)
AFTER = (
    "In spring the ice broke up within a single night, and by the morning the whole bay was open "
    "water again; what the town had learned from it is written in the records to this day."
)
PAGE = """<!doctype html>
<html lang="en-GB"><head><title>The winter of the ice</title></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li></ul></nav>
<div class="sidebar"><h3>Most read</h3><ul><li><a href="/1">A visit to the new market hall</a></li>
<li><a href="/2">Why the ferry was late again</a></li></ul></div>
<main><article><h1>The winter of the ice</h1><p>{before}</p>
{part}
<p>{after}</p></article></main>
<footer><p>Copyright 2020 The Harbour Gazette. <a href="/terms">Terms of use</a></p></footer>
</body></html>"""


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.html")))
def test_golden(name: str) -> None:
    document = extracted(GOLDEN.joinpath(f"{name}.html").read_text(encoding="utf-8"))
    shown = lines_of(document)
    assert shown[:2] == ["h1 The winter of the ice", BEFORE]
    assert shown[-1] == AFTER
    expected = GOLDEN.joinpath(f"{name}.txt").read_text(encoding="utf-8")
    assert shown[2:-1] == expected.splitlines()


def extracted(part: str, options: Extraction | None = None) -> Document:
    html = PAGE.format(before=BEFORE, part=part, after=AFTER)
    document = extract(html.encode(), URL, limits=options)
    assert isinstance(document, Document)
    return document


def lines_of(document: Document) -> list[str]:
    return [line for segment in document.segments for line in _lines(segment)]


def _lines(segment: Segment) -> list[str]:
    if isinstance(segment, ImageSegment):
        size = f"{segment.width}x{segment.height}" if segment.width else ""
        url = segment.url if len(segment.url) < 100 else f"{segment.url[:40]}..."
        fields = [url.removeprefix("http://site.test"), segment.alt, segment.caption, size]
        return [f"[{' | '.join(fields).rstrip(' |')}]"]
    lines = segment.text.split("\n")
    for heading in segment.headings:
        lines[heading.line] = f"h{heading.level} {lines[heading.line]}"
    return lines
