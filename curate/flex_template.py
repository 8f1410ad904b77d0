"""The stage `documents` as one Dataflow job that nobody waits for: what a Flex Template launches.

    python -m curate.flex_template --recipe=NAME --input=GLOB --out=gs://... BEAM OPTIONS

A launcher may submit one pipeline and must not wait for it, so a template can't drive all stages.
`curate build-shards` with the same recipe, input and run directory does the others: what this job
has made is made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from curate.build import with_inputs, without_empty_slots
from curate.commands.common import explained, find_recipe
from curate.console import guard_streams, say
from curate.pipelines.engine import dataflow
from curate.pipelines.engine.engine import Engine
from curate.pipelines.steps import PartTask, parts_pipeline
from curate.pipelines.text import documents
from curate.runs.plan import plan_run
from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import DOCUMENTS


@explained
def main(arguments: Sequence[str] | None = None) -> None:
    """Submit the job.

    Raises:
        SystemExit: an argument is missing or can't be right; the message is on standard error.
    """
    guard_streams()
    parser = argparse.ArgumentParser(prog="python -m curate.flex_template")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--out", required=True)
    given, beam_options = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    engine = Engine("dataflow", beam_options=beam_options)
    dataflow.check_options(beam_options)
    dataflow.check_places(given.out, [given.input])
    recipe, _ = without_empty_slots(with_inputs(find_recipe(given.recipe), (given.input,)))
    plan = plan_run(recipe)
    tasks = [PartTask(name=p.name, cost=p.size + 1, payload=p) for p in plan.parts]
    engine.submit(
        parts_pipeline(
            engine,
            RunDirectory(given.out),
            plan,
            DOCUMENTS,
            tasks,
            documents.make_documents,
        )
    )
    say(f"submitted: {len(tasks)} archives to {given.out}/documents")


if __name__ == "__main__":
    main()
