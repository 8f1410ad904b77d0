"""Formulas as text: the LaTeX that a page holds for them, else what a reader sees."""

from __future__ import annotations

import re
from collections.abc import Mapping

from selectolax.lexbor import LexborNode

_FORMULA_CLASS = re.compile(r"(?:^|[\s_-])(?:latex|tex|mwe-math\S*|math|formula)(?:$|[\s_-])")
_MAX_FORMULA = 2_000


def latex_of_math(math: LexborNode) -> str:
    """A `math` element: its LaTeX annotation or `alttext` between dollars, else its own text."""
    for annotation in math.css("annotation"):
        if "tex" in (annotation.attributes.get("encoding") or "").lower():
            return _dollars(annotation.text(deep=True), math.attributes.get("display") == "block")
    if alternative := math.attributes.get("alttext"):
        return _dollars(alternative, math.attributes.get("display") == "block")
    return f" {math.text(deep=True, separator=' ', strip=True)} "


def latex_of_script(script: LexborNode) -> str:
    """A MathJax `script type="math/tex"`; every other script is no text."""
    kind = (script.attributes.get("type") or "").lower()
    if not kind.startswith("math/tex"):
        return ""
    return _dollars(script.text(deep=True), "mode=display" in kind)


def latex_of_image(attributes: Mapping[str, str | None]) -> str:
    """An image of a formula, as LaTeX renderers make them: its alternative text."""
    label, alternative = attributes.get("class"), attributes.get("alt")
    if not label or not alternative or not _FORMULA_CLASS.search(label):
        return ""
    return _dollars(alternative, display=False)


def _dollars(formula: str, display: bool) -> str:
    formula = " ".join(formula.split())[:_MAX_FORMULA].strip("$ ")
    if not formula:
        return ""
    return f" $${formula}$$ " if display else f"${formula}$"
