from __future__ import annotations

import re

from curate.claims import unfilled_steps
from curate.commands.common import find_recipe
from curate.schemas.settings.recipe_file import parse_recipe, recipe_fingerprint


def test_a_recipe_tells_what_it_leaves_undone_of_kosmos1() -> None:
    recipe = find_recipe("kosmos1")
    sources, benchmarks = unfilled_steps(recipe)
    assert re.search("no inputs here: bookcorpus2, books3", sources)
    assert "decontamination.benchmarks names none" in benchmarks


def test_a_filled_recipe_leaves_nothing_undone_and_a_switched_off_rule_is_told() -> None:
    data = find_recipe("kosmos1").model_dump(mode="json")
    for source in data["sources"].values():
        source["paths"] = ["x"]
    data["decontamination"] = {"benchmarks": ["b.jsonl"]}
    assert unfilled_steps(parse_recipe(data, "t")) == ()
    data["filters"]["page"]["language"] = None
    data["dedup"] = None
    assert unfilled_steps(parse_recipe(data, "t")) == (
        'kosmos1 sets filters.page.language to "en", here it is null',
        "kosmos1 has a section `dedup`, which is switched off here",
    )


def test_the_claim_is_no_part_of_the_fingerprint() -> None:
    recipe = find_recipe("kosmos1")
    without = recipe.model_copy(update={"follows": None})
    assert recipe_fingerprint(without) == recipe_fingerprint(recipe)
    assert unfilled_steps(without) == ()
