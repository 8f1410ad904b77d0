"""Rules by trained models: quality by fastText, perplexity by KenLM, nouns by NLTK's tagger."""

from __future__ import annotations

import importlib.util
import json
from functools import lru_cache
from typing import Any

import fasttext
import fsspec
import sentencepiece

from curate.filters.text.ccnet import ccnet_normalized
from curate.schemas.errors import CurateError, UsageError
from curate.schemas.settings.filter_rules import NOUN_TAGGER_FILES, Filters
from curate.schemas.settings.text_rules import ClassifierRules, PerplexityRules
from curate.schemas.verdict import Drop, Keep, Verdict


class ModelError(UsageError):
    """A model that a rule names can't be read."""


def require_packages(filters: Filters) -> None:
    """Check that the packages of the rules are there.

    Raises:
        CurateError: one is not.
    """
    for rule, is_on, package in (
        ("filters.text.perplexity", filters.text.perplexity is not None, "kenlm"),
        ("filters.pair.noun_tagger", filters.pair.noun_tagger is not None, "nltk"),
    ):
        if is_on and importlib.util.find_spec(package) is None:
            raise CurateError(
                f"{rule} needs the package {package}. Install the extra `{package}` of "
                "curate-pretraining, or set the rule to null."
            )


def classifier_rule(text: str, rules: ClassifierRules) -> Verdict:
    """Drop a text to which the classifier gives the label with too small a probability.

    Raises:
        ModelError: the model can't be read, or doesn't know the label.
    """
    score = quality_score(text, rules)
    if score < rules.min_score:
        return Drop("classifier.min_score", score, rules.min_score)
    return Keep((("classifier.score", score),))


def quality_score(text: str, rules: ClassifierRules) -> float:
    """Probability, 0 to 1, that the classifier gives the label; 0 where it sees no feature.

    Raises:
        ModelError: the model can't be read, or doesn't know the label.
    """
    model = _classifier(rules.model)
    # At a threshold of 0, a model with a tree of labels (loss `hs`) leaves those below 1e-5 out.
    labels, scores = model.predict(" ".join(text.split()), k=-1, threshold=-1.0)
    found = dict(zip(labels, scores, strict=True))
    if found and rules.label not in found:
        raise ModelError(
            f"filters.text.classifier: {rules.model} has no label {rules.label} "
            f"(it has {', '.join(sorted(found))})"
        )
    return min(float(found.get(rules.label, 0.0)), 1.0)


@lru_cache(maxsize=2)
def _classifier(path: str) -> Any:
    try:
        return fasttext.load_model(path)
    except ValueError as error:
        raise ModelError(
            f"filters.text.classifier: {path} can't be read as a fastText model: {error}"
        ) from error


def perplexity_rule(text: str, rules: PerplexityRules) -> Verdict:
    """Drop a text of greater perplexity: over all its lines, as CCNet sums it.

    Raises:
        ModelError: a model can't be read.
    """
    model, tokenizer = _language_model(rules.model, rules.tokenizer)
    total, length = 0.0, 0
    for line in text.split("\n"):
        read = ccnet_normalized(line) if rules.normalization == "ccnet" else line
        pieces = read.split() if tokenizer is None else tokenizer.encode(read, out_type=str)
        if pieces:
            total += model.score(" ".join(pieces))
            length += len(pieces) + 1
    perplexity = 10.0 ** (-total / length) if length else float("inf")
    if perplexity > rules.max_perplexity:
        return Drop("perplexity.max_perplexity", perplexity, rules.max_perplexity)
    return Keep((("perplexity", perplexity),))


@lru_cache(maxsize=2)
def _language_model(path: str, tokenizer: str | None) -> tuple[Any, Any]:
    import kenlm

    try:
        model = kenlm.Model(path)
        if tokenizer is None:
            return model, None
        return model, sentencepiece.SentencePieceProcessor(model_file=tokenizer)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"filters.text.perplexity: a model can't be read: {error}") from error


def has_noun(text: str, folder: str) -> bool:
    """Whether NLTK's tagger calls a word of an English text a noun.

    Args:
        text: a caption or a sentence.
        folder: of `averaged_perceptron_tagger_eng`, as NLTK's downloader unpacks it.

    Raises:
        ModelError: the tagger can't be read.
    """
    tagger, tokenizer = _tagger(folder)
    return any(tag.startswith("NN") for _, tag in tagger.tag(tokenizer.tokenize(text)))


def _json(path: str) -> Any:
    with fsspec.open(path, "rb") as stream:
        return json.load(stream)


@lru_cache(maxsize=1)
def _tagger(folder: str) -> tuple[Any, Any]:
    from nltk.tag.perceptron import PerceptronTagger
    from nltk.tokenize import NLTKWordTokenizer

    tagger = PerceptronTagger(load=False)
    try:
        # NLTK itself reads from its own data folders alone.
        tagger.decode_json_params(_json(f"{folder}/{name}") for name in NOUN_TAGGER_FILES)
    except (OSError, ValueError) as error:
        raise ModelError(f"filters.pair.noun_tagger: {folder} can't be read: {error}") from error
    return tagger, NLTKWordTokenizer()
