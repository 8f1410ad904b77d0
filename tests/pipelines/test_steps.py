"""Parts of a stage: what is committed is not made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.pipelines.engine.engine import Engine
from curate.pipelines.engine.tasks import WorkError
from curate.pipelines.steps import MakeParts, PartTask, parts_pipeline, run_parts
from curate.runs.part import PartWriter, done_parts, marker_path
from curate.runs.plan import RunPlan
from curate.runs.run_directory import RunDirectory
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Source

STAGE = "counted"
NAMES = [f"web/part-{n:05d}" for n in range(6)]
TASKS = [PartTask(name=name, cost=1, payload=name) for name in NAMES]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "run"))


@pytest.fixture
def plan() -> RunPlan:
    source = Source(kind="jsonl", format="text", paths=("x",))
    recipe = Recipe(name="test", sources={"web": source})
    return RunPlan(recipe=recipe, fingerprint="f", parts=())


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine("direct", 1) as made:
        yield made


class Maker:
    """Notes each part that it makes in a file beside the run, and fails from one on."""

    def __init__(self, folder: Path, fails_from: int | None = None) -> None:
        self._log = folder / "made.txt"
        self._fails_from = fails_from

    def __call__(self, plan: RunPlan, part: PartWriter, payload: Any) -> None:
        if self._fails_from is not None and len(self.made()) >= self._fails_from:
            raise OSError("no space left on device")
        with self._log.open("a") as log:
            log.write(f"{payload}\n")
        part.came_in("web", "document")
        part.went_out("web", "document")

    def made(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


def test_the_finished_half_of_a_stage_that_failed_is_not_made_again(
    tmp_path: Path, engine: Engine, run: RunDirectory, plan: RunPlan
) -> None:
    failing = Maker(tmp_path, fails_from=3)
    with pytest.raises(WorkError, match="no space left"):
        run_parts(engine, run, plan, STAGE, TASKS, failing)
    half = failing.made()
    assert len(half) == 3
    assert done_parts(run, STAGE) == set(half)
    markers = {name: Path(run.path(marker_path(STAGE, name))).stat() for name in half}
    run_parts(engine, run, plan, STAGE, TASKS, Maker(tmp_path))
    assert sorted(failing.made()) == NAMES
    for name, before in markers.items():
        now = Path(run.path(marker_path(STAGE, name))).stat()
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_workers_are_given_the_missing_parts_alone(
    tmp_path: Path, engine: Engine, run: RunDirectory, plan: RunPlan
) -> None:
    run_parts(engine, run, plan, STAGE, TASKS[:4], Maker(tmp_path))
    shared: list[list[str]] = []
    share = engine.share

    def noted(items: Any, cost: Any) -> Any:
        shared.append([item.name for item in items])
        return share(items, cost)

    engine.share = noted  # type: ignore[method-assign]
    run_parts(engine, run, plan, STAGE, TASKS, Maker(tmp_path))
    run_parts(engine, run, plan, STAGE, TASKS, Maker(tmp_path))
    assert shared == [NAMES[4:]]


def test_a_part_that_another_worker_committed_meanwhile_stays(
    tmp_path: Path, engine: Engine, run: RunDirectory, plan: RunPlan
) -> None:
    """As when an engine gives a bundle to a second worker, for the first seemed lost."""
    make = Maker(tmp_path)
    build = parts_pipeline(engine, run, plan, STAGE, TASKS, make)
    with PartWriter(run, STAGE, NAMES[2]) as part:
        make(plan, part, NAMES[2])
    engine.run(build)
    assert sorted(make.made()) == NAMES
    again = list(MakeParts(run, plan, STAGE, make).process(TASKS))  # type: ignore[arg-type]
    assert again == NAMES
    assert len(make.made()) == len(NAMES)
