"""Commands on recipes: list, show, schema, validate."""

from __future__ import annotations

import json

import click

from curate.commands.common import explained, find_recipe, shipped_recipes
from schemas.recipe import Recipe
from schemas.recipe_file import recipe_to_yaml


@click.group()
def recipe() -> None:
    """List, show and check recipes."""


@recipe.command("list")
def recipe_list() -> None:
    """Name the recipes that ship with the project."""
    for name in shipped_recipes():
        click.echo(name)


@recipe.command("show")
@click.argument("name")
@explained
def recipe_show(name: str) -> None:
    """Print a recipe with every default written out."""
    click.echo(recipe_to_yaml(find_recipe(name)), nl=False)


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes, for editors; every key is described."""
    click.echo(json.dumps(Recipe.model_json_schema(), indent=1))


@recipe.command("validate")
@click.argument("name")
@explained
def recipe_validate(name: str) -> None:
    """Check a recipe and say what is wrong with it."""
    find_recipe(name)
    click.echo(f"{name}: valid")
