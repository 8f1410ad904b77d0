"""Which address an image element means: responsive candidates, lazy loading, base URLs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

LAZY_SRCSET = ("data-srcset", "data-lazy-srcset", "data-original-set")
LAZY_SRC = (
    "data-src",
    "data-lazy-src",
    "data-original",
    "data-lazy",
    "data-hi-res-src",
    "data-full-src",
    "data-image",
    "data-img-src",
    "data-orig-file",
    "data-large-file",
    "data-actualsrc",
    "data-url",
)
_CANDIDATE = re.compile(r"\s*,*\s*(\S*[^\s,])(?:\s+([^,(]*))?\s*(?:,|$)")
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:px)?\s*$", re.IGNORECASE)
_STYLE_LENGTH = re.compile(r"(?:^|;)\s*(width|height)\s*:\s*(\d+(?:\.\d+)?)px", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?:^|[/_.-])(?:spacer|blank|pixel|transparent|placeholder|lazy|loading|1x1|grey|clear)"
    r"[\w-]*\.(?:gif|png|svg|jpe?g)",
    re.IGNORECASE,
)
_MAX_PIXELS_CSS = 100_000


def rendered_size(attributes: Mapping[str, str | None]) -> tuple[int | None, int | None]:
    """Width and height in CSS pixels from attributes or inline style; None where not given."""
    sizes: dict[str, int] = {}
    for name, value in _STYLE_LENGTH.findall(attributes.get("style") or ""):
        sizes[name.lower()] = round(min(float(value), _MAX_PIXELS_CSS))
    for name in ("width", "height"):
        match = _LENGTH.match(attributes.get(name) or "")
        if match and name not in sizes:
            sizes[name] = round(min(float(match.group(1)), _MAX_PIXELS_CSS))
    return sizes.get("width"), sizes.get("height")


def image_address(
    attributes: Mapping[str, str | None],
    picture_sources: list[Mapping[str, str | None]],
    max_width: int,
) -> str | None:
    """The address a reader's browser would show at its largest, as written in the markup.

    The widest candidate of `srcset` not wider than `max_width` wins (the narrowest, when all are
    wider); then a lazy-loading attribute; then `src`.

    Args:
        attributes: of the `img` (or `amp-img`) element.
        picture_sources: attributes of the `source` elements before it in its `picture`.
        max_width: in pixels.
    """
    sets = [s.get("srcset") or s.get("data-srcset") for s in picture_sources if _raster(s)]
    sets += [attributes.get(name) for name in ("srcset", *LAZY_SRCSET)]
    width, _ = rendered_size(attributes)
    candidates = [c for s in sets if s for c in parse_srcset(s, width or 1)]
    usable = [c for c in candidates if not _is_placeholder(c[1])]
    if usable:
        within = [c for c in usable if c[0] <= max_width]
        return max(within, key=_width)[1] if within else min(usable, key=_width)[1]
    lazy = next((v for n in LAZY_SRC if (v := (attributes.get(n) or "").strip())), None)
    source = (attributes.get("src") or "").strip()
    if (
        lazy
        and _looks_like_address(lazy)
        and (not source or _is_placeholder(source) or lazy != source)
    ):
        return lazy
    return None if not source or _is_placeholder(source) else source


def parse_srcset(srcset: str, rendered_width: int) -> list[tuple[float, str]]:
    """(width in pixels, address) of every candidate; `2x` counts as twice the rendered width.

    Commas inside addresses are kept, as the HTML standard's algorithm does.
    """
    found = []
    for address, descriptor in _CANDIDATE.findall(srcset):
        number = descriptor.strip().split(" ")[0] if descriptor.strip() else "1x"
        try:
            scale = float(number[:-1])
        except ValueError:
            continue
        if number.endswith("w"):
            found.append((scale, address))
        elif number.endswith("x"):
            found.append((scale * rendered_width, address))
    return found


def resolve(base: str, address: str) -> str | None:
    """Absolute http(s) or `data:image` address without fragment, or None for anything else."""
    if address[:5].lower() == "data:":
        return address if address[5:11].lower() == "image/" else None
    try:
        given = urlsplit(address)
        if given.scheme in ("http", "https") and not given.hostname:
            return None
        absolute = urljoin(base, re.sub(r"[\t\r\n]", "", address).replace(" ", "%20"))
        parts = urlsplit(absolute)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
    except ValueError:
        return None
    return absolute.split("#", 1)[0]


def _width(candidate: tuple[float, str]) -> float:
    return candidate[0]


def _raster(source: Mapping[str, str | None]) -> bool:
    return (source.get("type") or "image/").startswith("image/") and "svg" not in (
        source.get("type") or ""
    )


def _looks_like_address(value: str) -> bool:
    return not value.startswith(("{", "[", "#")) and " " not in value.strip()


def _is_placeholder(address: str) -> bool:
    if address[:5].lower() == "data:":
        return len(address) < 400 or address[5:14].lower() == "image/svg"
    return _PLACEHOLDER.search(address.split("?", 1)[0]) is not None
