"""Real pages, broken at random: what the extractor must bear without an exception or a hang.

    python -m benchmarks.html.mutate ../shared/data/warc --count 100000

Every mutation is drawn by a keyed hash of the page and its number, so a failure can be had again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.html.pages import pages_of
from curate.extraction import extract
from curate.schemas.document import Document
from curate.schemas.identity import content_key
from curate.schemas.verdict import Drop

MAX_SECONDS_A_MEGABYTE = 2.0
"""CPU time that a mutated page may take, on top of half a second."""

_RUBBISH = (
    b"\0", b"\xff\xfe", b"\xf0\x9f", b"&#xd800;", b"&#0;", b"<", b">", b"</", b"<!--", b"-->",
    b"<![CDATA[", b'"', b"'", b"<table><tr>", b"</tr></td>", b"<li>", b"<p><div><p>", b"</body>",
    b"<script>", b"</script>", b"<svg>", b"<math>", b"<template>", b"<select><option>",
    b"<figure><figcaption>", b"</figure>", b"<picture><source>", b"<ol><li><ol>", b"<pre>",
    b"<noscript><img src=x>", b"<plaintext>", b"\xe2\x80\xae", b"<br><br>", b"<td>", b"<a><a>",
)  # fmt: skip


def mutated(html: bytes, number: int) -> bytes:
    """The page with one to eight harms: bytes flipped, cut, doubled, moved or put in."""
    draw = random.Random(content_key(html[:4096] + number.to_bytes(8, "big")))
    page = bytearray(html)
    for _ in range(draw.randint(1, 8)):
        _HARMS[draw.randrange(len(_HARMS))](page, draw)
    return bytes(page)


def _flip(page: bytearray, draw: random.Random) -> None:
    for _ in range(min(len(page), 20)):
        page[draw.randrange(len(page))] = draw.randrange(256)


def _cut(page: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(page) + 1)
    del page[start : start + draw.randrange(2000)]


def _truncate(page: bytearray, draw: random.Random) -> None:
    del page[draw.randrange(len(page) + 1) :]


def _double(page: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(page) + 1)
    piece = page[start : start + draw.randrange(3000)]
    page[start:start] = piece * draw.randint(1, 5)


def _put_in(page: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(page) + 1)
    page[start:start] = _RUBBISH[draw.randrange(len(_RUBBISH))] * draw.choice((1, 1, 3, 200))


_HARMS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _cut,
    _truncate,
    _double,
    _put_in,
    _put_in,
)


def check(html: bytes, url: str) -> float:
    """Extract a page; its CPU seconds.

    Raises:
        AssertionError: it gave neither a document nor a rule, or took too long.
    """
    started = time.process_time()
    outcome = extract(html, url)
    seconds = time.process_time() - started
    assert isinstance(outcome, Document | Drop), outcome
    assert seconds < 0.5 + MAX_SECONDS_A_MEGABYTE * len(html) / 1e6, f"{url}: {seconds:.1f} s"
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("warcs", type=Path, help="folder of WARC files")
    parser.add_argument(
        "--count", type=int, default=100_000, help="mutations (default: %(default)s)"
    )
    parser.add_argument("--start", type=int, default=0, help="number of the first")
    options = parser.parse_args()
    pages = pages_of(sorted(options.warcs.glob("*.warc.gz")))
    longest = total = 0.0
    for number in range(options.start, options.start + options.count):
        page = pages[number % len(pages)]
        seconds = check(mutated(page.payload, number), page.url)
        longest, total = max(longest, seconds), total + seconds
        if (number + 1) % 10_000 == 0:
            print(f"{number + 1} mutations, longest {longest:.2f} s", flush=True)
    print(f"{options.count} mutations in {total:.0f} CPU s, longest {longest:.2f} s")


if __name__ == "__main__":
    main()
