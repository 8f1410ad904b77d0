"""WARC readers: ours on FastWARC, against bare FastWARC and warcio, HTTP parsed, bodies read."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from benchmarks.timing import compare
from curate.sources.archives.archive import read_archive


def run(warcs: list[Path]) -> None:
    def with_warcio() -> int:
        count = 0
        for path in warcs:
            with path.open("rb") as stream:
                for record in WarcioIterator(stream):
                    record.content_stream().read()
                    count += 1
        return count

    def with_fastwarc() -> int:
        count = 0
        for path in warcs:
            with path.open("rb") as stream:
                for record in ArchiveIterator(stream, parse_http=True):
                    record.reader.read()
                    count += 1
        return count

    def with_ours() -> int:
        for path in warcs:
            deque(read_archive(str(path), 64 << 20), maxlen=0)
        return records

    records = with_warcio()
    candidates = {
        "warcio": with_warcio,
        "FastWARC": with_fastwarc,
        "curate (FastWARC, damage-proof)": with_ours,
    }
    compare(candidates, "records")
