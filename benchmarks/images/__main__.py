"""Measure `curate fetch-pairs` beside img2dataset: same server, addresses, size and quality.

    python -m benchmarks.images FOLDER [COUNT]

FOLDER has image files, at any depth; those that decode and have 64 pixels a side are served by
another process on 127.0.0.1 and its neighbours, as 40 hosts that answer after 50 ms. COUNT pairs
(6,000) are fetched by two processes with 64 requests each, and stored as 224 x 224 JPEGs of quality
95. Each image is then compared with a resize of the whole original by Pillow (bicubic). Two
processes that only decode, resize and encode (`bare`) show what is left to be gained.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.images import QUALITY, SIZE
from benchmarks.images.pictures import psnr, usable_images

COUNT = 6_000
PROCESSES = 2
HOSTS = 40
LATENCY_SECONDS = "0.05"
IMG2DATASET = ".venv-img2dataset/bin/img2dataset"


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) == 3 else COUNT
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        files = usable_images(Path(sys.argv[1]), scratch / "files")
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.images.server", scratch / "files", LATENCY_SECONDS],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            table = write_table(scratch / "pairs.parquet", files, port, count)
            print(f"{count:,} pairs of {len(files)} images from {HOSTS} hosts")
            measured = {
                "img2dataset": measure(rival_command(table, scratch / "rival"), scratch / "rival"),
                "curate": measure(own_command(table, scratch / "own", port), scratch / "own"),
                "bare": measure_bare(scratch / "files", count),
            }
        finally:
            server.kill()
            server.wait()
        tell(measured)
        for who, out in (("img2dataset", "rival"), ("curate", "own")):
            tell_quality(who, scratch / out, files)


def write_table(path: Path, files: dict[str, Path], port: int, count: int) -> Path:
    names = list(files)
    rows = [
        {
            "URL": f"http://127.0.0.{1 + i % HOSTS}:{port}/{i}/{names[i % len(names)]}",
            "TEXT": f"caption number {i}",
        }
        for i in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def rival_command(table: Path, out: Path) -> list[str]:
    return [
        IMG2DATASET, f"--url_list={table}", "--input_format=parquet", "--url_col=URL",
        "--caption_col=TEXT", "--output_format=webdataset", f"--output_folder={out}",
        f"--processes_count={PROCESSES}", "--thread_count=64", f"--image_size={SIZE}",
        "--resize_mode=center_crop", f"--encode_quality={QUALITY}",
        "--number_sample_per_shard=1500", "--enable_wandb=False",
    ]  # fmt: skip


def own_command(table: Path, out: Path, port: int) -> list[str]:
    hosts = [f"--allow-host=127.0.0.{1 + i}:{port}" for i in range(HOSTS)]
    return [
        str(Path(sys.executable).with_name("curate")), "fetch-pairs", str(table), "--out", str(out),
        "--kind", "pairs", "--url-col", "URL", "--caption-col", "TEXT", "--workers", str(PROCESSES),
        "--thread-count", "64", "--image-size", str(SIZE), "--retries", "0",
        "--number-sample-per-shard", "1500", *hosts,
    ]  # fmt: skip


def measure(command: list[str], out: Path) -> dict[str, float]:
    """Seconds on the clock and of processors, the server's left out, and images stored."""
    return {**measure_command(command), "images": sum(1 for _ in stored(out))}


def measure_bare(files: Path, count: int) -> dict[str, float]:
    """Likewise, of as many processes that only decode, resize and encode."""
    command = [sys.executable, "-m", "benchmarks.images.bare", str(files), str(count // PROCESSES)]
    both = " & ".join([shlex.join(command)] * PROCESSES)
    return {**measure_command(["sh", "-c", f"{both} & wait"]), "images": count}


def measure_command(command: list[str]) -> dict[str, float]:
    # As in a user's shell: what Python compiles it keeps.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seconds: dict[int, float] = {}
    while process.poll() is None:
        seconds.update(processor_seconds(process.pid))
        time.sleep(0.1)
    wall = time.monotonic() - started
    if process.returncode:
        sys.exit(f"{command[0]} ended with status {process.returncode}")
    return {"wall": wall, "cpu": sum(seconds.values())}


def processor_seconds(root: int) -> dict[int, float]:
    """Of a process and all below it: children that nobody waits for count too."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        spent[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_below(pid: int) -> bool:
        while pid != root and pid in parents:
            pid = parents[pid]
        return pid == root

    return {pid: s for pid, s in spent.items() if is_below(pid)}


def stored(out: Path) -> Iterator[tuple[str, bytes]]:
    """Address and JPEG of every image of the shards."""
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            jpeg = b""
            for member in tar:
                stream = tar.extractfile(member)
                assert stream is not None
                data = stream.read()
                if member.name.endswith(".jpg"):
                    jpeg = data
                elif member.name.endswith(".json"):
                    yield json.loads(data)["url"], jpeg


def tell(measured: dict[str, dict[str, float]]) -> None:
    print(f"{'':<14}{'images':>8}{'wall s':>9}{'CPU s':>9}{'per wall s':>12}{'per CPU s':>12}")
    rates = {}
    for who, m in measured.items():
        rates[who] = (m["images"] / m["wall"], m["images"] / m["cpu"])
        wall, cpu = rates[who]
        print(
            f"{who:<14}{m['images']:>8,.0f}{m['wall']:>9.1f}{m['cpu']:>9.1f}{wall:>12.1f}{cpu:>12.1f}"
        )
    wall, cpu = rates["img2dataset"]
    for who in ("curate", "bare"):
        ratios = f"{rates[who][0] / wall:>12.2f}{rates[who][1] / cpu:>12.2f}"
        print(f"{who + ' / img2dataset':<40}{ratios}")


def tell_quality(who: str, out: Path, files: dict[str, Path]) -> None:
    """PSNR against the reference resize, one address of each file."""
    found: dict[str, float] = {}
    for url, jpeg in stored(out):
        name = url.rsplit("/", 1)[-1]
        if name not in found:
            found[name] = psnr(jpeg, files[name])
    values = np.array(list(found.values()))
    print(
        f"{who}: PSNR to the reference of {values.size} images: least {values.min():.1f} dB, "
        f"median {np.median(values):.1f} dB"
    )


if __name__ == "__main__":
    main()
