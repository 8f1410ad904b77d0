"""A second opinion on pages that the block classifier is unsure of: trafilatura's.

Its text decides which blocks are content; reading order, headings, tables and images stay ours.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

from curate.extraction.walk import Block
from curate.schemas.errors import CurateError

EXTRA = "fallback"
_LIST_MARKER = re.compile(r"^ *(?:-|\d+\.) ")


def require_fallback() -> None:
    """Check that the package of the fallback is here.

    Raises:
        CurateError: it is not.
    """
    if find_spec("trafilatura") is None:
        raise CurateError(
            "extraction.fallback is `trafilatura`, which is not installed. Install "
            f"curate-pretraining[{EXTRA}], or take the key out of the recipe."
        )


def blocks_by_trafilatura(html: bytes, texts: list[Block]) -> set[int]:
    """`id()` of the blocks that are in trafilatura's extraction of the page.

    Args:
        html: the page, in UTF-8.
        texts: its text blocks.
    """
    # Imported here, for the package is optional and takes half a second to load.
    import trafilatura

    text = trafilatura.extract(html.decode("utf-8", "replace"), fast=True, include_comments=False)
    squeezed = "".join((text or "").split())
    return {id(block) for block in texts if "".join(_plain(block.text).split()) in squeezed}


def _plain(text: str) -> str:
    """A block without what the walk added to it: list markers and cell separators."""
    return _LIST_MARKER.sub("", text).replace(" | ", " ")
