from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.runs.part import PartWriter, marker_path
from curate.runs.run_directory import RunDirectory
from curate.schemas.ledger import LEDGER_SCHEMA
from curate.schemas.verdict import Drop


@pytest.fixture(params=["disk", "object store"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    if request.param == "disk":
        return RunDirectory(str(tmp_path / "out"))
    return RunDirectory(f"memory://{tmp_path.name}")


def test_a_file_appears_whole_or_not_at_all(run: RunDirectory) -> None:

    def fail() -> None:
        with run.publish("a/b.txt") as local:
            local.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert not run.exists("a/b.txt")
    with run.publish("a/b.txt") as local:
        local.write_text("whole")
        assert not run.exists("a/b.txt")
    with run.open("a/b.txt") as stream:
        assert stream.read() == b"whole"
    assert run.files("a") == ["a/b.txt"]


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    run.write_bytes(b"1", "a", "kept")
    (tmp_path / "a" / ".part.parquet.123.tmp").write_text("half")
    run.sweep()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["kept"]


def test_a_part_commits_its_files_and_then_its_marker(run: RunDirectory) -> None:
    with PartWriter(run, "documents", "web/part-00000") as part:
        rows = part.rows("x/web/part-00000.parquet", LEDGER_SCHEMA)
        part.came_in("web", "page")
        part.drop("web", "page", "id", "http://h/\udcff", Drop("page.language", "de", "en"))
        assert not run.exists(marker_path("documents", "web/part-00000"))
    assert rows.count == 0
    marker = run.read_json(marker_path("documents", "web/part-00000"))
    assert marker["ledger_rows"] == 1
    with run.open("ledger/documents/web/part-00000.parquet") as stream:
        (row,) = pq.read_table(stream).to_pylist()
    assert (row["rule"], row["value"], row["url"]) == ("page.language", "de", "http://h/?")


def test_a_part_that_fails_leaves_nothing(run: RunDirectory) -> None:
    def fail() -> None:
        with PartWriter(run, "documents", "web/part-00000") as part:
            part.file("x/web/part-00000.bin").write_bytes(b"half")
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        fail()
    assert run.files("") == []
