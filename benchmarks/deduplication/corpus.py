"""Documents made of the sentences of real texts, by a keyed generator: the same for each number.

Every tenth document is an edited copy of the one before it, with 1 to 4 % of its words replaced.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

COPY_EVERY = 10
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def real_sentences(folder: Path) -> list[str]:
    """Sentences of 5 to 40 words of the `text` of all JSON lines files in a folder."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                for sentence in _SENTENCE_END.split(json.loads(line)["text"]):
                    if 5 <= len(sentence.split()) <= 40:
                        found[" ".join(sentence.split())] = None
    return list(found)


def documents(sentences: list[str], count: int) -> Iterator[dict[str, str]]:
    """Rows with `id` and `text` of 60 to 400 words; `copy-N` is an edited `N`."""
    before = ""
    for number in range(count):
        generator = random.Random(number)
        if number % COPY_EVERY == COPY_EVERY - 1:
            words = before.split(" ")
            share = generator.uniform(0.01, 0.04)
            for index in generator.sample(range(len(words)), max(1, round(share * len(words)))):
                words[index] = generator.choice(sentences).split(" ")[0]
            yield {"id": f"copy-{number - 1}", "text": " ".join(words)}
            continue
        wanted, chosen = generator.randrange(60, 400), []
        while wanted > 0:
            chosen.append(generator.choice(sentences))
            wanted -= chosen[-1].count(" ") + 1
        before = " ".join(chosen)
        yield {"id": str(number), "text": before}


def write_corpus(folder: Path, sentences: list[str], count: int, files: int) -> Path:
    """Write the documents as JSON lines files of equal size."""
    folder.mkdir(parents=True)
    rows = documents(sentences, count)
    for number in range(files):
        size = count * (number + 1) // files - count * number // files
        with (folder / f"{number:04d}.jsonl").open("w", encoding="utf-8") as stream:
            for _, row in zip(range(size), rows, strict=False):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return folder


def copies_left(kept: Iterator[str]) -> int:
    """Copies that stand among the kept ids together with their originals."""
    found = set(kept)
    return sum(f"copy-{name}" in found for name in found)
