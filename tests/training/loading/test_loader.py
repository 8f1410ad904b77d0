"""The loader gives the same rows for any ranks and workers, from any row on."""

from __future__ import annotations

import itertools
import os
import signal
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from torch.utils.data import DataLoader

from curate import open_shards
from curate.schemas.errors import UsageError
from curate.tokenization.shard_batches import CorruptShardError
from curate.training.loading.batches import Batch
from curate.training.loading.loader import ShardLoader
from curate.training.loading.order import Stream
from curate.training.loading.reader import LoaderOptions, ShardReader
from curate.training.loading.shard_set import ShardSet
from curate.training.loading.streams import streams_of
from curate.training.loading.workers import WorkerError, WorkerPool
from tests.training.shard_sets import CAPTIONS, pair, write_shards

Key = tuple[int, ...]


def key(ids: np.ndarray) -> Key:
    return tuple(ids.tolist())


def rows_of(batch: Batch) -> list[Key]:
    lengths = (batch.segments >= 0).sum(axis=1)
    return [key(ids[:n]) for ids, n in zip(batch.input_ids, lengths, strict=True) if n]


def options(shards: ShardSet, rank: int = 0, world: int = 1, **changes: object) -> LoaderOptions:
    assert shards.manifest.mixture is not None
    streams = streams_of(shards, shards.manifest.mixture.pretraining)
    made = LoaderOptions(
        streams=streams,
        micro_rows={"text": 2, "pairs": 4, "interleaved": 1},
        image_size=32,
        rank=rank,
        world=world,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_stopped_at_any_row_the_order_goes_on_with_any_ranks(
    shard_set: ShardSet, world: int
) -> None:
    rows = itertools.islice(open_shards(shard_set.root).rows(), 400)
    whole = [key(row.input_ids) for _, row in rows]
    for stop in (0, 1, 137, 251):
        state = open_shards(shard_set.root).state_after(stop)
        found: dict[int, Key] = {}
        for rank in range(world):
            opened = open_shards(shard_set.root, rank=rank, world=world, state=state)
            for place, row in itertools.islice(opened.rows(), 120 // world):
                assert place.number not in found
                found[place.number] = key(row.input_ids)
        assert [found[n] for n in sorted(found)] == whole[stop : stop + len(found)]


def test_an_epoch_holds_every_row_exactly_once(shard_set: ShardSet) -> None:
    total = sum(file.rows for file in shard_set.shards_of("captions"))
    parts = []
    for rank in range(3):
        opened = open_shards(shard_set.root, source="captions", rank=rank, world=3)
        rows = itertools.takewhile(lambda found: found[0].number < total, opened.rows())
        parts += [key(row.input_ids) for _, row in rows]
    assert len(parts) == len(set(parts)) == total == len(CAPTIONS)


def test_the_second_epoch_has_the_same_rows_in_another_order(shard_set: ShardSet) -> None:
    total = len(CAPTIONS)

    def read(start: int) -> list[Key]:
        state = {"captions": start}
        opened = open_shards(shard_set.root, source="captions", state=state)
        return [key(row.input_ids) for _, row in itertools.islice(opened.rows(), total)]

    first, second = read(0), read(total)
    assert first != second
    assert len(set(first)) == total
    assert sorted(first) == sorted(second)
    assert (read(0), read(total)) == (first, second)


@pytest.mark.parametrize(("world", "workers"), [(1, 0), (1, 1), (1, 4), (2, 2), (3, 1), (8, 0)])
def test_steps_hold_the_same_rows_for_any_ranks_and_workers(
    shard_set: ShardSet, world: int, workers: int
) -> None:
    reader = ShardReader(shard_set, options(shard_set))
    per_step = reader.order.step_rows
    for resumed in (0, 3):
        found: list[set[Key]] = [set(), set()]
        count = 0
        for rank in range(world):
            loader = ShardLoader(shard_set, options(shard_set, rank, world), workers=workers)
            loader.resume(reader.order.state(resumed * per_step))
            steps = loader.steps()
            for number in range(2):
                for batch in next(steps):
                    found[number].update(rows_of(batch))
                    count += len(rows_of(batch))
            assert loader.state() == reader.order.state((resumed + 2) * per_step)
            steps.close()
        for number in range(2):
            first = (resumed + number) * per_step
            places = [reader.order.place(first + n) for n in range(per_step)]
            expected = {key(reader.row(place).input_ids) for place in places}
            assert found[number] == expected
        assert count == 2 * per_step


def test_batches_are_the_same_arrays_from_a_worker(shard_set: ShardSet) -> None:
    ours = list(itertools.islice(open_shards(shard_set.root).batches(), 6))
    theirs = list(itertools.islice(open_shards(shard_set.root).batches(workers=2), 6))
    for mine, other in zip(ours, theirs, strict=True):
        for name in (
            "input_ids",
            "loss_mask",
            "segments",
            "positions",
            "images",
            "image_positions",
        ):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
        assert (mine.stream, mine.one_segment) == (other.stream, other.one_segment)


@pytest.mark.parametrize("workers", [0, 2])
def test_as_a_pytorch_dataset_it_gives_the_same_batches(shard_set: ShardSet, workers: int) -> None:
    opened = open_shards(shard_set.root)
    # Other tests of this process have started threads that a fork would not survive.
    start = "spawn" if workers else None
    loader = DataLoader(
        opened.dataset(), batch_size=None, num_workers=workers, multiprocessing_context=start
    )
    for mine, other in zip(itertools.islice(opened.batches(), 5), loader, strict=False):
        np.testing.assert_array_equal(mine.input_ids, other["input_ids"].numpy())
        np.testing.assert_array_equal(mine.images, other["images"].numpy())


def test_a_killed_worker_is_an_error_and_not_a_hang(shard_set: ShardSet) -> None:
    with WorkerPool(shard_set, options(shard_set), 1, 1, 0) as pool:
        batches = pool.batches()
        next(batches)
        os.kill(pool._processes[0].pid, signal.SIGKILL)  # type: ignore[arg-type]
        with pytest.raises(WorkerError, match=r"worker 0 was killed \(exit code -9\)"):
            list(itertools.islice(batches, 5))


def test_what_a_worker_raises_reaches_the_trainer(tmp_path: Path) -> None:
    documents = [pair(caption) for caption in CAPTIONS[:8]]
    sources = {"captions": ("pairs", documents)}
    shards = write_shards(tmp_path, sources, read_image=lambda _: b"no")
    with pytest.raises(CorruptShardError, match="its bytes are no image"):
        next(open_shards(shards.root).batches(workers=1))


def test_workers_leave_no_shared_memory_behind(shard_set: ShardSet) -> None:
    before = set(os.listdir("/dev/shm"))
    batches = open_shards(shard_set.root).batches(workers=2)
    for _ in range(7):
        next(batches)
    batches.close()
    assert set(os.listdir("/dev/shm")) <= before


def test_shards_on_another_filesystem_are_copied_once_and_forgotten(
    shard_set: ShardSet, tmp_path: Path
) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{shard_set.root}/shards", "/run/shards", recursive=True)
    cache = tmp_path / "cache"
    opened = open_shards("memory://run", source="captions", cache=str(cache))
    local = open_shards(shard_set.root, source="captions")
    for mine, other in zip(itertools.islice(local.batches(), 15), opened.batches(), strict=False):
        np.testing.assert_array_equal(mine.input_ids, other.input_ids)
    assert len(list(cache.glob("*.arrow"))) == 3
    shards = ShardSet("memory://run", str(cache))
    for file in shards.shards_of("captions"):
        assert shards.local_path(file) == str(cache / f"{file.sha256}.arrow")
        shards.forget(file)
    assert not list(cache.glob("*.arrow"))
    own = ShardSet("memory://run")
    folder = Path(own.local_path(file)).parent
    assert folder.is_dir()
    del own
    assert not folder.exists()


def test_copies_are_fetched_ahead_and_removed_behind(tmp_path: Path) -> None:
    """20 shards, 2 at a time: never more than the windows of now and next are here."""
    documents = [pair(caption) for caption in CAPTIONS]
    local = write_shards(tmp_path / "run", {"captions": ("pairs", documents)}, shards=20)
    memory = fsspec.filesystem("memory")
    memory.put(f"{local.root}/shards", "/many/shards", recursive=True)
    cache = tmp_path / "cache"
    shards = ShardSet("memory://many", str(cache))
    stream = Stream(name="captions", sources=("captions",), shares=(1.0,), step_rows=5)
    made = LoaderOptions(streams=(stream,), micro_rows={"captions": 5}, image_size=32, window=2)
    here = []
    for batches in itertools.islice(ShardLoader(shards, made).steps(), 20):
        list(batches)
        here.append(len(list(cache.glob("*.arrow"))))
    assert max(here) <= 4
    assert min(here[:-1]) >= 2


def test_a_mixture_is_exact_in_every_step(shard_set: ShardSet) -> None:
    loader = ShardLoader(shard_set, options(shard_set))
    for batches in itertools.islice(loader.steps(), 4):
        rows: dict[str, int] = {}
        for batch in batches:
            rows[batch.stream] = rows.get(batch.stream, 0) + len(rows_of(batch))
        assert rows == {"text": 4, "pairs": 6, "interleaved": 2}


def test_weights_are_shares_of_tokens_and_not_of_rows(shard_set: ShardSet) -> None:
    reader = ShardReader(shard_set, options(shard_set))
    tokens = {"books": 0, "web": 0}
    for number in range(4_000):
        place = reader.order.place(number)
        if place.source in tokens:
            tokens[place.source] += reader.row(place).input_ids.size
    assert tokens["books"] / sum(tokens.values()) == pytest.approx(0.7, abs=0.01)


def test_rows_are_mixed_as_pretraining_mixes_them(shard_set: ShardSet) -> None:
    """4 rows of text, 6 pairs, 2 documents; no instructions."""
    counts: dict[str, int] = {}
    for place, _ in itertools.islice(open_shards(shard_set.root).rows(), 1_200):
        counts[place.source] = counts.get(place.source, 0) + 1
    assert counts["captions"] == pytest.approx(600, abs=2)
    assert counts["documents"] == pytest.approx(200, abs=2)
    assert counts["books"] + counts["web"] == pytest.approx(400, abs=3)
    assert "asked" not in counts


def test_a_step_that_is_left_early_is_a_fault(shard_set: ShardSet) -> None:
    steps = ShardLoader(shard_set, options(shard_set)).steps()
    next(next(steps))
    with pytest.raises(RuntimeError, match="left before its last"):
        next(steps)


def test_a_state_inside_a_step_is_refused(shard_set: ShardSet) -> None:
    loader = ShardLoader(shard_set, options(shard_set))
    with pytest.raises(UsageError, match="5 rows inside step 0"):
        loader.resume(loader.reader.order.state(5))


def test_a_state_inside_a_batch_is_for_rows_alone(shard_set: ShardSet) -> None:
    state = open_shards(shard_set.root).state_after(13)
    opened = open_shards(shard_set.root, state=state, batch_rows=8)
    assert next(opened.rows())[0].number == 13
    with pytest.raises(UsageError, match="5 rows inside batch 1"):
        next(opened.batches())
    with pytest.raises(UsageError, match="5 rows inside batch 1"):
        opened.dataset()


def test_corrupt_and_missing_shards_are_named(tmp_path: Path) -> None:
    documents = [pair(caption) for caption in CAPTIONS[:30]]
    shards = write_shards(tmp_path, {"captions": ("pairs", documents)}, shards=3)
    assert not [fault for fault in shards.verify() if fault]
    first, second, _ = (tmp_path / "shards" / file.path for file in shards.manifest.shards)
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    second.unlink()
    faults = [fault for fault in shards.verify() if fault]
    assert [f.path for f in faults] == [f"captions/shard-0000{i}-of-00003.arrow" for i in (0, 1)]
    assert "has sha256" in faults[0].problem
    assert faults[1].problem == "is missing"
    with pytest.raises(CorruptShardError, match=r"shard-00000-of-00003\.arrow has sha256"):
        shards.refuse(faults)


def test_damaged_and_exchanged_shards_are_seen_where_they_are_read(tmp_path: Path) -> None:
    documents = [pair(caption) for caption in CAPTIONS[:30]]
    shards = write_shards(tmp_path, {"captions": ("pairs", documents)}, shards=3)
    first, second, _ = (tmp_path / "shards" / file.path for file in shards.manifest.shards)
    whole = first.read_bytes()

    def read() -> None:
        list(itertools.islice(open_shards(shards.root, source="captions").rows(), 30))

    read()
    first.write_bytes(whole[:4000] + bytes([whole[4000] ^ 1]) + whole[4001:])
    with pytest.raises(CorruptShardError, match=rf"{first} is damaged in record batch 0"):
        read()
    first.write_bytes(second.read_bytes())
    with pytest.raises(CorruptShardError, match=rf"{first} .*: it is another shard"):
        read()


def test_a_copy_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    documents = [pair(caption) for caption in CAPTIONS[:8]]
    made = write_shards(tmp_path / "run", {"captions": ("pairs", documents)}, shards=1)
    memory = fsspec.filesystem("memory")
    memory.put(f"{made.root}/shards", "/damaged/shards", recursive=True)
    (file,) = made.manifest.shards
    memory.pipe(f"/damaged/shards/{file.path}", b"something else")
    shards = ShardSet("memory://damaged", str(tmp_path / "cache"))
    with pytest.raises(CorruptShardError, match=r"captions/shard-00000-of-00001\.arrow has sha256"):
        shards.local_path(file)
    assert not list((tmp_path / "cache").glob("*.arrow"))


def test_no_run_no_source_no_format(shard_set: ShardSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no finished shards"):
        open_shards(str(tmp_path))
    with pytest.raises(UsageError, match=r"no shards of source 'x' \(it has: books, web"):
        open_shards(shard_set.root, source="x")
    shards = write_shards(tmp_path, {"captions": ("pairs", [pair(c) for c in CAPTIONS[:8]])})
    assert shard_set.manifest.mixture is not None
    with pytest.raises(UsageError, match="has no text shards"):
        streams_of(shards, shard_set.manifest.mixture.pretraining)
