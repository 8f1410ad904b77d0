"""What a run consists of: its parts, numbered by the input alone."""

from __future__ import annotations

from dataclasses import dataclass

from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.recipe_file import recipe_fingerprint
from curate.sources.listing import InputFile, list_inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPart:
    """One input file of one source: the unit of work, of names and of restarts."""

    number: int
    """Position among all parts of the run."""
    source: str
    index: int
    """Position among the source's parts."""
    path: str
    file_name: str
    size: int
    stamp: str = ""
    """Of the file when it was listed: it must be the same when it is read."""

    @property
    def name(self) -> str:
        """`SOURCE/part-00000`, below the folder of each kind of output."""
        return f"{self.source}/part-{self.index:05d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Everything a worker needs to know to work on any part."""

    recipe: Recipe
    fingerprint: str
    """Of the recipe: goes into every shard."""
    parts: tuple[InputPart, ...]

    def sources(self) -> list[str]:
        return sorted(self.recipe.sources)

    def parts_of(self, source: str) -> list[InputPart]:
        return [p for p in self.parts if p.source == source]


def plan_run(recipe: Recipe) -> RunPlan:
    """The plan of a recipe, its inputs listed.

    Raises:
        InputError: a source's inputs can't be listed.
    """
    return RunPlan(recipe=recipe, fingerprint=recipe_fingerprint(recipe), parts=plan_parts(recipe))


def plan_parts(recipe: Recipe) -> tuple[InputPart, ...]:
    """List the inputs of every source and number them.

    Raises:
        InputError: a source's inputs can't be listed.
    """
    listed: list[tuple[str, int, InputFile]] = [
        (name, index, file)
        for name in sorted(recipe.sources)
        for index, file in enumerate(list_inputs(name, recipe.sources[name]))
    ]
    return tuple(
        InputPart(
            number=number,
            source=name,
            index=index,
            path=file.path,
            file_name=file.name,
            size=file.size,
            stamp=file.stamp,
        )
        for number, (name, index, file) in enumerate(listed)
    )
