"""CCNet's normalisation of text, which its language models were trained on (Wenzek et al. 2020).

The reference is cc_net/text_normalizer.py: without case, accents and variants of punctuation, every
digit a 0.
"""

from __future__ import annotations

import re
import unicodedata

from curate.schemas.text.normal_form import normalized

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("，、", ","),
        **dict.fromkeys("„”“«»」「《》", '"'),
        **dict.fromkeys("´’", "'"),
        **dict.fromkeys("∶：", ":"),
        **dict.fromkeys("–━►", "-"),
        "。": ".",
        "？": "?",
        "！": "!",
        "（": "(",
        "）": ")",
        "；": ";",
        "—": " - ",
        "．": ". ",
        "～": "~",
        "…": "...",
        "〈": "<",
        "〉": ">",
        "【": "[",
        "】": "]",
        "％": "%",
    }
)
_DIGIT = re.compile(r"\d")
_NOT_PRINTING = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def ccnet_normalized(line: str) -> str:
    """One line of text as CCNet's models read it."""
    lowered = line.strip().lower()
    if not lowered.isascii():
        decomposed = normalized("NFD", lowered)
        lowered = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        lowered = lowered.translate(_PUNCTUATION)
    return _NOT_PRINTING.sub("", _DIGIT.sub("0", lowered))
