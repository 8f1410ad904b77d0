"""Extraction as the OBELICS paper describes it (appendix A.1), for comparison.

Its own code does not run on a current Python. The steps are those of the paper: strip comments and
tags that hold no content, drop divs whose class names a header, footer, menu and the like, unwrap
formatting tags, and read text and images in document order. There is no choice of a main content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

_STRIPPED = [
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "canvas",
    "audio", "video", "button", "input", "select", "textarea", "form", "nav", "header", "footer",
    "head",
]  # fmt: skip
_UNWRAPPED = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn", "em", "font",
    "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "time", "u", "var", "wbr",
]  # fmt: skip
_UNWANTED_DIVS = re.compile(
    r"(?:^|[\s_-])(?:footer|header|navigation|nav|navbar|menu|sidebar|comments?|related|social|share|"
    r"breadcrumbs?|cookie|banner|advert\w*|popup|modal)(?:$|[\s_-])",
    re.IGNORECASE,
)


def simplified_page(html: str) -> Iterator[tuple[str, str]]:
    """(`text`, a line) and (`image`, an address) in document order."""
    tree = LexborHTMLParser(html)
    tree.strip_tags(_STRIPPED)
    for div in tree.css("div[class], div[id]"):
        label = f"{div.attributes.get('class') or ''} {div.attributes.get('id') or ''}"
        if _UNWANTED_DIVS.search(label):
            div.decompose()
    tree.unwrap_tags(_UNWRAPPED)
    tree.merge_text_nodes()
    if tree.body is None:
        return
    for node in tree.body.traverse(include_text=True):
        if node.is_text_node:
            text = " ".join((node.text_content or "").split())
            if text:
                yield "text", text
        elif node.tag == "img" and (address := node.attributes.get("src")):
            yield "image", address
