"""The `curate` command, followed by its peak memory in MB on standard error."""

from __future__ import annotations

import sys

from benchmarks.plumbing import peak_megabytes
from curate.cli import main

try:
    main()
finally:
    print(f"peak {peak_megabytes():.0f}", file=sys.stderr)
