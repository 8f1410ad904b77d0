"""Train the block classifier of `extraction/` on pages with gold text, and write its file.

    python -m benchmarks.html.train ../shared/data

Every text block of a page is labelled with the share of its words that an alignment (longest common
subsequence) finds in the gold text. Pages count alike within a set, whatever their length; small
sets count for more than their pages. Pages that have only snippets label the blocks that hold one.
The files of the table in docs/performance.md are never judged by a model that saw their site: see
`held_out_models`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import catboost
import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import LCSseq
from selectolax.lexbor import LexborHTMLParser

from benchmarks.html.gold import GoldPage, load_gold
from curate import extraction
from curate.extraction.charset import to_utf8
from curate.extraction.features import block_features
from curate.extraction.model import LEAF_SCALE, MODEL_FILE, BlockModel, parse_model
from curate.extraction.walk import walk_blocks
from curate.schemas.settings.recipe import Extraction

FOLDS = 4
TREES = 200
DEPTH = 6
LEARNING_RATE = 0.1
LEAF_PENALTY = 5
BORDERS = 64
"""Borders per feature that splits are chosen from."""
SNIPPET_WEIGHT = 0.3
"""Weight of a block known by a snippet, of a whole page's."""
SET_BALANCE = 0.3
"""0 weighs pages of all sets alike, 1 weighs all sets alike."""
WORDS_OF_A_BLOCK = 3
"""Added to a block's words in its weight, so that short blocks matter."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """Features and labels of a page's text blocks."""

    page: GoldPage
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    """Blocks by features."""
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]


def label_pages(pages: Sequence[GoldPage]) -> list[LabelledPage]:
    """Features and labels of the pages that have gold text or snippets."""
    sizes = Counter(p.set for p in pages if p.text is not None)
    labelled = []
    for page in pages:
        if page.text is None and not page.required:
            continue
        tree = LexborHTMLParser(to_utf8(page.html, page.charset))
        if tree.root is None:
            continue
        walk = walk_blocks(tree.root, Extraction())
        texts = [block for block in walk.blocks if block.image is None]
        if not texts:
            continue
        features = block_features(walk, texts)
        lines = [block.text for block in texts]
        words = np.array([len(_WORD.findall(line)) + WORDS_OF_A_BLOCK for line in lines])
        if page.text is not None:
            labels = _aligned_shares(lines, page.text)
            weights = words / words.sum() * (100 / sizes[page.set]) ** SET_BALANCE
        else:
            labels, known = _snippet_labels(lines, page)
            weights = SNIPPET_WEIGHT * known * np.minimum(words, 60) / 60
        labelled.append(
            LabelledPage(page, features.names, features.values.T, labels, weights * 100)
        )
    return labelled


def train(pages: Sequence[LabelledPage]) -> BlockModel:
    """A classifier of blocks, as `extraction` evaluates it."""
    return parse_model(_train(pages))


def held_out_models(pages: Sequence[LabelledPage]) -> dict[int, BlockModel]:
    """One model per fold, trained on all pages of the other folds."""
    return {fold: train([p for p in pages if fold_of(p.page) != fold]) for fold in range(FOLDS)}


def fold_of(page: GoldPage) -> int:
    """The fold of a page; all pages of a host are in one."""
    host = urlsplit(page.url).hostname or ""
    name = page.id if host.startswith(("unknown-host", "exemple", "example")) else host
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % FOLDS


def _train(pages: Sequence[LabelledPage]) -> dict[str, Any]:
    values = np.concatenate([p.values for p in pages])
    labels = np.clip(np.concatenate([p.labels for p in pages]), 0, 1)
    weights = np.concatenate([p.weights for p in pages])
    used = weights > 0
    model = catboost.CatBoost(
        {
            "loss_function": "CrossEntropy",
            "iterations": TREES,
            "depth": DEPTH,
            "learning_rate": LEARNING_RATE,
            "l2_leaf_reg": LEAF_PENALTY,
            "border_count": BORDERS,
            "random_seed": 0,
            "verbose": False,
            "allow_writing_files": False,
        }
    )
    model.fit(catboost.Pool(values[used], labels[used], weight=weights[used]))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.json")
        model.save_model(str(path), format="json")
        saved = json.loads(path.read_text())
    scale, (bias,) = saved["scale_and_bias"]
    return {
        "features": list(pages[0].names),
        "bias": round(bias * LEAF_SCALE),
        "trees": [
            {
                "asks": [
                    [split["float_feature_index"], float(f"{split['border']:.7g}")]
                    for split in tree["splits"]
                ],
                "leaves": [round(value * scale * LEAF_SCALE) for value in tree["leaf_values"]],
            }
            for tree in saved["oblivious_trees"]
        ],
    }


def _aligned_shares(lines: list[str], gold: str) -> npt.NDArray[np.float64]:
    words = [_WORD.findall(line) for line in lines]
    flat = [word for line in words for word in line]
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in words])
    hit = np.zeros(len(flat))
    for step in LCSseq.opcodes(flat, _WORD.findall(gold)):
        if step.tag == "equal":
            hit[step.src_start : step.src_end] = 1
    sizes = np.array([max(len(line), 1) for line in words])
    return np.bincount(owner, hit, minlength=len(lines)) / sizes


def _snippet_labels(
    lines: list[str], page: GoldPage
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    squeezed = ["".join(line.split()) for line in lines]
    required = ["".join(snippet.split()) for snippet in page.required]
    forbidden = ["".join(snippet.split()) for snippet in page.forbidden]
    wanted = np.array([any(s in line for s in required) for line in squeezed])
    unwanted = np.array([any(s in line for s in forbidden) for line in squeezed])
    return wanted.astype(float), wanted | unwanted


def _write(model: dict[str, Any], path: Path) -> None:
    """One tree a line, so that the file can be read and its changes compared."""
    trees = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in model["trees"])
    names = ",\n".join(f"  {json.dumps(name)}" for name in model["features"])
    path.write_text(
        f'{{"features": [\n{names}\n],\n"bias": {model["bias"]},\n"trees": [\n{trees}\n]}}\n',
        encoding="utf-8",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of pages with gold texts")
    options = parser.parse_args()
    pages = label_pages(load_gold(options.data))
    path = Path(extraction.__file__).with_name(MODEL_FILE)
    _write(_train(pages), path)
    print(f"{path.name}: {len(pages)} pages, {sum(len(p.labels) for p in pages)} blocks")


if __name__ == "__main__":
    main()
