"""Bytes that go from step to step, by Beam's counters, against the bytes of HTML that were read.

    python -m benchmarks.shuffles WARC... [--recipe kosmos1] [--workers 2]

Two kinds are counted: every collection between the steps of a pipeline, shuffled or not
(`beam:metric:sampled_byte_size`), and the files through which tasks send rows to each other
(`exchange/bytes`, a counter of ours in Beam's metrics; tasks that the command does by itself, since
they are single, are added).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from apache_beam.coders import VarIntCoder
from apache_beam.coders.coder_impl import create_InputStream

from curate.build import build_shards, with_inputs, without_empty_slots
from curate.commands.common import find_recipe
from curate.commands.runs import without_network
from curate.filters.web.record import classify_record
from curate.pipelines.engine.engine import Build, Engine
from curate.schemas.page import DamagedRegion
from curate.sources.archives.archive import read_archive


@dataclass
class Shuffled:
    """What a run moved."""

    html: int = 0
    """Bytes of HTML in the archives."""
    collections: Counter[str] = field(default_factory=Counter)
    """Bytes of the collections of pipelines, by the last step of each."""
    counted: int = 0
    """Bytes of the files between tasks, by Beam's counter."""
    files: int = 0
    """The same from the files themselves, tasks of the command included."""

    @property
    def share(self) -> float:
        return (sum(self.collections.values()) + max(self.files, self.counted)) / self.html


def measure(archives: Sequence[str], recipe_name: str = "kosmos1", workers: int = 2) -> Shuffled:
    """Build shards of some archives and count."""
    found = Shuffled(html=sum(_html_bytes(path) for path in archives))
    recipe, _ = without_empty_slots(with_inputs(find_recipe(recipe_name), tuple(archives)))
    with tempfile.TemporaryDirectory() as folder, _counting(found):
        records = build_shards(
            without_network(recipe),
            f"{folder}/run",
            watch=lambda stage, total: nullcontext(),
            workers=workers,
        )
    found.files = sum(record["exchanged_bytes"] for record in records)
    return found


@contextmanager
def _counting(found: Shuffled) -> Iterator[None]:
    run = Engine.run

    def counted(engine: Engine, build: Build) -> Any:
        result = run(engine, build)
        for metric in result.metrics().query()["counters"]:
            if metric.key.metric.namespace == "exchange":
                found.counted += metric.result
        infos = result.monitoring_infos()
        size = sum(_sum_of(i.payload) for i in infos if i.urn.endswith("sampled_byte_size:v1"))
        (step,) = {i.labels["PTRANSFORM"] for i in infos if "PTRANSFORM" in i.labels} or {""}
        found.collections[step] += size
        return result

    with patch.object(Engine, "run", counted):
        yield


def _sum_of(payload: bytes) -> int:
    """The second number of a distribution: count, sum, least, most."""
    stream, coder = create_InputStream(payload), VarIntCoder().get_impl()
    coder.decode_from_stream(stream, True)
    return int(coder.decode_from_stream(stream, True))


def _html_bytes(path: str) -> int:
    return sum(
        len(item.payload)
        for item in read_archive(path, 1 << 40)
        if not isinstance(item, DamagedRegion) and classify_record(item) == "page"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shuffles")
    parser.add_argument("archives", nargs="+")
    parser.add_argument("--recipe", default="kosmos1")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    found = measure(given.archives, given.recipe, given.workers)
    print(f"HTML read                    {found.html:>13,} bytes")
    print(f"collections between steps    {sum(found.collections.values()):>13,}")
    print(f"files between tasks          {found.files:>13,} ({found.counted:,} by Beam's counter)")
    print(f"all of it                    {found.share:>13.3%} of the HTML")


if __name__ == "__main__":
    main()
