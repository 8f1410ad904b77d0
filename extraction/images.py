"""What an image element says: its address among responsive and lazy ones, its size, its use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from curate.schemas.settings.recipe import Extraction

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
_CANDIDATE = re.compile(
    r"[\s,]*+(?:(\S++)(?<=,)|(\S++)(?:\s++((?:[^,(]|\([^)]*+(?:\)|\Z))*+))?|\Z)"
)
"""An address that ends in commas, or one with what describes it, or the end. It fits everywhere, so
that no place is looked at twice."""
_ABSOLUTE = re.compile(r"https?://[a-z\d.-]*[a-z\d]/[^\s#]*")
"""An address that needs no resolving."""
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:px)?\s*$", re.IGNORECASE)
_STYLE_LENGTH = re.compile(r"(?:^|;)\s*(width|height)\s*:\s*(\d+(?:\.\d+)?)px", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?:^|/)(?:spacer|blank|pixel|transparent|placeholder|lazy|loading|1x1|grey|clear)"
    r"[\d_-]*\.(?:gif|png|svg|jpe?g)",
    re.IGNORECASE,
)
_MAX_PIXELS_CSS = 100_000
_BACKGROUND = re.compile(r"background(?:-image)?\s*:([^;]*+)", re.IGNORECASE)
_URL = re.compile(r"url\(", re.IGNORECASE)
_IN_URL = re.compile(r"\s*[\"']?([^\"')]+)")

TRACKER_SIDE = 3
"""CSS pixels up to which a side is that of a counter or spacer, no picture."""
ICON_SIDE = 32
"""CSS pixels up to which both sides are those of an icon or emoji."""
_TRACKER = re.compile(
    r"/(?:pixel|beacon|track(?:er|ing)?|counter|impression|webbug|1x1)\.(?:gif|png|php|aspx?|jpg)|"
    r"//[^/]*(?:doubleclick\.net|scorecardresearch\.|quantserve\.|google-analytics\.)|"
    r"/(?:adserver|pubi?|ads)/|smartadserver|stats\.wordpress|pixel\.wp\.com|feeds\.feedburner\.com/~|facebook\.com/tr\b|amazon-adsystem",
    re.IGNORECASE,
)
IMAGE_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)$", re.IGNORECASE)
_AVATAR = re.compile(
    r"(?:^|[\s/._-])(?:avatars?|gravatar|userpics?|author[-_]?(?:photo|image))(?:[\s/._-]|$)",
    re.IGNORECASE,
)
_ICON = re.compile(
    r"(?:^|[\s/._-])(?:icons?|ico|favicon|sprites?|bullet|smil(?:ies|ey)|emoji|emoticons?|spin(?:ner)?|"
    r"btn|feed-icon|divider|separator|subscribe|valid-x?html|logo\w*)(?:[\s/._\d-]|$)|"
    r"^(?:note|tip|warning|caution|important|prev|next|home|up|arrow|print|email|rss|share)\.\w+$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class ImageElement:
    """An image element as it stands in the page."""

    attributes: Mapping[str, str | None]
    sources: tuple[Mapping[str, str | None], ...]
    """Attributes of the `source` elements before it in its `picture`."""
    link: str | None
    """`href` of the link around it; None without one."""
    in_figure: bool
    in_noscript: bool
    caption: str = ""

    @property
    def is_gif(self) -> bool:
        """Whether it is a GIF file, which outside of text and figures decorates the page."""
        return (self.attributes.get("src") or "").split("?", 1)[0].lower().endswith(".gif")

    @property
    def links_away(self) -> bool:
        """Whether it is a link to something other than an image file."""
        return self.link is not None and not IMAGE_FILE.search(self.link.split("?", 1)[0])


@dataclass(frozen=True, slots=True)
class Picture:
    """What an image element shows."""

    url: str
    alt: str
    width: int | None
    """In CSS pixels, where the markup says so."""
    height: int | None
    junk: str
    """Name of the rule by which it is no picture of the content; empty for a picture."""
    evidence: str
    """What that rule saw."""


def picture_of(element: ImageElement, base: str, options: Extraction) -> Picture | None:
    """The image that an element shows, or None where it leads to no image.

    Args:
        element: the element.
        base: absolute address that relative ones are resolved against.
        options: wanted `srcset` width, and limit on `data:` length.
    """
    attributes = element.attributes
    address = image_address(attributes, element.sources, options.srcset_width)
    url = resolve(base, address) if address else None
    if url is None or len(url) > options.max_data_uri_bytes:
        return None
    width, height = rendered_size(attributes)
    label = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    junk, evidence = _junk(url, width, height, label)
    return Picture(
        url=url,
        alt=" ".join((attributes.get("alt") or "").split()),
        width=width,
        height=height,
        junk=junk,
        evidence=evidence,
    )


def background_address(style: str) -> str | None:
    """The address in an inline style's `background` or `background-image`."""
    for declaration in _BACKGROUND.finditer(style):
        for opened in _URL.finditer(style, declaration.start(1), declaration.end(1)):
            # An address may go on behind a semicolon, as those of data do.
            if address := _IN_URL.match(style, opened.end()):
                return address.group(1).strip()
    return None


def _junk(url: str, width: int | None, height: int | None, label: str) -> tuple[str, str]:
    """The rule by which an image is no picture, and what it saw: size, address or class."""
    sides = [side for side in (width, height) if side is not None]
    size = f"{width}x{height}"
    if sides and min(sides) <= TRACKER_SIDE:
        return "image.tracking_pixel", size
    is_data = url.startswith("data:")
    if not is_data and (match := _TRACKER.search(url)):
        return "image.tracking_pixel", match.group()
    if len(sides) == 2 and max(sides) <= ICON_SIDE:
        return "image.icon", size
    path = "" if is_data else url.split("?", 1)[0].split("/", 3)[-1]
    if match := _AVATAR.search(path) or _AVATAR.search(label):
        return "image.avatar", match.group()
    if not sides or min(sides) <= 2 * ICON_SIDE:
        name = path.rsplit("/", 1)[-1]
        if match := _ICON.search(name) or _ICON.search(label):
            return "image.icon", match.group()
    return "", ""


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
    picture_sources: Sequence[Mapping[str, str | None]],
    enough: int,
) -> str | None:
    """The address of an image large enough, as written in the markup.

    Of the candidates of `srcset` the narrowest at least `enough` wide wins (the widest, when all
    are narrower); then a lazy-loading attribute; then `src`.

    Args:
        attributes: of the `img` (or `amp-img`) element.
        picture_sources: attributes of the `source` elements before it in its `picture`.
        enough: width in pixels from which a candidate is large enough.
    """
    sets = [s.get("srcset") or s.get("data-srcset") for s in picture_sources if _raster(s)]
    sets += [attributes.get(name) for name in ("srcset", *LAZY_SRCSET)]
    width, _ = rendered_size(attributes)
    candidates = [c for s in sets if s for c in parse_srcset(s, width or 1)]
    usable = [c for c in candidates if not _is_placeholder(c[1])]
    if usable:
        ample = [c for c in usable if c[0] >= enough]
        return min(ample, key=_width)[1] if ample else max(usable, key=_width)[1]
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
    for alone, described, descriptor in _CANDIDATE.findall(srcset):
        address = alone.rstrip(",") or described
        number = next(iter(descriptor.split()), "1x")
        try:
            scale = float(number[:-1])
        except ValueError:
            continue
        if number.endswith("w"):
            found.append((scale, address))
        elif number.endswith("x") and address:
            found.append((scale * rendered_width, address))
    return found


def resolve(base: str, address: str) -> str | None:
    """Absolute http(s) or `data:image` address without fragment, or None for anything else."""
    if address[:5].lower() == "data:":
        return address if address[5:11].lower() == "image/" else None
    if _ABSOLUTE.fullmatch(address):
        return address
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
