"""Encoded bytes of the web to the stored image of the recipe's size."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from curate.filters.image import ImageFacts, ImageShape, picture_rule, shape_rule
from curate.media.fingerprint import Box, Fingerprint, fingerprint, small_grey
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.verdict import Drop

ImageFile.LOAD_TRUNCATED_IMAGES = False
# Warnings about odd files are no news on the open web; the one about bombs is an error.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "PPM", "TGA", "PCX")
_SRGB = ImageCms.createProfile("sRGB")
_USUAL_PROFILE_BYTES = 64 << 10
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each value of the tag asks for (EXIF 2.32, section 4.6.4)."""
_BLANK_LEVELS = 5
"""Grey levels, of 256, that look like one."""
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    ArithmeticError,
    IndexError,
    KeyError,
    TypeError,
    EOFError,
    MemoryError,
    RuntimeError,
    OverflowError,
    AssertionError,
    AttributeError,
    NameError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on hostile or broken input; each becomes a ledger row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImage:
    """An image ready to be stored."""

    jpeg: bytes
    width: int
    height: int
    facts: ImageFacts
    """Of the original."""
    fingerprint: Fingerprint


def decode_image(data: bytes, rules: ImageRules, images: Images) -> EncodedImage | Drop:
    """Decode, judge, resize and re-encode one image.

    The shorter side becomes `images.size` (bicubic) and, with `center_crop`, the middle square is
    kept, as CLIP's preprocessing does (KOSMOS-1's loader: 224, bicubic, centre crop). Orientation
    tags are applied, colours become sRGB, transparency is laid over white, the first frame stands
    for an animation. What is stored has no metadata.
    """
    try:
        return _decode(data, rules, images)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Drop("image.max_pixels", str(error)[:200], rules.max_pixels)
    except UnidentifiedImageError:
        return Drop("image.not_an_image", data[:8].hex())
    except _DECODE_ERRORS as error:
        rule = "image.truncated" if "truncated" in str(error) else "image.undecodable"
        return Drop(rule, f"{type(error).__name__}: {error}"[:200])


def _decode(data: bytes, rules: ImageRules, images: Images) -> EncodedImage | Drop:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        shape = ImageShape(
            format=(opened.format or "").lower(),
            width=opened.width,
            height=opened.height,
            encoded_bytes=len(data),
            frames=getattr(opened, "n_frames", 1),
        )
        verdict = shape_rule(shape, rules)
        if isinstance(verdict, Drop):
            return verdict
        if shape.format == "jpeg":
            # DCT scaling to no less than twice the stored size: cheaper, alike after resampling.
            opened.draft("RGB", (images.size * 2, images.size * 2))
        profile = opened.info.get("icc_profile", b"")
        # First of all: reading tags can load the image, and its damage is not theirs.
        opened.load()
        picture = _in_colour(_upright(opened))
    factor = max(min(picture.size) // images.size, 1)
    area = (0.0, 0.0, picture.width / factor, picture.height / factor)
    reduced = _over_white(picture if factor == 1 else picture.reduce(factor))
    resized = _in_srgb(_resize(reduced, area, images), profile)
    small = small_grey(reduced, area)
    facts = ImageFacts(
        **asdict(shape),
        channel_spread=max(high - low for low, high in _extrema(resized)),
        blank_share=_blank_share(small),
        sharpness=_sharpness(resized),
    )
    verdict = picture_rule(facts, rules)
    if isinstance(verdict, Drop):
        return verdict
    buffer = io.BytesIO()
    resized.save(buffer, "JPEG", quality=images.jpeg_quality)
    return EncodedImage(
        jpeg=buffer.getvalue(),
        width=resized.width,
        height=resized.height,
        facts=facts,
        fingerprint=fingerprint(small),
    )


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """An RGB image with the colours of an ICC profile in sRGB; an unusable profile is left out."""
    if not profile or b"sRGB" in profile:
        return picture
    build = _usual_transform if len(profile) <= _USUAL_PROFILE_BYTES else _transform
    transform = build(profile)
    return picture if transform is None else transform.apply(picture)


def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, _SRGB, "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


_usual_transform = lru_cache(maxsize=64)(_transform)
"""Most images with a profile have one of a few, and a transform costs more than an image."""


def _upright(picture: Image.Image) -> Image.Image:
    """The image as its orientation tag says; a tag that can't be read says nothing."""
    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except _DECODE_ERRORS:
        return picture
    return picture if turn is None else picture.transpose(turn)


def _blank_share(small: Image.Image) -> float:
    """Share of the pixels whose grey lies among the most frequent five levels in a row."""
    histogram = np.asarray(small.histogram())
    together = np.convolve(histogram, np.ones(_BLANK_LEVELS, np.int64))
    return float(together.max() / histogram.sum())


def _sharpness(picture: Image.Image) -> float:
    """Variance of the Laplacian of the grey stored image (Pech-Pacheco et al. 2000)."""
    grey = np.asarray(picture.convert("L"), np.int16)
    if min(grey.shape) < 3:
        return 0.0
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1]
    edges += grey[1:-1, :-2]
    edges += grey[1:-1, 2:]
    edges -= 4 * grey[1:-1, 1:-1]
    # Whole numbers below 2**53, which doubles add exactly in any order: the same on any machine.
    flat = edges.ravel().astype(np.float64)
    count, total, squares = flat.size, int(flat.sum()), int(flat @ flat)
    return squares / count - (total / count) ** 2


def _in_colour(picture: Image.Image) -> Image.Image:
    """RGB, or RGBA if there is transparency."""
    if picture.mode.startswith(("I;16", "I", "F")):
        picture = picture.convert("L")
    is_transparent = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    mode = "RGBA" if is_transparent else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _over_white(picture: Image.Image) -> Image.Image:
    """An RGB image with its transparency laid over white."""
    if picture.mode == "RGB":
        return picture
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _extrema(picture: Image.Image) -> tuple[tuple[int, int], ...]:
    return picture.getextrema()  # type: ignore[return-value]  # RGB gives one pair per band


def _resize(picture: Image.Image, area: Box, images: Images) -> Image.Image:
    """The area, or the square in its middle, in the size to store (bicubic)."""
    width, height = area[2:]
    short = min(width, height)
    if images.center_crop:
        left, top = (width - short) / 2, (height - short) / 2
        target, area = (images.size, images.size), (left, top, left + short, top + short)
    else:
        scale = images.size / short
        target = (max(round(width * scale), 1), max(round(height * scale), 1))
    return picture.resize(target, Image.Resampling.BICUBIC, area)
