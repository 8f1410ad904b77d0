from __future__ import annotations

import pytest

from extraction.images import ImageElement, picture_of
from schemas.recipe import Extraction

BASE = "http://site.test/dir/"


def junk(address: str, **attributes: str) -> str:
    element = ImageElement(
        attributes={"src": address} | {k.rstrip("_"): v for k, v in attributes.items()},
        sources=(),
        link=None,
        in_figure=False,
        in_noscript=False,
        is_background=False,
    )
    picture = picture_of(element, BASE, Extraction())
    return "no image" if picture is None else picture.junk


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
    element = ImageElement(
        attributes={"src": "s.jpg", "srcset": srcset},
        sources=(),
        link=None,
        in_figure=False,
        in_noscript=False,
        is_background=False,
    )
    picture = picture_of(element, BASE, Extraction(srcset_width=500))
    assert picture is not None
    assert picture.url == BASE + expected
