"""Measure `curate decontaminate`.

    python -m benchmarks.decontamination BENCH TEXTS

BENCH is a folder of benchmark files (.jsonl.gz), TEXTS one of JSON lines files with clean prose.
Each of 1,000 items is pasted into a clean document as it is, and edited in five ways. Printed is
the share of items found by way of editing, the clean documents touched, and the time.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.decontamination.benchmarks import built_in_registry, read_benchmark, read_registry

ITEMS = 1_000
MIN_WORDS = {"10 % of words replaced": 20, "20 % of words replaced": 20}
_MARKS = str.maketrans({".": " ;", ",": " -", "?": "!", "'": "’", '"': "”", ":": " "})

Edit = Callable[[str, random.Random, list[str]], str]
EDITS: dict[str, Edit] = {
    "verbatim": lambda text, generator, words: text,
    "lines wrapped": lambda text, generator, words: textwrap.fill(text, 40),
    "case": lambda text, generator, words: text.upper(),
    "punctuation": lambda text, generator, words: text.translate(_MARKS),
    "10 % of words replaced": lambda text, generator, words: replaced(text, 0.1, generator, words),
    "20 % of words replaced": lambda text, generator, words: replaced(text, 0.2, generator, words),
}


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    files = [str(p) for p in sorted(Path(sys.argv[1]).glob("*.jsonl.gz"))]
    items = items_of(files)
    clean = clean_texts(Path(sys.argv[2]))
    planted = plant(items, clean)
    rows = [{"id": f"clean/{n}", "text": text} for n, text in enumerate(clean)] + planted
    touched, seconds = decontaminate(files, rows)
    size = sum(len(row["text"].encode()) for row in rows) / 1e6
    print(f"{len(rows):,} documents, {size:.1f} MB, {seconds:.1f} CPU s with building the index")
    print(f"clean: {sum(i.startswith('clean/') for i in touched)} of {len(clean)} touched")
    total = Counter(row["id"].split("/")[0] for row in planted)
    found = Counter(row["id"].split("/")[0] for row in planted if row["id"] in touched)
    for edit, count in total.items():
        print(f"{edit:<24} {found[edit] / count:.3f} of {count:,}")


def items_of(files: list[str]) -> list[str]:
    """Different texts of at least 8 words, those of benchmarks with few items too."""
    registry = read_registry(built_in_registry(), "registry")
    by_file = [
        sorted({item.text for item in read_benchmark(f, registry) if len(item.text.split()) >= 8})
        for f in files
    ]
    for number, texts in enumerate(by_file):
        random.Random(number).shuffle(texts)
    longest = max(map(len, by_file))
    in_turn = (texts[n] for n in range(longest) for texts in by_file if n < len(texts))
    return list(dict.fromkeys(in_turn))


def clean_texts(folder: Path) -> list[str]:
    texts = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    return texts


def plant(items: list[str], clean: list[str]) -> list[dict[str, str]]:
    """Each edit's items, each between two thousand characters of a clean document."""
    words = [word for text in clean for word in text.split()[:200]]
    rows = []
    for edit, change in EDITS.items():
        chosen = [item for item in items if len(item.split()) >= MIN_WORDS.get(edit, 8)][:ITEMS]
        for number, item in enumerate(chosen):
            generator = random.Random(f"{edit} {number}")
            around = generator.choice(clean)
            at = generator.randrange(max(len(around) - 2_000, 1))
            before, after = around[at : at + 1_000], around[at + 1_000 : at + 2_000]
            text = f"{before}\n{change(item, generator, words)}\n{after}"
            rows.append({"id": f"{edit}/{number}", "text": text})
    return rows


def replaced(text: str, share: float, generator: random.Random, words: list[str]) -> str:
    found = text.split()
    for at in generator.sample(range(len(found)), round(share * len(found))):
        found[at] = generator.choice(words)
    return " ".join(found)


def decontaminate(files: list[str], rows: list[dict[str, Any]]) -> tuple[set[str], float]:
    """Ids of the documents that were cut or dropped, and CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.jsonl", Path(folder) / "out"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "benchmarks.peak_memory",
            "decontaminate",
            "--input",
            str(source),
        ]
        before = os.times()
        subprocess.run(
            [*command, "--out", str(out), "--benchmarks", *files], check=True, capture_output=True
        )
        after = os.times()
        ledger = (out / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        seconds = after.children_user + after.children_system
        seconds -= before.children_user + before.children_system
        return {json.loads(row)["id"] for row in ledger}, seconds


main()
