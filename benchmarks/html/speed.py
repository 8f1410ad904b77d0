"""Pages per CPU second of every extractor, ours by step, and peak memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

from benchmarks.html.pages import pages_of
from benchmarks.html.rivals import TEXT
from benchmarks.timing import compare
from curate.extraction import extract
from curate.extraction.charset import to_utf8
from curate.extraction.content import choose_content
from curate.extraction.features import block_features
from curate.extraction.metadata import read_metadata
from curate.extraction.model import load_model
from curate.extraction.walk import walk_blocks
from curate.schemas.page import Record
from curate.schemas.settings.recipe import Extraction

_ROUNDS = 3


def compare_speed(pages: list[Record]) -> None:
    """Rates, as ratios to trafilatura's fastest setting."""
    texts = [to_utf8(p.payload, p.charset).decode("utf-8", "replace") for p in pages]

    def each(work: Callable[[str], object]) -> Callable[[], int]:
        def go() -> int:
            for text in texts:
                work(text)
            return len(texts)

        return go

    def ours() -> int:
        for page in pages:
            extract(page.payload, page.url, charset=page.charset)
        return len(pages)

    ours()
    candidates = {name: each(work) for name, work in TEXT.items()}
    candidates["curate, text and images"] = ours
    candidates["parse alone (lexbor)"] = each(LexborHTMLParser)
    compare(candidates, "pages", rounds=2)


def time_by_step(pages: list[Record]) -> None:
    """CPU milliseconds a page of every step of ours, best of some rounds for each page."""
    options, model = Extraction(), load_model()
    total: dict[str, float] = defaultdict(float)
    for page in pages:
        best: dict[str, float] = {}
        for _ in range(_ROUNDS):
            clock = _Clock(best)
            html = to_utf8(page.payload, page.charset)
            clock.tick("charset")
            tree = LexborHTMLParser(html)
            clock.tick("parse")
            read_metadata(tree)
            clock.tick("metadata")
            if tree.root is None:
                continue
            walk = walk_blocks(tree.root, options)
            clock.tick("walk")
            texts = [block for block in walk.blocks if block.image is None]
            if texts:
                features = block_features(walk, texts)
                clock.tick("features")
                model.probabilities(features)
                clock.tick("trees")
            choose_content(walk, page.url, options, model)
            clock.tick("features, trees and choice")
            extract(page.payload, page.url, charset=page.charset)
            clock.tick("all")
        for step, seconds in best.items():
            total[step] += seconds
    for step, seconds in total.items():
        print(f"{step:<28} {1000 * seconds / len(pages):6.2f}")


def peak_of(name: str, warcs: list[Path]) -> float:
    """Peak memory in MB of this process (on Linux) after one extractor has done all pages."""
    for page in pages_of(warcs):
        if name == "curate":
            extract(page.payload, page.url, charset=page.charset)
        elif name != "nothing":
            TEXT[name](to_utf8(page.payload, page.charset).decode("utf-8", "replace"))
    # Not `ru_maxrss`, which a new process takes over from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:", 1)[1].split(None, 1)[0]) / 1000


class _Clock:
    def __init__(self, best: dict[str, float]) -> None:
        self.best = best
        self.last = time.perf_counter()

    def tick(self, step: str) -> None:
        """Count the time since the last tick for a step, if it is the shortest yet."""
        seconds = time.perf_counter() - self.last
        self.best[step] = min(seconds, self.best.get(step, seconds))
        self.last = time.perf_counter()
