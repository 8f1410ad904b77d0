"""What moves between steps is small against what is read."""

from __future__ import annotations

from benchmarks.shuffles import measure
from tests.conftest import SHARED_DATA, needs_shared_data


@needs_shared_data
def test_less_than_a_hundredth_of_the_html_moves() -> None:
    archives = sorted(str(path) for path in (SHARED_DATA / "warc").glob("*.warc.gz"))
    found = measure(archives)
    assert found.html > 100_000_000
    assert sum(found.collections.values()) > 10_000
    assert found.files > 100_000
    assert found.share < 0.01
