"""Rows and images per second of the loader, MosaicML streaming and WebDataset, on the same rows.

    python -m benchmarks.loader [ROWS]

All give shuffled batches of 32 pairs as PyTorch tensors: padded ids, loss mask, images as
normalised float32. Every loader decodes with Pillow and normalises with our function; what differs
is how it reads, shuffles, and hands over.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROWS, BATCH, PICTURES = 6_000, 32, 500
WORKERS = (0, 1, 2)
LOADERS = ("curate", "curate dataset", "streaming", "webdataset")


def main() -> None:
    if len(sys.argv) == 5:
        _measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write(folder, count)
        heads = ("loader", "workers", "rows/s", "of best rival", "CPU ms a row")
        print("".join(f"{head:>16}" for head in heads), flush=True)
        for workers in WORKERS:
            found = {name: _run(name, folder, count, workers) for name in LOADERS}
            best = max(found[name]["rows"] for name in LOADERS[2:])
            for name, numbers in found.items():
                print(
                    f"{name:>16}{workers:>16}{numbers['rows']:>16.0f}"
                    f"{numbers['rows'] / best:>16.2f}{numbers['cpu']:>16.2f}",
                    flush=True,
                )


def _write(folder: Path, count: int) -> None:
    from benchmarks.loader.formats import pictures, write_mds, write_ours, write_webdataset

    images = pictures(PICTURES)
    write_ours(folder / "curate", count, images)
    write_mds(folder / "streaming", count, images)
    write_webdataset(folder / "webdataset", count, images)


def _run(name: str, folder: Path, count: int, workers: int) -> dict[str, float]:
    """In a process of its own, for what one library leaves behind slows the next."""
    command = [sys.executable, "-m", "benchmarks.loader", name, str(folder), str(count)]
    done = subprocess.run([*command, str(workers)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(name: str, folder: Path, count: int, workers: int) -> None:
    """Time from the first batch to the last, so that starting processes is left out."""
    batches = iter(_LOADERS[name](folder, workers))
    next(batches)
    started, before = time.perf_counter(), _cpu_seconds()
    seen, shape = 0, None
    while seen < count - 2 * BATCH * max(workers, 1):
        batch = next(batches)
        seen += len(batch["input_ids"])
        shape = tuple(batch["images"].shape)
    seconds = time.perf_counter() - started
    cpu = _cpu_seconds() - before
    assert shape == (BATCH, 3, 224, 224)
    print(json.dumps({"rows": seen / seconds, "cpu": cpu * 1e3 / seen}))


def _cpu_seconds() -> float:
    """Of this process and its living children."""
    ticks = 0
    own = os.getpid()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if own in (int(stat.parent.name), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _curate(folder: Path, workers: int) -> Iterator[dict[str, Any]]:
    from curate.training.loading.opened import open_shards
    from curate.training.torch_backend.dataset import tensors_of

    opened = open_shards(str(folder / "curate"), batch_rows=BATCH)
    return map(tensors_of, opened.batches(workers=workers))


def _curate_dataset(folder: Path, workers: int) -> Iterable[dict[str, Any]]:
    from torch.utils.data import DataLoader

    from curate.training.loading.opened import open_shards

    dataset = open_shards(str(folder / "curate"), batch_rows=BATCH).dataset()
    return DataLoader(dataset, batch_size=None, num_workers=workers)


def _streaming(folder: Path, workers: int) -> Iterable[dict[str, Any]]:
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    dataset = StreamingDataset(
        local=str(folder / "streaming"), shuffle=True, shuffle_seed=0, batch_size=BATCH
    )
    return DataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=_collate)


def _webdataset(folder: Path, workers: int) -> Iterable[dict[str, Any]]:
    import webdataset
    from torch.utils.data import DataLoader

    paths = sorted(str(path) for path in (folder / "webdataset").glob("*.tar"))
    dataset = (
        webdataset.WebDataset(
            paths * 2, shardshuffle=len(paths), nodesplitter=webdataset.split_by_node
        )
        .shuffle(1_000)
        .map(_row_of)
        .batched(BATCH, collation_fn=_collate)
    )
    return DataLoader(dataset, batch_size=None, num_workers=workers)


def _row_of(sample: dict[str, Any]) -> dict[str, Any]:
    return {**json.loads(sample["json"]), "image": sample["jpg"]}


def _collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What our loader makes of rows: ids padded to a multiple of 64, masks, images."""
    import numpy as np
    import torch
    from PIL import Image

    from curate.training.loading.batches import normalize

    length = -(-max(len(row["input_ids"]) for row in rows) // 64) * 64
    ids = np.ones((len(rows), length), np.int32)
    mask = np.zeros((len(rows), length), np.bool_)
    images = np.empty((len(rows), 3, 224, 224), np.float32)
    for number, row in enumerate(rows):
        size = len(row["input_ids"])
        ids[number, :size], mask[number, :size] = row["input_ids"], row["loss_mask"]
        with Image.open(io.BytesIO(row["image"])) as image:
            normalize(np.asarray(image.convert("RGB")), out=images[number])
    arrays = {"input_ids": ids, "loss_mask": mask, "images": images}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


_LOADERS: dict[str, Callable[[Path, int], Iterable[dict[str, Any]]]] = {
    "curate": _curate,
    "curate dataset": _curate_dataset,
    "streaming": _streaming,
    "webdataset": _webdataset,
}

main()
