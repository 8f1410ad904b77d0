"""How right an extraction is: shingle and token F1, snippets, images, bootstrap intervals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Unit = TypeVar("_Unit")
_TOKEN = re.compile(r"\w+")
_SHINGLE = 4
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Overlap:
    """Shares of one page's units: found, wrongly found and missed; they sum to 1 (or to 0)."""

    found: float
    wrong: float
    missed: float


def shingle_overlap(text: str, gold: str) -> Overlap:
    """4-grams of word tokens, counted as article-extraction-benchmark's evaluate.py does."""
    return _overlap(_shingles(text), _shingles(gold))


def token_overlap(text: str, gold: str) -> Overlap:
    """Word tokens as a bag."""
    return _overlap(Counter(_TOKEN.findall(text)), Counter(_TOKEN.findall(gold)))


def f1(pages: Sequence[Overlap]) -> float:
    """F1 of the mean precision and the mean recall, as article-extraction-benchmark has it."""
    return float(_f1(*_precisions_and_recalls(pages)))


def f1_draws(pages: Sequence[Overlap]) -> npt.NDArray[np.float64]:
    """`f1` of bootstrap resamples of the pages, for intervals."""
    draws = np.random.default_rng(0).integers(0, len(pages), (RESAMPLES, len(pages)))
    precisions, recalls = _precisions_and_recalls(pages)
    return _f1(precisions[draws], recalls[draws])


def page_f1(page: Overlap) -> float:
    """F1 of one page; an empty extraction of an empty page is right."""
    total = 2 * page.found + page.wrong + page.missed
    return 2 * page.found / total if total else 1.0


def interval(draws: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of bootstrap draws."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def contains(text: str, snippet: str) -> bool:
    """Whether a text holds a snippet, white space aside."""
    return _squeeze(snippet) in _squeeze(text)


@dataclass(frozen=True, slots=True)
class ImageScore:
    """One page's images against the truth."""

    right: int
    found: int
    gold: int
    in_order: bool


def score_images(found: Sequence[str], gold: Sequence[str]) -> ImageScore:
    """Images by name, repeats counted; order is that of the names that both have."""
    right = sum((Counter(found) & Counter(gold)).values())
    common = set(found) & set(gold)
    order_found = list(dict.fromkeys(name for name in found if name in common))
    order_gold = list(dict.fromkeys(name for name in gold if name in common))
    return ImageScore(right, len(found), len(gold), order_found == order_gold)


def _precisions_and_recalls(
    pages: Sequence[Overlap],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """One number a page; NaN where nothing was found, or nothing was to be found."""
    found, wrong, missed = np.array([(p.found, p.wrong, p.missed) for p in pages]).T
    with np.errstate(invalid="ignore"):
        return found / (found + wrong), found / (found + missed)


def _f1(
    precisions: npt.NDArray[np.float64], recalls: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    precision, recall = _mean_of_known(precisions), _mean_of_known(recalls)
    total = precision + recall
    return np.asarray(2 * precision * recall / np.where(total > 0, total, 1))


def _mean_of_known(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=-1), 1)
    return np.asarray(np.where(known, values, 0).sum(axis=-1) / count)


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    tokens = _TOKEN.findall(text)
    return Counter(
        tuple(tokens[i : i + _SHINGLE]) for i in range(max(1, len(tokens) - _SHINGLE + 1))
    )


def _overlap(found: Counter[_Unit], gold: Counter[_Unit]) -> Overlap:
    common = sum((found & gold).values())
    wrong, missed = found.total() - common, gold.total() - common
    total = common + wrong + missed
    return Overlap(common / total, wrong / total, missed / total) if total else Overlap(0, 0, 0)


def _squeeze(text: str) -> str:
    return "".join(text.split())
