from __future__ import annotations

import pytest

from curate.commands.common import find_recipe, shipped_recipes
from curate.schemas.settings.recipe_file import (
    RecipeError,
    parse_recipe,
    recipe_fingerprint,
    recipe_to_yaml,
)

MINIMAL = {"name": "r", "sources": {"web": {"format": "interleaved"}}}


def test_defaults_are_those_of_kosmos1() -> None:
    recipe = parse_recipe(MINIMAL, "r.yaml")
    assert recipe.images.max_per_document == 5
    assert recipe.images.single_image_keep == 0.5
    assert recipe.filters.image.min_side == 64
    assert (recipe.tokenization.vocabulary, recipe.tokenization.block) == (64_000, 2_048)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"images": {"max_per_document": 0}},
            "r.yaml: images.max_per_document must be greater than or equal to 1 (got 0).",
        ),
        (
            {"images": {"max_per_documnt": 3}},
            "r.yaml: images.max_per_documnt is not a key of a recipe. "
            "Did you mean `max_per_document`?",
        ),
        ({"filter": {}}, "r.yaml: filter is not a key of a recipe. Did you mean `filters`?"),
        (
            {"sources": {"web": {"format": "interleaved", "weigth": 2}}},
            "r.yaml: sources.web.weigth is not a key of a recipe. Did you mean `weight`?",
        ),
        (
            {"sources": {"web": {}}},
            "r.yaml: sources.web.format is required. "
            "Set it; `curate recipe schema` describes every key.",
        ),
    ],
)
def test_errors_say_where_what_and_what_to_do(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({**MINIMAL, **change}, "r.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize("data", [None, [], "text"])
def test_a_recipe_must_be_a_mapping(data: object) -> None:
    with pytest.raises(RecipeError, match="must be a mapping"):
        parse_recipe(data, "r.yaml")


def test_an_image_must_fit_into_a_block() -> None:
    with pytest.raises(RecipeError, match="image_slots must be at most block - 4 = 124"):
        parse_recipe({**MINIMAL, "tokenization": {"block": 128, "image_slots": 125}}, "r.yaml")


def test_yaml_of_a_recipe_is_the_same_recipe(tmp_path) -> None:
    recipe = parse_recipe(MINIMAL, "r.yaml")
    path = tmp_path / "resolved.yaml"
    path.write_text(recipe_to_yaml(recipe))
    assert find_recipe(str(path)) == recipe


def test_fingerprint_ignores_where_inputs_lie_and_nothing_else() -> None:
    here = parse_recipe(
        {**MINIMAL, "sources": {"web": {"format": "interleaved", "paths": ["/a/*"]}}}, ""
    )
    there = parse_recipe(
        {**MINIMAL, "sources": {"web": {"format": "interleaved", "paths": ["s3://b/*"]}}}, ""
    )
    other = parse_recipe({**MINIMAL, "seed": 1}, "")
    assert recipe_fingerprint(here) == recipe_fingerprint(there)
    assert recipe_fingerprint(here) != recipe_fingerprint(other)


def test_every_shipped_recipe_is_valid() -> None:
    assert shipped_recipes() == [
        "coyo",
        "dclm",
        "demo",
        "fineweb",
        "kosmos1",
        "laion",
        "mmc4",
        "obelics",
        "omnicorpus",
    ]
    for name in shipped_recipes():
        assert find_recipe(name).name == name


def test_the_text_corpora_of_kosmos1_have_their_weights() -> None:
    """Table 20, whose weights sum to 99.9 %."""
    sources = find_recipe("kosmos1").sources
    weights = {name: s.weight for name, s in sources.items() if s.format == "text"}
    assert len(weights) == 11
    assert weights["openwebtext2"] == 0.218
    assert sum(weights.values()) == pytest.approx(0.999)
