"""Recipe files: reading, naming what is wrong in them, fingerprinting."""

from __future__ import annotations

import difflib
import json
from hashlib import sha256
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from curate.schemas.errors import UsageError
from curate.schemas.settings.filter_rules import NOUN_TAGGER_FILES, Filters
from curate.schemas.settings.recipe import Recipe
from curate.schemas.text.secrets import masked_data


class RecipeError(UsageError):
    """A recipe that can't be used; the message says where, what was got and what to do."""


def load_recipe(path: Path, name: str | None = None) -> Recipe:
    """Read and validate a YAML recipe.

    Raises:
        RecipeError: the file can't be read, is not YAML, or doesn't fit the schema.
    """
    label = name or str(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{label}: can't be read as YAML: {error}") from error
    return parse_recipe(data, label)


def parse_recipe(data: Any, label: str) -> Recipe:
    """Validate a recipe given as plain data; `label` names it in errors."""
    if not isinstance(data, dict):
        raise RecipeError(f"{label}: must be a mapping of sections (got {type(data).__name__})")
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        lines = [f"{label}: {_explain(e)}" for e in error.errors()]
        raise RecipeError("\n".join(lines)) from error


T = TypeVar("T", bound=BaseModel)


def parse_section(section: type[T], data: dict[str, Any], label: str) -> T:
    """Validate one section of a recipe by itself.

    Raises:
        RecipeError: it doesn't fit the schema.
    """
    try:
        return section.model_validate(data)
    except ValidationError as error:
        lines = [f"{label}: {_explain(e)}" for e in error.errors()]
        raise RecipeError("\n".join(lines)) from error


def recipe_to_yaml(recipe: Recipe) -> str:
    """The recipe with every default written out, and the secrets of its addresses masked."""
    return yaml.safe_dump(
        masked_data(recipe.model_dump(mode="json")), sort_keys=False, allow_unicode=True
    )


def recipe_fingerprint(recipe: Recipe) -> str:
    """SHA-256 of what decides the shards: not where inputs lie, nor how training mixes them."""
    data = recipe.model_dump(mode="json")
    del data["mixture"]
    # A claim, which changes no row.
    del data["follows"]
    for source in data["sources"].values():
        for key in ("paths", "crawl", "crawl_root", "limit", "weight", "tokens"):
            del source[key]
    if recipe.dedup is not None:
        del data["dedup"]["against"]
    if recipe.decontamination is not None:
        for key in ("benchmarks", "images", "registry"):
            del data["decontamination"][key]
    for key, _ in filter_files(recipe.filters):
        section, _, name = key.removeprefix("filters.").rpartition(".")
        place = data["filters"]
        for part in section.split("."):
            place = place[part]
        place[name] = "given"
    if recipe.tokenization.model is not None:
        data["tokenization"]["model"] = "given"
    return sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


CHECKPOINTS = (".pt", ".pth", ".safetensors")
"""Extensions of local files of weights."""


def filter_files(filters: Filters) -> list[tuple[str, str]]:
    """The files that filters read, each with the key of the recipe that names it."""
    url, text = filters.url, filters.text
    named: list[tuple[str, str | None]] = [
        *(("filters.url.blocked_domains", path) for path in url.blocked_domains),
        *(("filters.url.blocked_urls", path) for path in url.blocked_urls),
        ("filters.page.language_model", filters.page.language_model),
        *(("filters.image.blocked_hashes", path) for path in filters.image.blocked_hashes),
        *(("filters.pair.banned_word_lists", path) for path in filters.pair.banned_word_lists),
        ("filters.pair.language_model", filters.pair.language_model),
    ]
    if (tagger := filters.pair.noun_tagger) is not None:
        named += [("filters.pair.noun_tagger", f"{tagger}/{name}") for name in NOUN_TAGGER_FILES]
    if text.classifier is not None:
        named.append(("filters.text.classifier.model", text.classifier.model))
    if text.perplexity is not None:
        named.append(("filters.text.perplexity.model", text.perplexity.model))
        named.append(("filters.text.perplexity.tokenizer", text.perplexity.tokenizer))
    if text.obelics is not None:
        for name in ("stop_words", "flagged_words", "spam_words", "common_words"):
            named.append((f"filters.text.obelics.{name}", getattr(text.obelics, name)))
    if (clip := filters.clip) is not None:
        for name, head in (("aesthetic", clip.aesthetic), ("nsfw", clip.nsfw)):
            named.append((f"filters.clip.{name}.weights", None if head is None else head.weights))
        if clip.model.endswith(".json"):
            named.append(("filters.clip.model", clip.model))
        if "/" in clip.weights or clip.weights.endswith(CHECKPOINTS):
            named.append(("filters.clip.weights", clip.weights))
    return [(key, path) for key, path in named if path is not None]


def _explain(error: Any) -> str:
    location = [str(part) for part in error["loc"] if part != "[key]"]
    where = ".".join(location)
    got = error.get("input")
    if error["type"] == "extra_forbidden":
        known = _fields_at(Recipe, location[:-1])
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"Did you mean `{close[0]}`?" if close else f"Known keys: {', '.join(known)}."
        return f"{where} is not a key of a recipe. {hint}"
    if error["type"] == "missing":
        return f"{where} is required. Set it; `curate recipe schema` describes every key."
    shown = "" if isinstance(got, dict) else f" (got {got!r})"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    verb = "" if message.startswith(("should", "has", "must")) else "is wrong: "
    return f"{where} {verb}{message}{shown}.".replace("should be", "must be")


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    current: Any = model
    for part in location:
        if get_origin(current) is dict:
            current = get_args(current)[1]
            continue
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        current = _unwrap(current.model_fields[part].annotation)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return []


def _unwrap(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        return next(a for a in get_args(annotation) if a is not type(None))
    return annotation
