"""What the extractor promises, as pages with the expected document beside each."""

from __future__ import annotations

import time

import pytest

from curate.extraction import extract
from curate.extraction.extract import nesting
from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.settings.recipe import Extraction
from curate.schemas.verdict import Drop
from tests.extraction.test_golden import GOLDEN, extracted

URL = "http://site.test/dir/page.html"
LONG = "This paragraph is long enough to read like the prose of an article, with a full stop."
IMG = "http://site.test/dir/i.png"
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


CASES = [
    (
        "a page of nothing but content needs no structure",
        f"<p>{LONG}</p><img src=i.png><p>{MORE}</p>",
        [LONG, f"[{IMG}]", MORE],
    ),
    (
        "boilerplate goes",
        f"<nav><a href=/>Home</a></nav><article><p>{LONG}</p><p>{MORE}</p></article>"
        "<footer>Copyright</footer><script>var a;</script><style>p{}</style>",
        [LONG, MORE],
    ),
    (
        "addresses that lead nowhere are no images",
        f"<p>{LONG}</p><img src='javascript:x()'><img src=''><img><img src='http://'>",
        [LONG],
    ),
    (
        "addresses are resolved as browsers do",
        f"<p>{LONG}</p><img src='../over.png'><img src='//cdn.test/a b.png#x'><img src='?q=1'>",
        [
            LONG,
            "[http://site.test/over.png]",
            "[http://cdn.test/a%20b.png]",
            "[http://site.test/dir/page.html?q=1]",
        ],
    ),
]


@pytest.mark.parametrize(("body", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_extract(body: str, expected: list[str]) -> None:
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


def test_metadata_is_stored_and_not_mixed_in() -> None:
    head = (
        "<title> A\n title </title><meta name=author content='Ann Archer'>"
        "<meta property='article:published_time' content='2021-03-04T05:06:07Z'>"
    )
    html = f"<html lang=en-GB><head>{head}</head><body><p>{LONG}</p></body></html>"
    document = extract(html.encode(), URL)
    assert isinstance(document, Document)
    assert (document.title, document.text) == ("A title", LONG)
    assert (document.author, document.published) == ("Ann Archer", "2021-03-04")
    assert document.language == "en-gb"


def test_comments_are_apart_and_only_on_request() -> None:
    part = GOLDEN.joinpath("comments.html").read_text(encoding="utf-8")
    assert extracted(part).comments == ()
    document = extracted(part, Extraction(comments=True))
    told = "I was there that winter and remember the carts on the ice very well."
    assert told in "\n".join(document.comments)
    assert told not in document.text


def test_css_backgrounds_are_images_on_request() -> None:
    part = GOLDEN.joinpath("css_background.html").read_text(encoding="utf-8")
    document = extracted(part, Extraction(css_backgrounds=True))
    assert [image.url for image in document.images] == ["http://site.test/dir/backdrop.jpg"]


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        (f"<p>{LONG}</p>", Extraction(), [("http://site.test/og.jpg", "og_image")]),
        (f"<p>{LONG}</p><img src=i.png>", Extraction(), [(IMG, "end")]),
        (f"<p>{LONG}</p>", Extraction(og_image=False), []),
    ],
)
def test_the_lead_image_of_the_head_is_for_bodies_without_images(
    body: str, options: Extraction, expected: list[tuple[str, str]]
) -> None:
    html = f"<head><meta property=og:image content=/og.jpg></head><body>{body}</body>"
    document = extract(html.encode(), URL, limits=options)
    assert isinstance(document, Document)
    assert [(image.url, image.rule) for image in document.images] == expected


def test_images_that_are_no_pictures_are_told_with_the_rule_that_saw_it() -> None:
    document = extracted(GOLDEN.joinpath("no_pictures.html").read_text(encoding="utf-8"))
    assert [(left.url.rsplit("/", 1)[-1], left.drop.rule) for left in document.left_out] == [
        ("beacon.gif", "image.tracking_pixel"),
        ("smiley.gif", "image.icon"),
        ("ann.jpg", "image.avatar"),
        ("i.png", "image.icon"),
    ]


def test_the_fallback_decides_where_the_model_is_unsure() -> None:
    pytest.importorskip("trafilatura", reason="needs the extra `fallback`")
    part = f"<p>{LONG}</p><img src=i.png><p>{MORE}</p><ol><li>{LONG[5:]}</li></ol>"
    sure = extracted(part, Extraction(fallback="trafilatura", fallback_confidence=0))
    asked = extracted(part, Extraction(fallback="trafilatura", fallback_confidence=1))
    assert sure == extracted(part)
    assert asked.scores["extraction.confidence"] == sure.scores["extraction.confidence"]
    assert LONG in asked.text
    assert f"1. {LONG[5:]}" in asked.text
    assert [image.url for image in asked.images] == [IMG]


@pytest.mark.parametrize(
    ("limits", "html", "rule"),
    [
        (Extraction(max_html_bytes=10), b"<p>" + b"x" * 20, "page.html_bytes"),
        (Extraction(max_dom_nodes=5), b"<b>" * 9, "page.dom_nodes"),
        (Extraction(max_dom_depth=20), b"<div>" * 30, "page.dom_depth"),
        (Extraction(), b"<div>" * 100_000, "page.dom_depth"),
        (Extraction(), b"<div>" * 50_000 + b"</div>" * 50_000, "page.dom_depth"),
        (Extraction(), b"<b>x" * 100_000, "page.dom_depth"),
        (Extraction(), b"<p>word " * (50 << 17), "page.html_bytes"),
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


@pytest.mark.parametrize(
    ("html", "deepest"),
    [
        (b"<div></div>" * 9, 1),
        (b"<div>" * 9 + b"</div>" * 9, 9),
        # End tags of what is not open close nothing, and cost the parser a search.
        (b"</a><svg>" * 9, 9),
        (b"<b><i></b>" * 9, 10),
        (b"<p><li><td>" * 9, 0),
        (b"<A" * 9, 1),
    ],
)
def test_nesting_is_measured_without_parsing(html: bytes, deepest: int) -> None:
    assert nesting(html) == deepest


def test_end_tags_of_nothing_hide_no_depth() -> None:
    drop = extract(b"</a><svg>" * 20_000, "http://h/")
    assert isinstance(drop, Drop)
    assert drop.rule == "page.dom_depth"
