from __future__ import annotations

from pathlib import Path

from curate.progress import ProgressWatch, _Seen
from curate.runs.run_directory import RunDirectory


def test_looking_takes_a_tenth_of_the_time_at_most(tmp_path: Path) -> None:
    watch = ProgressWatch(RunDirectory(str(tmp_path)))
    quick, slow = (_Seen(9, 0.0, reading_seconds=seconds) for seconds in (0.001, 3.0))
    assert watch._poll(quick) < 1
    assert watch._poll(slow) >= 9 * slow.reading_seconds
