"""Run benchmarks by name, or all of them.

The archives measured on are those of `--data` (default: ../shared/data/warc beside the checkout);
without them, the crawl of `curate demo` is made and used.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from pathlib import Path

from curate.demo.crawl import crawl
from curate.demo.server import serve
from curate.demo.site import build_site

BENCHMARKS = ("archives", "extraction", "containers", "plumbing")
_DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data" / "warc"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="default: all")
    parser.add_argument("--data", type=Path, default=_DEFAULT_DATA, help="folder of WARC files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        warcs = sorted(options.data.glob("*.warc.gz"))
        if not warcs:
            archive = Path(scratch, "demo.warc.gz")
            with serve(build_site()) as address:
                crawl(address, archive)
            warcs = [archive]
        print(f"{len(warcs)} archives, {sum(map(os.path.getsize, warcs)) / 1e6:.1f} MB")
        for name in options.names or BENCHMARKS:
            print(f"\n== {name}")
            # Imported one at a time: each needs only the packages that it compares.
            importlib.import_module(f"benchmarks.{name}").run(warcs)


main()
