"""Rules on an image reference in a page, before anything is fetched."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from curate.schemas.document import ImageSegment
from curate.schemas.settings.filter_rules import NodeRules
from curate.schemas.verdict import KEEP, Drop, Verdict

_WORD = re.compile(r"[a-z]+")
_EXTENSION = re.compile(r"\.([a-z0-9]{2,5})$")
_IMAGE_EXTENSIONS = frozenset(
    [
        "jpg",
        "jpeg",
        "png",
        "webp",
        "gif",
        "bmp",
        "svg",
        "tif",
        "tiff",
        "ico",
        "avif",
        "heic",
        "jxl",
        "jfif",
        "apng",
    ]
)


def node_rule(image: ImageSegment, rules: NodeRules) -> Verdict:
    """Judge an image by its address and the size the markup gives it.

    Banned words are whole words of the URL path, so that `iconic` is no `icon` (OBELICS and mmc4
    match substrings); plural forms match too.
    """
    if not image.url.startswith("data:"):
        path = unquote(urlsplit(image.url).path).lower()
        if rules.banned_url_words:
            words = set(_WORD.findall(path))
            for banned in rules.banned_url_words:
                if banned in words or f"{banned}s" in words:
                    return Drop("node.url_word", banned)
        found = _EXTENSION.search(path)
        extension = found.group(1) if found else ""
        if rules.formats and extension in _IMAGE_EXTENSIONS and extension not in rules.formats:
            return Drop("node.format", extension, " ".join(rules.formats))
        if rules.require_extension and extension not in rules.formats:
            return Drop("node.no_extension", extension, " ".join(rules.formats))
    return _rendered_size_rule(image, rules)


def _rendered_size_rule(image: ImageSegment, rules: NodeRules) -> Verdict:
    for side in (image.width, image.height):
        if side is None:
            continue
        if rules.min_rendered_side is not None and side < rules.min_rendered_side:
            return Drop("node.min_rendered_side", side, rules.min_rendered_side)
        if rules.max_rendered_side is not None and side > rules.max_rendered_side:
            return Drop("node.max_rendered_side", side, rules.max_rendered_side)
    if rules.max_rendered_aspect is not None and image.width and image.height:
        aspect = max(image.width, image.height) / min(image.width, image.height)
        if aspect > rules.max_rendered_aspect:
            return Drop("node.max_rendered_aspect", aspect, rules.max_rendered_aspect)
    return KEEP
