"""Commands on recipes: list, show, schema, validate, plan."""

from __future__ import annotations

import click

from curate.commands.common import (
    explained,
    find_recipe,
    shipped_recipes,
    tell_empty_slots,
    tell_unfilled_steps,
)
from curate.console import say, say_json
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.recipe_file import recipe_to_yaml


@click.group()
def recipe() -> None:
    """List, show and check recipes."""


@recipe.command("list")
def recipe_list() -> None:
    """Name the recipes that ship with the project."""
    for name in shipped_recipes():
        say(name)


@recipe.command("show")
@click.argument("name")
@explained
def recipe_show(name: str) -> None:
    """Print a recipe with every default written out."""
    say(recipe_to_yaml(find_recipe(name)), nl=False)


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes, for editors; every key is described."""
    say_json(Recipe.model_json_schema(), indent=1)


@recipe.command("validate")
@click.argument("name")
@explained
def recipe_validate(name: str) -> None:
    """Check a recipe and say what is wrong with it."""
    tell_unfilled_steps(find_recipe(name))
    say(f"{name}: valid")


@recipe.command("plan")
@click.argument("name")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="GLOB",
    help="WARC or ARC files, as of `build-shards`. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@explained
def recipe_plan(name: str, inputs: tuple[str, ...], as_json: bool) -> None:
    """Tell what training on a recipe takes: tokens and epochs per source, rows and steps.

    Nothing is built. Tokens of a source are those that the recipe declares (`tokens`), or are
    estimated from the first 16 MB of one of its files, before duplicates go. Epochs are computed:
    steps x tokens a step x share / tokens.
    """
    from curate.build import with_inputs, without_empty_slots
    from curate.claims import unfilled_steps
    from curate.recipe_plan import plan_recipe
    from curate.reports.tables import print_plan

    filled, empty = without_empty_slots(with_inputs(find_recipe(name), inputs))
    plan = plan_recipe(filled)
    if as_json:
        sources = {
            s.name: {
                "format": s.format,
                "share": s.share,
                "tokens": s.tokens,
                "basis": s.basis,
                "taken": s.taken,
                "epochs": {phase: s.epochs(phase) for phase in s.taken},
            }
            for s in plan.sources
        }
        say_json(
            {
                "sources": sources,
                "phases": plan.phases,
                "left_out": empty,
                "unfilled_steps": unfilled_steps(filled),
            }
        )
        return
    tell_empty_slots(filled, empty)
    tell_unfilled_steps(filled)
    print_plan(plan)
