"""No rule on text and no step of extraction or tokenization takes more than n log n.

Each is timed on n, 2n and 4n of texts made to hurt: those that are written out here, and fragments
of markup, punctuation and marks that hypothesis makes, repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from curate.extraction import extract
from curate.schemas.verdict import Drop
from curate.tokenization.train import train_model
from curate.tokenization.vocabulary import Vocabulary
from tests.abuse.conftest import WHOLE
from tests.abuse.growth import LEAST_SECONDS, MARGIN, check, excess
from tests.abuse.text_steps import Step, names, steps

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
    "addresses-of-machines": lambda n: "8.8.8.8 " * (n // 8),
    "marks-to-sort": lambda n: "a" + "\u0301\u0316" * (n // 2),
    "half-width": lambda n: "ｶﾞ" * (n // 2),
    "presentation-forms": lambda n: "ﷺ" * (n // 8),
    "jamo": lambda n: "\u1112\u1161\u11ab" * (n // 3),
    "joiners": lambda n: "क\u200d" * (n // 2),
    "phone-numbers": lambda n: "+1 (2) " * (n // 7),
    "percent": lambda n: "%41" * (n // 3),
    "stars": lambda n: "*a" * (n // 2),
    "commas": lambda n: "a, " * (n // 3),
    "colons": lambda n: "a:" * (n // 2),
    "backgrounds": lambda n: "background:" * (n // 11),
    "widths": lambda n: "width:1" * (n // 7),
    "tags": lambda n: "<A" * (n // 2),
    "secrets": lambda n: "http://u:p@h/?sig=a&" * (n // 20),
    "abbreviations": lambda n: "e.g. " * (n // 5),
}

TEXTS_OF_A_STEP = len(TEXTS) if WHOLE else 3
"""In `make test` each step gets some of the texts: others than its neighbour."""
FRAGMENTS = 60 if WHOLE else 2
"""Texts of hypothesis for each step."""

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


MARKS = [*"aA1 \n\t.,:;!?'\"()[]{}<>/\\|@#&%*+-_=~$^`’…漢ทﾞ", "\u0301", "\u0316", "\u200d"]
RUNS = "http:// www. &amp; url( width: \\( $$ e.g. --- :: ]]> https://h.test/ ... 8.8.8.8".split()
ALPHABET = st.sampled_from([*MARKS, *RUNS]) | st.characters(min_codepoint=0x80)
OPENED = "p div b i a table tr td th ul li dl dt h2 pre br math mi sub script title select".split()
OPENED += "option figure svg ruby textarea style template form".split()
CLOSED = "p div b a table tr td ul pre math script style".split()
BROKEN = ["<img src=a.png>", "<p class=", "<p style='", "<!--", "-->", "<![CDATA[", "<", "&#", "x"]
MARKUP = st.sampled_from([f"<{t}>" for t in OPENED] + [f"</{t}>" for t in CLOSED] + BROKEN)
fragments = st.lists(ALPHABET, min_size=1, max_size=6).map("".join)
markup = st.lists(MARKUP, min_size=1, max_size=6).map("".join)
of_hypothesis = settings(
    max_examples=FRAGMENTS,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def repeated(before: str, fragment: str, after: str) -> Callable[[int], str]:
    return lambda n: before + fragment * (n // len(fragment)) + after


@pytest.fixture(scope="module")
def every_step(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    lines = [f"the {a} and the {b} by the sea" for a in TEXTS for b in TEXTS]
    model = train_model(lines, vocabulary=100, character_coverage=0.9999)
    return steps(tmp_path_factory.mktemp("models"), Vocabulary(model))


STEPS = [
    (name, text)
    for place, name in enumerate(names())
    for text in [
        [*TEXTS, *TEXTS][(place * 5 + i * 17) % len(TEXTS)] for i in range(TEXTS_OF_A_STEP)
    ]
]


def test_what_is_quadratic_is_found() -> None:
    """The measure itself: each place of the text looks through all that is behind it."""

    def quadratic(text: str) -> object:
        return [text.count("12", place) for place in range(len(text))]

    assert excess(quadratic, TEXTS["digits"], LEAST_SECONDS) > 1.5 * MARGIN


@pytest.mark.parametrize(("name", "text"), STEPS)
def test_steps_on_texts(every_step: dict[str, Step], name: str, text: str) -> None:
    check(every_step[name], TEXTS[text])


@pytest.mark.parametrize("name", names())
@of_hypothesis
@given(st.sampled_from(["", "a", "<p>"]), fragments, st.sampled_from(["", "!", "b"]))
def test_steps_on_fragments(
    every_step: dict[str, Step], name: str, before: str, fragment: str, after: str
) -> None:
    check(every_step[name], repeated(before, fragment, after))


@pytest.mark.parametrize("page", PAGES)
def test_extraction(page: str) -> None:
    check(as_page, PAGES[page])


@pytest.mark.parametrize("text", TEXTS)
def test_extraction_of_a_page_of_it(text: str) -> None:
    check(lambda body: as_page(f"<p>{body}</p>"), TEXTS[text])


@settings(of_hypothesis, max_examples=300 if WHOLE else 20)
@given(markup)
def test_extraction_of_fragments(fragment: str) -> None:
    check(as_page, repeated("", fragment, ""))


def as_page(html: str) -> object:
    return extract(html.encode("utf-8", "replace"), "http://h/")


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
