"""datatrove's own quality filters over texts. Runs in an environment of its own:

python datatrove_filters.py TEXTS VERDICTS

TEXTS holds {"id", "text"} a line; VERDICTS gets {"id", PRESET: {"reason", "text", "seconds"}},
where `reason` is why datatrove drops the document, or "" where it keeps it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_parts

PRESETS: dict[str, list[Callable[[], Any]]] = {
    "dclm": [GopherRepetitionFilter, GopherQualityFilter],
    "fineweb": [
        GopherRepetitionFilter,
        GopherQualityFilter,
        lambda: C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter,
    ],
    "c4": [C4QualityFilter],
}


def main(texts: str, verdicts: str) -> None:
    presets = {name: [make() for make in filters] for name, filters in PRESETS.items()}
    # The first word asked of spaCy loads it, which is no part of a document's time.
    judge(Document(text="One. Two.", id=""), [GopherRepetitionFilter(), C4QualityFilter()])
    with open(texts, encoding="utf-8") as lines, open(verdicts, "w", encoding="utf-8") as out:
        for line in lines:
            row = json.loads(line)
            told: dict[str, Any] = {"id": row["id"]}
            for name, filters in presets.items():
                split_into_parts.cache_clear()
                document = Document(text=row["text"], id=row["id"])
                started = time.process_time()
                reason = judge(document, filters)
                seconds = time.process_time() - started
                told[name] = {"reason": reason, "text": document.text, "seconds": seconds}
            out.write(json.dumps(told, ensure_ascii=False) + "\n")


def judge(document: Document, filters: list[Any]) -> str:
    for each in filters:
        verdict = each.filter(document)
        if verdict is not True:
            return verdict[1]
    return ""


main(sys.argv[1], sys.argv[2])
