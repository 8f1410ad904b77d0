"""The extractors that ours is compared with, as functions from HTML to text."""

from __future__ import annotations

import logging
from collections.abc import Callable

import justext
import lxml.html
import readability
import trafilatura
from lxml import etree
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.html.gold import image_name
from benchmarks.html.obelics_style import simplified_page

# Pages that these give up on are counted as empty here, and not told one by one.
for _name in ("readability.readability", "trafilatura"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def _trafilatura_fast(html: str) -> str:
    return trafilatura.extract(html, fast=True, include_comments=False) or ""


def _trafilatura(html: str) -> str:
    return trafilatura.extract(html) or ""


def _trafilatura_precision(html: str) -> str:
    return trafilatura.extract(html, favor_precision=True) or ""


def _resiliparse(html: str) -> str:
    return extract_plain_text(html, main_content=True)


def _readability(html: str) -> str:
    try:
        summary = readability.Document(html).summary()
    except (readability.readability.Unparseable, ValueError):
        return ""
    return str(lxml.html.fromstring(summary).text_content())


def _justext(html: str) -> str:
    try:
        paragraphs = justext.justext(
            html.encode(), justext.get_stoplist("English"), encoding="utf-8"
        )
    except ValueError:
        return ""
    return "\n".join(p.text for p in paragraphs if not p.is_boilerplate)


def _obelics_style(html: str) -> str:
    return "\n".join(part for kind, part in simplified_page(html) if kind == "text")


TEXT: dict[str, Callable[[str], str]] = {
    "trafilatura fast": _trafilatura_fast,
    "trafilatura": _trafilatura,
    "trafilatura precision": _trafilatura_precision,
    "resiliparse": _resiliparse,
    "readability-lxml": _readability,
    "justext": _justext,
    "OBELICS-style": _obelics_style,
}


def trafilatura_images(html: str, url: str) -> list[str]:
    """Names of the images that trafilatura keeps, in order."""
    found = trafilatura.extract(html, url=url, include_images=True, output_format="xml")
    if not found:
        return []
    graphics = etree.fromstring(found.encode()).iter("graphic")
    return [image_name(graphic.get("src") or "") for graphic in graphics]


def obelics_style_images(html: str, url: str) -> list[str]:
    """Names of the images that the OBELICS-style extraction keeps, in order."""
    del url
    return [image_name(part) for kind, part in simplified_page(html) if kind == "image"]


IMAGES: dict[str, Callable[[str, str], list[str]]] = {
    "trafilatura": trafilatura_images,
    "OBELICS-style": obelics_style_images,
}
