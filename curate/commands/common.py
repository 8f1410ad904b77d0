"""What commands share: errors in words, run directories, recipes by name, options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from curate.console import say
from curate.schemas.errors import CurateError, UsageError, outside_errors
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.recipe_file import RecipeError, load_recipe
from curate.schemas.text.secrets import masked

if TYPE_CHECKING:
    from curate.runs.run_directory import RunDirectory

# Beam is imported by the commands that need it: it takes seconds, and `--help` should not.


def fail(message: str, code: int = 1) -> NoReturn:
    """End with a message on standard error."""
    say(f"curate: {masked(message)}", err=True)
    sys.exit(code)


def explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors that are meant for the user into a message and an exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except CurateError as error:
            fail(str(error), error.exit_code)
        except BrokenPipeError:
            # Whoever read the output has seen enough: click ends without a word.
            raise
        except outside_errors() as error:
            fail(
                f"{error}. Finished parts are kept: mend the cause and run the same command again."
            )

    return run


def find_recipe(name: str) -> Recipe:
    """A recipe by path, or by the name of one that ships with the project."""
    if Path(name).suffix in (".yaml", ".yml") or Path(name).exists():
        return load_recipe(Path(name), name)
    shipped = shipped_recipes()
    if name not in shipped:
        raise RecipeError(
            f"no recipe is named {name!r}. Shipped: {', '.join(shipped)}; or give a .yaml file."
        )
    with as_file(files("curate") / "recipes" / f"{name}.yaml") as path:
        return load_recipe(path, f"{name}.yaml")


def shipped_recipes() -> list[str]:
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in (files("curate") / "recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def tell_empty_slots(filled: Recipe, empty: list[str]) -> None:
    """Say which sources have no inputs, and who gets their weight."""
    if not empty:
        return
    say(f"without inputs, left out: {', '.join(empty)}", err=True)
    for row_format in dict.fromkeys(source.format for source in filled.sources.values()):
        own = {n: s.weight for n, s in filled.sources.items() if s.format == row_format}
        shares = ", ".join(f"{name} {w / sum(own.values()):.1%}" for name, w in own.items())
        say(f"  shares of {row_format} tokens: {shares}", err=True)


def tell_unfilled_steps(recipe: Recipe) -> None:
    """Say what the recipe leaves undone of the published system that it follows."""
    from curate.claims import unfilled_steps

    for sentence in unfilled_steps(recipe):
        say(f"not done: {masked(sentence)}", err=True)


def open_run(out: str) -> RunDirectory:
    from curate.runs.run_directory import RunDirectory

    try:
        run = RunDirectory(out)
        run.path()
    except ImportError as error:
        raise UsageError(
            f"{out} needs a package that is not installed: {error}. "
            "The extras `s3` and `gcp` of curate-pretraining bring what s3:// and gs:// need."
        ) from error
    return run


class ManyValues(click.Command):
    """A command whose repeatable options also take several values: `--input A B C`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {n for p in self.params if getattr(p, "multiple", False) for n in p.opts}
        given: list[str] = []
        option: str | None = None
        for position, arg in enumerate(args):
            if arg.startswith("-"):
                option = arg if arg in names else None
            elif option is not None and args[position - 1] != option:
                given.append(option)
            given.append(arg)
        return super().parse_args(ctx, given)


documents_option = click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    metavar="DOCS...",
    help="JSON lines (.jsonl, .gz, .zst) or Parquet with `text` or `segments`: paths, globs or "
    "folders.",
)
workers_option = click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that work at the same time.",
)
