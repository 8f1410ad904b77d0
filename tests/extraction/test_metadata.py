from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from curate.extraction.metadata import Metadata, iso_day, read_metadata


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021-03-04", "2021-03-04"),
        ("2021-03-04T05:06:07+01:00", "2021-03-04"),
        ("20210304", "2021-03-04"),
        ("2021/03/04 10:00", "2021-03-04"),
        ("Thu, 04 Mar 2021 05:06:07 GMT", "2021-03-04"),
        ("2021-13-04", ""),
        ("2021-03-041", ""),
        ("March 4th", ""),
        ("a, b, c", ""),
        ("", ""),
    ],
)
def test_days(text: str, day: str) -> None:
    assert iso_day(text) == day


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>nothing said</p>", Metadata()),
        ("<title>T</title><meta property=og:title content=O>", Metadata(title="T")),
        ("<meta property=og:title content='O  p'>", Metadata(title="O p")),
        ("<meta name=author content=http://a.test/ann>", Metadata()),
        ("<meta http-equiv=Content-Language content='de, en'>", Metadata(language="de")),
        ("<html lang=pt_BR>", Metadata(language="pt-br")),
        ("<html lang=''><meta property=og:locale content=fr_FR>", Metadata(language="fr-fr")),
        ("<meta property=og:image content=/a.jpg>", Metadata(image="/a.jpg")),
        (
            "<meta name=ROBOTS content='noai, follow'><meta content=noindex name=robots>",
            Metadata(robots="noai, follow\nnoindex"),
        ),
        (
            "<meta name=Curate content='noai,\n noml'><meta name=robots content=noindex>",
            Metadata(robots="curate: noai, noml\nnoindex"),
        ),
        ("<meta name=googlebot content=noindex>", Metadata()),
        ("<meta name=tdm-reservation content=' 1'>", Metadata(tdm_reservation="1")),
        (
            '<script type="application/ld+json">{"@graph": [{"headline": "H", "datePublished": '
            '"2020-01-02", "author": [{"name": "Ann"}, "Ben"]}]}</script>',
            Metadata(author="Ann, Ben", published="2020-01-02"),
        ),
        ('<script type="application/ld+json">{"author": </script>', Metadata()),
        (f'<script type="application/ld+json">{"[" * 100_000}</script>', Metadata()),
        ('<script type="application/ld+json">{"datePublished": 7}</script>', Metadata()),
    ],
)
def test_metadata(html: str, expected: Metadata) -> None:
    assert read_metadata(LexborHTMLParser(html), "curate") == expected
