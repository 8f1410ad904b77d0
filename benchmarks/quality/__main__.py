"""Compare the quality rules with datatrove's own filters, document by document.

    python -m benchmarks.quality WARCS

WARCS is a folder of archives. The texts of their English pages are judged by the rules of the
shipped recipes and by datatrove's filters with its defaults, and every document on which they
differ is printed with both reasons.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from curate.extraction import extract
from curate.filters.text.families import apply_text_rules
from curate.filters.text.language import language_rule
from curate.filters.web.record import classify_record
from curate.schemas.document import Document, TextSegment
from curate.schemas.page import Origin, Record
from curate.schemas.settings.filter_rules import PageRules
from curate.schemas.settings.recipe_file import load_recipe
from curate.schemas.settings.text_rules import C4Rules, TextRules
from curate.schemas.verdict import Drop
from curate.sources.archives.archive import read_archive

DATATROVE_PYTHON = ".venv-datatrove/bin/python"


def _rules_of(recipe: str) -> TextRules:
    path = Path(str(files("curate").joinpath("recipes", f"{recipe}.yaml")))
    return load_recipe(path).filters.text


PRESETS = {
    "fineweb": _rules_of("fineweb").model_copy(update={"masking": None}),
    # datatrove has Gopher's rules, and not RefinedWeb's on lines.
    "dclm": _rules_of("dclm").model_copy(update={"refinedweb_lines": None}),
    "c4": TextRules(c4=C4Rules(variant="paper")),
}

SAME_RULE = {
    "dup_para_frac": "gopher.duplicate_paragraphs",
    "dup_para_char_frac": "gopher.duplicate_paragraph_characters",
    "dup_line_frac": "gopher.duplicate_lines",
    "dup_line_char_frac": "gopher.duplicate_line_characters",
    **{f"top_{n}_gram": f"gopher.top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"gopher.duplicate_{n}_grams" for n in range(5, 11)},
    "gopher_short_doc": "gopher.min_words",
    "gopher_long_doc": "gopher.max_words",
    "gopher_below_avg_threshold": "gopher.min_mean_word_length",
    "gopher_above_avg_threshold": "gopher.max_mean_word_length",
    "gopher_too_many_hashes": "gopher.max_hash_ratio",
    "gopher_too_many_ellipsis": "gopher.max_ellipsis_ratio",
    "gopher_too_many_bullets": "gopher.max_bullet_lines",
    "gopher_too_many_end_ellipsis": "gopher.max_ellipsis_lines",
    "gopher_below_alpha_threshold": "gopher.min_alpha_words",
    "gopher_enough_stop_words": "gopher.min_stop_words",
    "lorem_ipsum": "c4.page_lorem_ipsum",
    "curly_bracket": "c4.page_curly_bracket",
    "too_few_sentences": "c4.min_sentences",
    "line_punct_ratio": "fineweb.min_ended_lines",
    "short_line_ratio": "fineweb.max_short_lines",
    "char_dup_ratio": "fineweb.max_duplicate_characters",
    "list_ratio": "fineweb.max_line_breaks",
    "empty": "fineweb.empty",
    "": "",
}
"""datatrove's reasons and our rules."""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    texts = list(english_texts(sorted(Path(sys.argv[1]).glob("*.warc.gz"))))
    words = sum(len(text.split()) for _, text in texts)
    print(f"{len(texts):,} English pages, {words / len(texts):,.0f} words each")
    theirs = datatrove_verdicts(texts)
    for name, rules in PRESETS.items():
        compare(name, rules, texts, theirs)


def english_texts(warcs: list[Path]) -> Iterator[tuple[str, str]]:
    """Address and text of the pages that are English enough for FineWeb."""
    for path in warcs:
        for item in read_archive(str(path), 64 << 20):
            if not isinstance(item, Record) or classify_record(item) != "page":
                continue
            document = extract(item.payload, item.url)
            if isinstance(document, Drop) or not document.text.strip():
                continue
            if not isinstance(language_rule(document.text, PageRules()), Drop):
                yield item.url, document.text


def datatrove_verdicts(texts: list[tuple[str, str]]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "texts.jsonl", Path(scratch) / "verdicts.jsonl"
        with source.open("w", encoding="utf-8") as out:
            for url, text in texts:
                out.write(json.dumps({"id": url, "text": text}) + "\n")
        script = "benchmarks/quality/datatrove_filters.py"
        subprocess.run([DATATROVE_PYTHON, script, source, target], check=True)
        return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


def compare(
    name: str, rules: TextRules, texts: list[tuple[str, str]], theirs: list[dict[str, Any]]
) -> None:
    counts: Counter[str] = Counter()
    differences = []
    seconds = 0.0
    for (url, text), their in zip(texts, theirs, strict=True):
        started = time.process_time()
        judged = apply_text_rules(_document(url, text), rules, lambda drop: None)
        seconds += time.process_time() - started
        reason = judged.rule if isinstance(judged, Drop) else ""
        expected = SAME_RULE[their[name]["reason"]]
        if bool(reason) != bool(expected):
            counts["other verdict"] += 1
        elif reason != expected:
            counts["same verdict, other rule"] += 1
        elif not reason and judged.text.split() != their[name]["text"].split():
            counts["both keep, other lines"] += 1
        else:
            counts["same"] += 1
            continue
        shown = f"{judged.value} (limit {judged.limit})" if isinstance(judged, Drop) else ""
        differences.append(
            f"  {url[:90]}\n    curate {reason or 'keeps'} {shown}; "
            f"datatrove {their[name]['reason'] or 'keeps'}"
        )
    their_seconds = sum(their[name]["seconds"] for their in theirs)
    print(f"\n{name}: {dict(counts)}")
    print(
        f"  {1000 * seconds / len(texts):.2f} ms a document; datatrove "
        f"{1000 * their_seconds / len(texts):.2f} ms, {their_seconds / seconds:.1f} times as much"
    )
    print("\n".join(differences))


def _document(url: str, text: str) -> Document:
    origin = Origin(warc_file="", offset=0)
    return Document(
        id=url, url=url, source="web", segments=(TextSegment(text=text),), origin=origin
    )


main()
