"""Rows to the arrays that a model takes: padded ids, masks, segments, normalised pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from curate.schemas.errors import CurateError
from curate.schemas.settings.source import Format
from curate.tokenization.vocabulary import PAD
from curate.training.loading.rows import Row

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, in RGB (open_clip, OPENAI_DATASET_MEAN and _STD)."""
LENGTH_STEP = 64
"""Batches are padded to a multiple of so many tokens: few shapes, for compilers."""
PADDING_SEGMENT = -1

_SCALE = (1 / (255 * np.array(PIXEL_STD))).astype(np.float32)[:, None, None]
_SHIFT = (-np.array(PIXEL_MEAN) / np.array(PIXEL_STD)).astype(np.float32)[:, None, None]


class RowError(Exception):
    """A row can't become part of a batch.

    Args:
        index: of the row among those of the batch.
        problem: what is wrong with it, in words.
    """

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(index, problem)
        self.index = index
        self.problem = problem


class PictureError(CurateError):
    """An encoded image can't be decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one forward pass takes; B rows padded to T tokens, N images of S x S pixels.

    Attention is causal among tokens of the same segment, and every token sees the first of its row,
    `<s>`. A row of text is one segment, as in the released loader; in rows of other formats every
    document is one, with positions of its own: as if it stood alone.
    """

    stream: str
    input_ids: npt.NDArray[np.int32]
    """(B, T), padded with `<pad>`."""
    loss_mask: npt.NDArray[np.bool_]
    """(B, T): whether token t is a target, predicted from those before it."""
    segments: npt.NDArray[np.int32]
    """(B, T): number of the document, 0 and up; -1 where the row is padded."""
    positions: npt.NDArray[np.int32]
    """(B, T): place of each token in its document, which `<s>` precedes: 0, 1, 2, ..."""
    images: npt.NDArray[np.float32]
    """(N, 3, S, S), normalised as CLIP has them."""
    image_positions: npt.NDArray[np.int32]
    """(N, slots): positions in the flattened ids that each image fills."""
    one_segment: bool
    """Whether every row is a single segment: plain causal attention."""


def make_batch(
    stream: str,
    rows: Sequence[Row],
    formats: Sequence[Format],
    *,
    batch_rows: int,
    image_slots: int,
    image_size: int,
) -> Batch:
    """Put rows together; where there are fewer than `batch_rows`, empty ones follow them.

    Raises:
        RowError: an image of a row can't be decoded.
    """
    longest = max((row.input_ids.size for row in rows), default=1)
    length = -(-longest // LENGTH_STEP) * LENGTH_STEP
    ids = np.full((batch_rows, length), PAD, np.int32)
    mask = np.zeros((batch_rows, length), np.bool_)
    segments = np.full((batch_rows, length), PADDING_SEGMENT, np.int32)
    places = np.tile(np.arange(length, dtype=np.int32), (batch_rows, 1))
    images = np.empty((sum(len(row.slots) for row in rows), 3, image_size, image_size), np.float32)
    firsts: list[int] = []
    one_segment = True
    for index, (row, row_format) in enumerate(zip(rows, formats, strict=True)):
        size = row.input_ids.size
        ids[index, :size] = row.input_ids
        mask[index, :size] = row.loss_mask
        segments[index, :size] = 0
        if row_format != "text" and row.document_starts.size > 1:
            one_segment = False
            starts = np.zeros(size, np.int32)
            starts[row.document_starts[1:]] = 1
            segments[index, :size] = np.cumsum(starts)
            # As if `<s>` stood before each document.
            before = np.concatenate([[0], row.document_starts[1:] - 1])
            places[index, :size] -= before[segments[index, :size]].astype(np.int32)
        for first, image in row.slots.tolist():
            try:
                pixels = decoded(row.images[image], image_size)
            except PictureError as error:
                raise RowError(index, f"has image {image}, which {error}") from error
            normalize(pixels, out=images[len(firsts)])
            firsts.append(index * length + first)
    slots = np.arange(image_slots, dtype=np.int32)
    positions = (np.array(firsts, np.int32)[:, None] + slots).astype(np.int32)
    return Batch(
        stream=stream,
        input_ids=ids,
        loss_mask=mask,
        segments=segments,
        positions=places,
        images=images,
        image_positions=positions.reshape(len(firsts), image_slots),
        one_segment=one_segment,
    )


def decoded(data: bytes | memoryview, size: int) -> npt.NDArray[np.uint8]:
    """An encoded image as RGB pixels, shape (size, size, 3).

    Shards hold it at that size already, if the recipe cuts it so; others are resized by the shorter
    side (bicubic) and cut at the centre, as CLIP does.

    Raises:
        PictureError: it is no image, or a broken one.
    """
    image = _opened(data)
    if image.size != (size, size):
        scale = size / min(image.size)
        wide, high = (max(round(side * scale), size) for side in image.size)
        left, top = (wide - size) // 2, (high - size) // 2
        resized = image.resize((wide, high), Image.Resampling.BICUBIC)
        image = resized.crop((left, top, left + size, top + size))
    return np.asarray(image)


def _opened(data: bytes | memoryview) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = opened if opened.mode == "RGB" else opened.convert("RGB")
            image.load()
            return image
    except UnidentifiedImageError as error:
        raise PictureError("can't be decoded (its bytes are no image)") from error
    except Exception as error:  # Pillow's decoders raise many kinds on broken bytes.
        raise PictureError(
            f"can't be decoded ({type(error).__name__}: {str(error)[:200]})"
        ) from error


def normalize(pixels: npt.NDArray[np.uint8], out: npt.NDArray[np.float32]) -> None:
    """RGB pixels of shape (S, S, 3) as CLIP takes them, into an array of shape (3, S, S)."""
    np.multiply(pixels.transpose(2, 0, 1), _SCALE, out=out)
    out += _SHIFT
