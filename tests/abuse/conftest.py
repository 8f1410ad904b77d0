"""Hostile inputs, servers and machines.

`make test` runs a short version of each; `make test-abuse` sets `CURATE_ABUSE` and runs all of it.
"""

from __future__ import annotations

import os

import pytest

WHOLE = "CURATE_ABUSE" in os.environ
only_whole = pytest.mark.skipif(not WHOLE, reason="a long one: `make test-abuse` runs it")
