"""No rule on text and no step of extraction takes more than about n log n, whatever the text.

Each is timed on an input of n and of 4n units: a quadratic one takes sixteen times as long. What is
fast on the largest input is not told apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from curate.commands.common import find_recipe
from decontamination.benchmarks import Item
from decontamination.index import build_index
from decontamination.match import find_matches
from dedup.minhash import MinHasher
from dedup.words import word_hashes
from extraction import extract
from extraction.charset import to_utf8
from filters.address import url_rule
from filters.ccnet import ccnet_normalized
from filters.consent import header_rule
from filters.language import language_rule
from filters.page import coherence_rule, length_rule
from filters.reading import count_sentences
from filters.sentences import sentence_starts
from filters.text import apply_text_rules
from schemas.document import Document, TextSegment
from schemas.filter_rules import Filters
from schemas.image_settings import Fetch
from schemas.page import Origin
from schemas.purging import Decontamination
from schemas.verdict import Drop
from tests.abuse.conftest import WHOLE

MOST = 8.0
"""Times as long on four times the input: 4 x log(4n) / log(n) is below 5; noise comes on top."""
LEAST_SECONDS = 0.02 if WHOLE else 0.01
"""The input is doubled until it takes as long."""
LARGEST = (4 << 20) if WHOLE else (1 << 18)

TEXTS: dict[str, Callable[[int], str]] = {
    "prose": lambda n: "The harbour is quiet in the morning, and boats lie there. " * (n // 58),
    "one-long-word": lambda n: "a" * n,
    "one-long-line": lambda n: "word " * (n // 5),
    "short-lines": lambda n: "a\n" * (n // 2),
    "empty-lines": lambda n: "\n" * n,
    "points": lambda n: "." * n,
    "points-and-quotes": lambda n: ".'\"" * (n // 3),
    "hyphens": lambda n: "a-" * (n // 2),
    "apostrophes": lambda n: "a'" * (n // 2),
    "many-apostrophes": lambda n: "'" * n,
    "underscores": lambda n: "a_" * (n // 2),
    "digits": lambda n: "1" * n,
    "digits-and-points": lambda n: "1." * (n // 2),
    "digits-and-hyphens": lambda n: "1-" * (n // 2),
    "digits-and-spaces": lambda n: "1 " * (n // 2),
    "mail-addresses": lambda n: "a@" * (n // 2),
    "mail-domains": lambda n: "a@" + "b." * (n // 2),
    "web-addresses": lambda n: "http://" * (n // 7),
    "one-web-address": lambda n: "http://h/" + "a?" * (n // 2),
    "hashtags": lambda n: "#" * n,
    "hashtag-words": lambda n: "#a" * (n // 2),
    "brackets": lambda n: "([{" * (n // 3),
    "braces": lambda n: "{" * n,
    "bullets": lambda n: "- " * (n // 2),
    "ellipses": lambda n: "... " * (n // 4),
    "spaces": lambda n: "a" + " " * n + "b",
    "combining-marks": lambda n: "a" + "\u0301" * n,
    "han": lambda n: "灯塔看守人" * (n // 5),
    "thai": lambda n: "ที่นี่" * (n // 6),
    "emoji": lambda n: "\U0001f600" * n,
    "mixed-case": lambda n: "Ab" * (n // 2),
    "addresses-of-machines": lambda n: "1.2.3.4 " * (n // 8),
    "abbreviations": lambda n: "e.g. " * (n // 5),
}

ITEMS = build_index(
    [Item(benchmark="b", id=str(i), text=" ".join(["word", "a", str(i)] * 8)) for i in range(50)]
)
HASHER = MinHasher(14, 8, 5)
RULES = Filters()
EVERY_RULE = [find_recipe(name).filters for name in ("fineweb", "dclm", "obelics")]


def all_text_rules(text: str) -> None:
    document = Document(
        id="d",
        source="s",
        url="http://h/",
        segments=(TextSegment(text=text),),
        origin=Origin(warc_file="w", offset=0),
    )
    for filters in EVERY_RULE:
        for name, value in filters.text:
            if value is not None:
                only = type(filters.text)(**{name: value})
                apply_text_rules(replace(document), only, lambda _: None)


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "text rules": all_text_rules,
    "coherence": lambda text: coherence_rule(text, RULES.page),
    "length": lambda text: length_rule(text, RULES.page),
    "language": lambda text: language_rule(text, RULES.page.model_copy(update={"language": "en"})),
    "sentences": count_sentences,
    "sentence starts": sentence_starts,
    "ccnet": lambda text: [ccnet_normalized(line) for line in text.split("\n")],
    "words": word_hashes,
    "minhash": lambda text: (
        HASHER.signature(found) if (found := HASHER.shingles(text)).size else None
    ),
    "benchmark items": lambda text: find_matches(text, ITEMS, Decontamination(benchmarks=("b",))),
    "address": lambda text: url_rule(f"http://h/{text}", RULES.url),
    "headers": lambda text: header_rule({"x-robots-tag": text, "tdm-reservation": text}, Fetch()),
    "charset": lambda text: to_utf8(text.encode(), None),
}

ATTRIBUTES = " ".join(f"a{i}=b" for i in range(250))
PAGES: dict[str, Callable[[int], str]] = {
    "paragraphs": lambda n: "<p>The harbour is quiet, and boats lie there.</p>" * (n // 49),
    "nesting": lambda n: "<div>" * min(n // 5, 1_500) + "x" + "<p>y</p>" * (n // 8),
    "unclosed": lambda n: "<b><i>x" * (n // 7),
    "misnested": lambda n: "<a><p></a>" * (n // 10),
    "formatting": lambda n: "<p><font>x" * (n // 10),
    "attributes": lambda n: "".join(f"<p {ATTRIBUTES}>x</p>" for _ in range(n // 2_000)),
    "one-attribute": lambda n: f"<p class='{'a ' * (n // 2)}'>x</p>",
    "style": lambda n: f"<p style='{'color:red;' * (n // 10)}'>x</p>",
    "classes": lambda n: "".join(f"<p class='c{i}' id='i{i}'>x</p>" for i in range(n // 28)),
    "entities": lambda n: "<p>" + "&amp;" * (n // 5),
    "broken-entities": lambda n: "<p>" + "&" * n,
    "comments": lambda n: "<!-- x -->" * (n // 10) + "<p>y",
    "open-comment": lambda n: "<!--" * (n // 4),
    "cdata": lambda n: "<![CDATA[" * (n // 9),
    "less-than": lambda n: "<" * n,
    "tables": lambda n: "<table><tr><td>x" * (n // 16),
    "cells": lambda n: "<table><tr>" + "<td>x</td>" * (n // 10),
    "rows": lambda n: "<table>" + "<tr><td>x</td></tr>" * (n // 19),
    "lists": lambda n: "<ul>" + "<li>x" * (n // 5),
    "headings": lambda n: "<h2>x</h2>" * (n // 10),
    "links": lambda n: "<a href='/x'>y</a> " * (n // 19),
    "images": lambda n: "".join(f"<img src='/{i}.png'>x" for i in range(n // 22)),
    "figures": lambda n: "<figure><img src=/a.png><figcaption>x</figcaption></figure>" * (n // 60),
    "srcset": lambda n: f"<img srcset='{', '.join(f'/{i}.png {i}w' for i in range(n // 14))}'>",
    "preformatted": lambda n: "<pre>" + "x\n" * (n // 2),
    "breaks": lambda n: "<p>" + "x<br>" * (n // 5),
    "meta": lambda n: "<head>" + "<meta name=a content=b>" * (n // 23) + "</head><p>x",
    "json-ld": lambda n: f"<script type='application/ld+json'>{'[' * n}</script><p>x",
    "mathematics": lambda n: "<p>" + "<math><mi>x</mi></math>" * (n // 23),
    "tex": lambda n: "<p>" + "\\(" * (n // 2),
    "one-long-word": lambda n: "<p>" + "a" * n,
    "definition-lists": lambda n: "<dl>" + "<dt>x<dd>y" * (n // 10),
    "ruby": lambda n: "<p>" + "<ruby>x<rt>y</rt></ruby>" * (n // 24),
    "selects": lambda n: "<select>" + "<option>x" * (n // 9),
}


@pytest.mark.parametrize(
    "tag",
    ["<p " + "a%d=b " * 40_000, "<p " + "a%d='>' " * 40_000, "<p " + "a%d " * 40_000 + ">x"],
)
def test_a_tag_of_many_attributes_is_no_page(tag: str) -> None:
    html = tag % tuple(range(40_000))
    started = time.process_time()
    made = extract(html.encode(), "http://h/")
    assert isinstance(made, Drop)
    assert made.rule == "page.tag_attributes"
    assert time.process_time() - started < 1


def seconds(function: Callable[[str], object], text: str) -> float:
    """The least of three, of this process."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        function(text)
        taken.append(time.process_time() - started)
        if taken[-1] > 1:
            break
    return min(taken)


def growth(function: Callable[[str], object], make: Callable[[int], str]) -> float:
    """Times as long on four times the input, of which the first takes long enough to be timed.

    1 for what is fast on the largest input.
    """
    size = 1 << 12
    while (first := seconds(function, make(size))) < LEAST_SECONDS:
        size *= 2
        if size > LARGEST // 4:
            return 1.0
    return seconds(function, make(4 * size)) / first


def check(function: Callable[[str], object], make: Callable[[int], str]) -> None:
    found = growth(function, make)
    for _ in range(2):
        if found > MOST:
            # Once more, for other work on the machine.
            found = min(found, growth(function, make))
    assert found <= MOST


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rules_on_texts(name: str, text: str) -> None:
    check(FUNCTIONS[name], TEXTS[text])


@pytest.mark.parametrize("page", PAGES)
def test_extraction(page: str) -> None:
    check(lambda html: extract(html.encode(), "http://h/"), PAGES[page])


@pytest.mark.parametrize("text", TEXTS)
def test_extraction_of_a_page_of_it(text: str) -> None:
    check(lambda body: extract(f"<p>{body}</p>".encode(), "http://h/"), TEXTS[text])
