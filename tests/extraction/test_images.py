from __future__ import annotations

import pytest

from curate.extraction.images import ImageElement, Picture, background_address, picture_of
from curate.schemas.settings.recipe import Extraction

BASE = "http://site.test/dir/"


def picture(attributes: dict[str, str], options: Extraction) -> Picture | None:
    element = ImageElement(
        attributes=attributes,
        sources=(),
        link=None,
        in_figure=False,
        in_noscript=False,
    )
    return picture_of(element, BASE, options)


def junk(address: str, **attributes: str) -> str:
    given = {"src": address} | {name.rstrip("_"): value for name, value in attributes.items()}
    shown = picture(given, Extraction())
    return "no image" if shown is None else shown.junk


@pytest.mark.parametrize(
    ("address", "attributes", "rule"),
    [
        ("photo.jpg", {}, ""),
        ("photo.jpg", {"width": "640", "height": "1"}, "image.tracking_pixel"),
        ("/track.php?id=7", {}, "image.tracking_pixel"),
        ("http://ad.doubleclick.net/x.jpg", {}, "image.tracking_pixel"),
        ("erode-pixel.png", {}, ""),
        ("blanket-coverage.png", {}, ""),
        ("blank.gif", {}, "no image"),
        ("x.png", {"width": "32", "height": "32"}, "image.icon"),
        ("x.png", {"width": "33", "height": "33"}, ""),
        ("x.png", {"class_": "emoji"}, "image.icon"),
        ("site-logo.png", {}, "image.icon"),
        ("site-logo.png", {"width": "400", "height": "300"}, ""),
        ("note.png", {}, "image.icon"),
        ("a-note.png", {}, ""),
        ("BADGE-algorithm.png", {}, ""),
        ("iconic-views.jpg", {}, ""),
        ("/avatar/ann.jpg", {}, "image.avatar"),
        ("ann.jpg", {"class_": "author-photo"}, "image.avatar"),
    ],
)
def test_what_is_no_picture_is_known_from_markup(
    address: str, attributes: dict[str, str], rule: str
) -> None:
    assert junk(address, **attributes) == rule


@pytest.mark.parametrize(
    ("srcset", "expected"),
    [
        ("a.jpg 320w, b.jpg 640w, c.jpg 2000w", "b.jpg"),
        ("a.jpg 100w, b.jpg 200w", "b.jpg"),
        ("a.jpg 1x, b.jpg 2x", "b.jpg"),
        ("a.jpg wide", "s.jpg"),
    ],
)
def test_the_narrowest_candidate_that_is_wide_enough_wins(srcset: str, expected: str) -> None:
    shown = picture({"src": "s.jpg", "srcset": srcset}, Extraction(srcset_width=500))
    assert shown is not None
    assert shown.url == BASE + expected


@pytest.mark.parametrize(
    ("style", "address"),
    [
        ("background: url(a.png)", "a.png"),
        ("color: red; BACKGROUND-IMAGE : red URL( 'a.png' ) no-repeat", "a.png"),
        ("background: url(data:image/png;base64,AA==)", "data:image/png;base64,AA=="),
        ("background: url() url(b.png)", "b.png"),
        ("background: red; background: url(c.png)", "c.png"),
        ("background: red; list-style: url(d.png)", None),
        ("background:" * 9 + "url(e.png)", "e.png"),
        ("color: red", None),
    ],
)
def test_backgrounds(style: str, address: str | None) -> None:
    assert background_address(style) == address
