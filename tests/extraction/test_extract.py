"""What the extractor promises, as pages with the expected document beside each."""

from __future__ import annotations

import time

import pytest

from extraction import extract
from schemas.document import Document, ImageSegment, TextSegment
from schemas.recipe import Extraction
from schemas.verdict import Drop

URL = "http://site.test/dir/page.html"
LONG = "This paragraph is long enough to read like the prose of an article, with a full stop."
MORE = "And here is another one, which says a little more about the very same quiet subject."


def segments(body: str, head: str = "") -> list[str]:
    """The document as a list: lines of text, and `[URL]`, `[URL|alt]` or `[URL|alt|caption]`."""
    document = extract(f"<html><head>{head}</head><body>{body}</body></html>".encode(), URL)
    assert isinstance(document, Document)
    shown: list[str] = []
    for segment in document.segments:
        if isinstance(segment, TextSegment):
            shown += segment.text.split("\n")
        else:
            fields = [segment.url, segment.alt, segment.caption]
            shown.append("[" + "|".join(fields).rstrip("|") + "]")
    return shown


IMG = "http://site.test/dir/i.png"

GOLDEN = [
    ("reading order", f"<p>{LONG}</p><img src=i.png><p>{MORE}</p>", [LONG, f"[{IMG}]", MORE]),
    (
        "an image inside a paragraph",
        f"<p>{LONG} <img src=i.png alt='A cat'> {MORE}</p>",
        [LONG, f"[{IMG}|A cat]", MORE],
    ),
    (
        "a figure keeps its caption, and the text does not repeat it",
        f"<p>{LONG}</p><figure><img src=i.png alt=Cat><figcaption>My <b>cat</b>.</figcaption>"
        f"</figure><p>{MORE}</p>",
        [LONG, f"[{IMG}|Cat|My cat.]", MORE],
    ),
    (
        "a figure without an image keeps its caption as text",
        f"<p>{LONG}</p><figure><pre>x = 1</pre><figcaption>Listing one.</figcaption></figure>",
        [LONG, "x = 1", "Listing one."],
    ),
    (
        "headings, lists and breaks are lines",
        f"<h2>Title</h2><p>{LONG}</p><ul><li>one</li><li>two<ul><li>deep</li></ul></li></ul>"
        f"<ol><li>first</li><li>second</li></ol><p>{MORE}<br>After the break.</p>",
        [
            "Title",
            LONG,
            "- one",
            "- two",
            "- deep",
            "1. first",
            "2. second",
            MORE,
            "After the break.",
        ],
    ),
    (
        "a table row is a line",
        f"<p>{LONG}</p><table><tr><th>Name</th><th>Size</th></tr><tr><td>a</td><td>1</td></tr>"
        f"</table><p>{MORE}</p>",
        [LONG, "Name | Size", "a | 1", MORE],
    ),
    (
        "preformatted text is kept as it stands",
        f"<p>{LONG}</p><pre>def f():\n    return  1</pre><p>{MORE}</p>",
        [LONG, "def f():", "    return  1", MORE],
    ),
    (
        "boilerplate goes",
        f"<nav><a href=/>Home</a></nav><div class='sidebar'><p>{MORE}</p></div><article><p>{LONG}"
        "</p></article><footer>Copyright</footer><script>var a;</script><style>p{}</style>",
        [LONG],
    ),
    (
        "hidden text goes",
        f"<p>{LONG}</p><p hidden>{MORE}</p><div style='display: none'>{MORE}</div>"
        f"<p aria-hidden=true>{MORE}</p>",
        [LONG],
    ),
    (
        "runs of links go, a link in a sentence stays",
        f"<p>{LONG} <a href=x>A link</a> in it.</p><ul><li><a href=a>Go here</a></li>"
        "<li><a href=b>Go there</a></li></ul>",
        [f"{LONG} A link in it."],
    ),
    (
        "an empty list item and stray punctuation say nothing",
        f"<p>{LONG}</p><ul><li></li><li><img src=i.png></li></ul><ol>{'<li> </li>' * 12}</ol>"
        "<p><img src=i.png>,</p><p>★</p><p>7</p>",
        [LONG, f"[{IMG}]", f"[{IMG}]", "★", "7"],
    ),
    (
        "the largest candidate of srcset within the limit wins",
        f"<p>{LONG}</p><img src=s.png srcset='a.png 400w, b.png 1200w, c.png 9000w'>",
        [LONG, "[http://site.test/dir/b.png]"],
    ),
    (
        "commas in srcset addresses",
        f"<p>{LONG}</p><img srcset='/w_100,h_50/a.png 100w, /w_200,h_100/a.png 200w'>",
        [LONG, "[http://site.test/w_200,h_100/a.png]"],
    ),
    (
        "picture takes a raster source over the fallback",
        f"<p>{LONG}</p><picture><source type=image/svg+xml srcset=v.svg><source "
        "type=image/webp srcset='p.webp 800w'><img src=f.jpg alt=P></picture>",
        [LONG, "[http://site.test/dir/p.webp|P]"],
    ),
    (
        "lazy loading",
        f"<p>{LONG}</p><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' data-src=/l.jpg>",
        [LONG, "[http://site.test/l.jpg]"],
    ),
    (
        "a noscript fallback counts, and is not doubled",
        f"<p>{LONG}</p><img class=lazy data-src=/l.jpg><noscript><img src=/l.jpg></noscript>"
        f"<p>{MORE}</p><noscript><img src=/n.jpg></noscript>",
        [LONG, "[http://site.test/l.jpg]", MORE, "[http://site.test/n.jpg]"],
    ),
    (
        "addresses that lead nowhere are no images",
        f"<p>{LONG}</p><img src='javascript:x()'><img src=''><img><img src='http://'>",
        [LONG],
    ),
    (
        "addresses are resolved as browsers do",
        f"<p>{LONG}</p><img src='../up.png'><img src='//cdn.test/a b.png#x'><img src='?q=1'>",
        [
            LONG,
            "[http://site.test/up.png]",
            "[http://cdn.test/a%20b.png]",
            "[http://site.test/dir/page.html?q=1]",
        ],
    ),
]


@pytest.mark.parametrize(("body", "expected"), [g[1:] for g in GOLDEN], ids=[g[0] for g in GOLDEN])
def test_golden(body: str, expected: list[str]) -> None:
    assert segments(body) == expected


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (f"<p>{LONG} <img src=a.png> and on</p>", f"{LONG} and on"),
        (f"<p>{LONG} <img src=a.png><img src=b.png> and on</p>", f"{LONG} and on"),
        (f"<p>{LONG} <b>bold <img src=a.png> on</b> and on</p>", f"{LONG} bold on and on"),
        (f"<p>{LONG}</p><img src=a.png><p>And on.</p>", f"{LONG}\nAnd on."),
        (f"<p>{LONG} <img src=a.png></p><p>And on.</p>", f"{LONG}\nAnd on."),
        (f"<p>{LONG} </p><p><img src=a.png> And on.</p>", f"{LONG}\nAnd on."),
    ],
)
def test_a_line_that_an_image_interrupts_is_one_line_without_it(body: str, text: str) -> None:
    document = extract(body.encode(), URL)
    assert isinstance(document, Document)
    assert document.images
    without = [s for s in document.segments if isinstance(s, TextSegment)]
    assert document.with_segments(without).text == text


def test_base_changes_what_addresses_are_relative_to() -> None:
    body = f"<p>{LONG}</p><img src=i.png>"
    assert segments(body, "<base href='http://cdn.test/x/'>") == [LONG, "[http://cdn.test/x/i.png]"]


def test_data_images_are_kept_whole() -> None:
    uri = "data:image/png;base64," + "iVBORw0KGgo" * 50
    assert segments(f"<p>{LONG}</p><img src='{uri}' alt=D>") == [LONG, f"[{uri}|D]"]


def test_rendered_size_is_kept() -> None:
    document = extract(
        f"<p>{LONG}</p><img src=a.png width=30 height='40px'>"
        "<img src=b.png style='width: 50.4px' height=60%>".encode(),
        URL,
    )
    assert isinstance(document, Document)
    first, second = (s for s in document.segments if isinstance(s, ImageSegment))
    assert (first.width, first.height, second.width, second.height) == (30, 40, 50, None)


def test_title_is_stored_and_not_mixed_in() -> None:
    document = extract(f"<title> A\n title </title><p>{LONG}</p>".encode(), URL)
    assert isinstance(document, Document)
    assert (document.title, document.text) == ("A title", LONG)


@pytest.mark.parametrize(
    ("limits", "html", "rule"),
    [
        (Extraction(max_html_bytes=10), b"<p>" + b"x" * 20, "page.html_bytes"),
        (Extraction(max_dom_nodes=5), b"<b>" * 9, "page.dom_nodes"),
        (Extraction(max_dom_depth=20), b"<div>" * 30, "page.dom_depth"),
        (Extraction(), b"<div>" * 100_000, "page.dom_depth"),
        (Extraction(), b"<div>" * 50_000 + b"</div>" * 50_000, "page.dom_depth"),
    ],
)
def test_limits_are_rules(limits: Extraction, html: bytes, rule: str) -> None:
    started = time.monotonic()
    outcome = extract(html, URL, limits=limits)
    assert isinstance(outcome, Drop)
    assert outcome.rule == rule
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "html",
    [b"", b"\0\0\0", b"\xff\xfe", b"<", b"<html", b"plain text", b"<p>" * 500, b"\x80\x81" * 500],
)
def test_rubbish_gives_a_document(html: bytes) -> None:
    assert isinstance(extract(html, URL), Document)


def test_a_million_siblings_are_bounded() -> None:
    started = time.monotonic()
    outcome = extract(b"<p>x" * 1_000_001, URL)
    assert isinstance(outcome, Drop)
    assert outcome.rule == "page.dom_nodes"
    assert time.monotonic() - started < 5
