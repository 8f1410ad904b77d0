"""Rows to arrays: padding, segments, targets, pixels."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from curate import open_shards
from curate.tokenization.vocabulary import BOS, EOS, PAD
from curate.training.loading.batches import decoded, make_batch, normalize
from curate.training.loading.rows import ShardRows
from curate.training.loading.shard_set import ShardSet
from tests.pictures import scene
from tests.training.shard_sets import CAPTIONS, SLOTS, interleaved, pair, text, write_shards


def test_rows_are_read_as_they_were_written(shard_set: ShardSet) -> None:
    from curate.tokenization.shards import Shard

    for file in shard_set.manifest.shards:
        path = shard_set.local_path(file)
        plain, fast = Shard(path), ShardRows(path)
        for number in range(plain.rows):
            expected, row = plain.row(number), fast.row(number)
            assert row.input_ids.tolist() == expected["input_ids"]
            assert row.loss_mask.tolist() == expected["loss_mask"]
            slots = [[s["offset"], s["image"]] for s in expected["image_slots"]]
            assert row.slots.tolist() == slots
            assert row.document_starts.tolist() == [d["start"] for d in expected["documents"]]
            assert [bytes(i) for i in row.images] == [i["bytes"] for i in expected["images"]]


def test_padded_pairs(shard_set: ShardSet) -> None:
    batch = next(open_shards(shard_set.root, source="captions", batch_rows=5).batches())
    assert batch.input_ids.shape == (5, 64)
    assert batch.one_segment
    assert batch.images.shape == (5, 3, 32, 32)
    lengths = (batch.segments == 0).sum(axis=1)
    for row, length in enumerate(lengths):
        assert batch.input_ids[row, 0] == BOS
        assert batch.input_ids[row, length - 1] == EOS
        assert (batch.input_ids[row, length:] == PAD).all()
        assert not batch.loss_mask[row, length:].any()


def test_an_image_position_is_never_a_target(shard_set: ShardSet) -> None:
    image, image_end = (shard_set.vocabulary.special[t] for t in ("<image>", "</image>"))
    for batch in itertools.islice(open_shards(shard_set.root).batches(), 20):
        flat_mask, flat_ids = batch.loss_mask.ravel(), batch.input_ids.ravel()
        assert (flat_ids[batch.image_positions] == image).all()
        assert not flat_mask[batch.image_positions].any()
        assert not flat_mask[np.isin(flat_ids, [image, image_end])].any()
        assert flat_mask[flat_ids == EOS].all()


def test_packed_pairs_are_a_segment_each_and_packed_text_is_one(tmp_path: Path) -> None:
    shards = write_shards(
        tmp_path,
        {
            "captions": ("pairs", [pair(c) for c in CAPTIONS[:20]]),
            "books": ("text", [text(f"b{i}", 3) for i in range(20)]),
        },
        packed=True,
        shards=1,
    )
    pairs = next(open_shards(shards.root, source="captions", batch_rows=2).batches())
    assert not pairs.one_segment
    ends = pairs.input_ids[0, : (pairs.segments[0] >= 0).sum()] == EOS
    assert pairs.segments[0].max() + 1 == ends.sum() > 3
    assert (np.diff(pairs.segments[0])[ends[:-1].nonzero()[0]] == 1).all()
    books = next(open_shards(shards.root, source="books", batch_rows=2).batches())
    assert books.one_segment
    assert set(books.segments.ravel().tolist()) <= {0, -1}


def test_positions_start_anew_with_every_document(tmp_path: Path) -> None:
    """As if `<s>`, of position 0, stood before each: a document's tokens are 1, 2, 3, ..."""
    documents = [pair(c) for c in CAPTIONS[:6]]
    shards = write_shards(tmp_path, {"captions": ("pairs", documents)}, packed=True, shards=1)
    batch = next(open_shards(shards.root, batch_rows=1).batches())
    assert batch.segments[0].max() > 1
    for number in range(batch.segments[0].max() + 1):
        places = batch.positions[0, batch.segments[0] == number].tolist()
        first = 0 if number == 0 else 1
        assert places == list(range(first, first + len(places)))


def test_missing_rows_are_empty(shard_set: ShardSet) -> None:
    row = next(open_shards(shard_set.root, source="captions").rows())[1]
    batch = make_batch("captions", [row], ["pairs"], batch_rows=3, image_slots=SLOTS, image_size=32)
    assert (batch.segments[1:] == -1).all()
    assert not batch.loss_mask[1:].any()
    assert len(batch.images) == 1


@pytest.mark.parametrize("size", [(224, 224), (300, 224), (97, 260)])
def test_pixels_are_those_of_clip(size: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    scene(3, size).save(buffer, "PNG")
    ours = np.empty((3, 224, 224), np.float32)
    normalize(decoded(buffer.getvalue(), 224), out=ours)
    settings = PreprocessCfg(size=224, interpolation="bicubic", resize_mode="shortest")
    theirs = image_transform_v2(settings, is_train=False)(Image.open(buffer)).numpy()
    assert np.abs(ours - theirs).max() < (1e-5 if size == (224, 224) else 0.06)


def test_interleaved_images_keep_their_places(tmp_path: Path) -> None:
    made = interleaved("one", CAPTIONS[:3])
    shards = write_shards(tmp_path, {"documents": ("interleaved", [made])}, shards=1)
    batch = next(open_shards(shards.root, batch_rows=1).batches())
    assert batch.image_positions.shape == (3, SLOTS)
    after = batch.input_ids.ravel()[batch.image_positions[:, -1] + 2]
    caption = shards.vocabulary.encode([CAPTIONS[0]])[0]
    assert after[0] == caption[0]
