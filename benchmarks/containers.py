"""Containers for packed rows: size, writing, reading in order and at random.

Every row has 2,048 token ids, a mask and three images of 10 KB, as an interleaved row has.
"""

from __future__ import annotations

import io
import random
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from streaming import MDSWriter, StreamingDataset

ROWS = 2_000
READS = 500


def run(warcs: list[Path]) -> None:
    chance = np.random.default_rng(0)
    rows = [
        {
            "input_ids": chance.zipf(1.3, 2_048).clip(0, 63_999).astype(np.uint16),
            "loss_mask": chance.random(2_048) < 0.9,
            "images": [chance.bytes(10_000) for _ in range(3)],
        }
        for _ in range(ROWS)
    ]
    order = random.Random(0).sample(range(ROWS), READS)
    print(f"{'':<22}{'MB':>8}{'write/s':>10}{'in order/s':>12}{'random/s':>10}")
    folder = Path(tempfile.mkdtemp())
    try:
        _arrow(folder, rows, order)
        _parquet(folder, rows, order)
        _tar(folder, rows)
        _mds(folder, rows, order)
    finally:
        shutil.rmtree(folder)


def _schema() -> pa.Schema:
    return pa.schema(
        [
            ("input_ids", pa.list_(pa.uint16())),
            ("loss_mask", pa.list_(pa.bool_())),
            ("images", pa.list_(pa.binary())),
        ]
    )


def _arrow(folder: Path, rows: list[dict[str, Any]], order: list[int]) -> None:
    path = folder / "rows.arrow"

    def write() -> None:
        with pa.ipc.new_file(str(path), _schema()) as writer:
            for start in range(0, ROWS, 64):
                writer.write_batch(pa.RecordBatch.from_pylist(rows[start : start + 64], _schema()))

    def touch(batch: pa.RecordBatch, index: int) -> int:
        ids = batch["input_ids"][index].values.to_numpy()
        images = [image.as_py() for image in batch["images"][index].values]
        return int(ids.sum()) + sum(map(len, images))

    def ordered() -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            for index in range(batch.num_rows):
                touch(batch, index)

    def at_random() -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        for number in order:
            touch(reader.get_batch(number // 64), number % 64)

    _report("Arrow IPC", write, lambda: path.stat().st_size, ordered, at_random)


def _parquet(folder: Path, rows: list[dict[str, Any]], order: list[int]) -> None:
    path = folder / "rows.parquet"

    def write() -> None:
        with pq.ParquetWriter(path, _schema(), compression="zstd") as writer:
            for start in range(0, ROWS, 64):
                writer.write_table(pa.Table.from_pylist(rows[start : start + 64], _schema()))

    def touch(table: pa.Table, index: int) -> int:
        ids = table["input_ids"][index].values.to_numpy()
        return int(ids.sum()) + sum(len(i.as_py()) for i in table["images"][index].values)

    def ordered() -> None:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            for index in range(table.num_rows):
                touch(table, index)

    def at_random() -> None:
        file = pq.ParquetFile(path)
        for number in order:
            touch(file.read_row_group(number // 64), number % 64)

    _report("Parquet, zstd", write, lambda: path.stat().st_size, ordered, at_random)


def _tar(folder: Path, rows: list[dict[str, Any]]) -> None:
    path = folder / "rows.tar"

    def write() -> None:
        with tarfile.open(path, "w") as tar:
            for number, row in enumerate(rows):
                members = {
                    "ids.npy": _npy(row["input_ids"]),
                    "mask.npy": _npy(row["loss_mask"]),
                    **{f"{i}.jpg": image for i, image in enumerate(row["images"])},
                }
                for name, data in members.items():
                    info = tarfile.TarInfo(f"{number:06d}.{name}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))

    def ordered() -> None:
        for sample in webdataset.WebDataset(str(path), shardshuffle=False):
            np.load(io.BytesIO(sample["ids.npy"])).sum()

    _report("WebDataset", write, lambda: path.stat().st_size, ordered, None)


def _mds(folder: Path, rows: list[dict[str, Any]], order: list[int]) -> None:
    target = folder / "mds"
    columns = {
        "input_ids": "ndarray:uint16",
        "loss_mask": "bytes",
        "sizes": "json",
        "images": "bytes",
    }

    def write() -> None:
        with MDSWriter(out=str(target), columns=columns) as writer:
            for row in rows:
                writer.write(
                    {
                        "input_ids": row["input_ids"],
                        "loss_mask": row["loss_mask"].tobytes(),
                        "sizes": [len(i) for i in row["images"]],
                        "images": b"".join(row["images"]),
                    }
                )

    def dataset() -> StreamingDataset:
        return StreamingDataset(local=str(target), shuffle=False, batch_size=1)

    def ordered() -> None:
        data = dataset()
        for number in range(ROWS):
            data[number]["input_ids"].sum()

    def at_random() -> None:
        data = dataset()
        for number in order:
            data[number]["input_ids"].sum()

    def size() -> int:
        return sum(p.stat().st_size for p in target.iterdir())

    _report("MDS", write, size, ordered, at_random)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _report(
    name: str,
    write: Callable[[], None],
    size: Callable[[], int],
    ordered: Callable[[], None],
    at_random: Callable[[], None] | None,
) -> None:
    rates = [ROWS / _seconds(write)]
    rates.append(ROWS / min(_seconds(ordered) for _ in range(3)))
    if at_random is not None:
        rates.append(READS / min(_seconds(at_random) for _ in range(3)))
    shown = "".join(
        f"{rate:>{width},.0f}" for rate, width in zip(rates, (10, 12, 10), strict=False)
    )
    print(f"{name:<22}{size() / 1e6:>8.1f}{shown}")


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
