"""The same corpus in more parts: what steps send each other grows no faster than the parts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

from benchmarks.parts import make_corpus
from curate.pipelines.engine.engine import Engine
from curate.pipelines.stages import STAGES, Stages
from curate.runs.plan import plan_run
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import STAGE_NAMES
from tests.counting_store import CountingStore

ITEMS = 40
CUTS = (4, 16, 40)
PER_PART = 6
"""Opens and files that one more part may cost a step: its own task's, and those of its group's."""
TELLING = (
    "duplicates/answers",
    "duplicates/edges-00",
    "decontamination/matches",
    "image-duplicates/answers",
    "image-verdicts/answers",
    "pictures/answers",
    "pictures/furniture",
    "repeats/repeated",
)


def exchanged(folder: Path, store: CountingStore, parts: int) -> dict[str, tuple[int, int, int]]:
    """By step: bytes and files written, files opened; of a build up to stage `pictures`."""
    store.empty()
    run = RunDirectory("counting://run")
    sizes: dict[str, int] = {}
    remove = RunDirectory.remove

    def measured(self: RunDirectory, *names: str) -> None:
        for step in list(store.written):
            if step.startswith(f"{names[0]}/"):
                sizes[step] = store.bytes_below(step)
        remove(self, *names)

    plan = plan_run(make_corpus(folder, parts, ITEMS))
    with Engine() as engine, patch.object(RunDirectory, "remove", measured):
        stages = Stages(engine=engine, run=run, plan=plan, input_fingerprint="")
        for stage in STAGES[: STAGE_NAMES.index("pictures") + 1]:
            stages.complete(stage, lambda name, total: nullcontext())
    return {step: (size, store.written[step], store.opened[step]) for step, size in sizes.items()}


def test_steps_cost_no_more_than_their_parts(tmp_path: Path, store: CountingStore) -> None:
    found = [exchanged(tmp_path / f"{parts}", store, parts) for parts in CUTS]
    stages = {step.split("/")[1] for step in found[-1]}
    assert stages == {
        "duplicates", "repeats", "decontamination", "image-plan", "image-duplicates",
        "image-verdicts", "pictures",
    }  # fmt: skip
    few, middle, many = found
    assert few.keys() == middle.keys() == many.keys()
    assert min(many[f"exchange/{step}"][0] for step in TELLING) > 1_000, "rows were sent"
    for step in many:
        at_first = (middle[step][0] - few[step][0]) / (CUTS[1] - CUTS[0])
        at_last = (many[step][0] - middle[step][0]) / (CUTS[2] - CUTS[1])
        assert at_last <= 1.5 * at_first + 300, (step, "bytes", [f[step][0] for f in found])
        for kind, what in ((1, "files"), (2, "opens")):
            more = many[step][kind] - few[step][kind]
            assert more <= PER_PART * (CUTS[2] - CUTS[0]), (step, what, few[step], many[step])
