"""Peak memory of a run whose input grows: the same archives again, under other names and addresses.

    python -m benchmarks.memory WARC... [--times 1 10] [--workers 2]

Every copy has addresses and record ids of its own, so that nothing is taken for what it was before;
its texts are the same, so that de-duplication has ten times the work as well.
"""

from __future__ import annotations

import argparse
import gzip
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_RECORD_ID = re.compile(rb"(WARC-Record-ID: <urn:uuid:)([0-9a-f]{8})", re.I)
_ADDRESS = re.compile(rb"(WARC-Target-URI: https?://)", re.I)


def copy_archive(source: Path, target: Path, copy: int) -> None:
    """Write an archive again with other addresses, a gzip member a record as before."""
    data = source.read_bytes()
    with target.open("wb") as out:
        for record in _members(data):
            head, gap, body = record.partition(b"\r\n\r\n")
            head = _RECORD_ID.sub(lambda m: m[1] + b"%08x" % (int(m[2], 16) ^ copy), head)
            head = _ADDRESS.sub(rb"\g<1>copy%d." % copy, head)
            out.write(gzip.compress(head + gap + body, 1))


def _members(data: bytes) -> list[bytes]:
    import zlib

    found = []
    while data:
        inflate = zlib.decompressobj(31)
        found.append(inflate.decompress(data))
        data = inflate.unused_data
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--times", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    for times in sorted(given.times):
        with tempfile.TemporaryDirectory() as folder:
            for copy in range(times):
                for archive in given.archives:
                    copy_archive(archive, Path(folder, f"{copy:03d}-{archive.name}"), copy)
            started = time.monotonic()
            command = [sys.executable, "-m", "curate.cli", "build-shards", "kosmos1", "--offline"]
            command += ["--input", f"{folder}/*.warc.gz", "--out", f"{folder}/run"]
            subprocess.run(
                [*command, "--workers", str(given.workers)], check=True, capture_output=True
            )
            # Of the largest process so far: inputs grow, and so would it.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(
                f"{times * len(given.archives):>5} archives  {time.monotonic() - started:6.0f} s  "
                f"largest process {peak:6.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
