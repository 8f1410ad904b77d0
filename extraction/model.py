"""The block classifier: oblivious decision trees over `features`, evaluated in integers.

Every level of a tree asks one question of all blocks (is this feature above that border?), so a
tree is a table of leaves indexed by its answers as bits, and a page is scored by a handful of array
operations. Leaf values are integers: the sum is the same whatever the machine or the order.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.extraction.features import BlockFeatures

MODEL_FILE = "content_model.json"
LEAF_SCALE = 10_000
"""Leaf values are log-odds times this."""
CERTAIN = 1_000
"""Probabilities are in thousandths."""


BLOCKS_AT_ONCE = 4_096
"""Blocks whose answers are held at once: some tens of megabytes."""
MAX_DEPTH = 8
"""Questions a tree: the place of a leaf is a byte."""


class BlockModel:
    """Trees with `depth` questions each."""

    def __init__(
        self,
        features: tuple[str, ...],
        bias: int,
        questions: list[list[tuple[str, float]]],
        leaves: list[list[int]],
    ) -> None:
        """Take a model apart into arrays.

        Args:
            features: names of the columns that the model was trained on, in their order.
            bias: log-odds of no evidence, times `LEAF_SCALE`.
            questions: per tree, (feature, border) of each level; at least one.
            leaves: per tree, the value for each combination of answers, the first question being
                the lowest bit.

        Raises:
            ValueError: a tree is deeper than `MAX_DEPTH`.
        """
        self.features = features
        self.bias = bias
        self.depth = max(map(len, questions))
        if self.depth > MAX_DEPTH:
            raise ValueError(f"trees are at most {MAX_DEPTH} deep (got {self.depth})")
        row = {name: index for index, name in enumerate(features)}
        asked = []
        tables = []
        for tree, table in zip(questions, leaves, strict=True):
            missing = self.depth - len(tree)
            # A shallower tree asks its first question again, and pays no heed to the answer.
            asked += [(row[name], border) for name, border in tree + tree[:1] * missing]
            tables.append(_first_question_highest(table * (1 << missing), self.depth))
        # A question that several trees ask is answered once.
        distinct = sorted(set(asked))
        place = {question: index for index, question in enumerate(distinct)}
        self._rows = np.array([index for index, _ in distinct])
        self._borders = np.array([border for _, border in distinct], dtype=np.float32)[:, None]
        answers = np.array([place[q] for q in asked]).reshape(-1, self.depth)
        self._answers = np.ascontiguousarray(answers.T)
        self._leaves = np.concatenate(tables)
        self._offsets = (np.arange(len(leaves), dtype=np.int32) << self.depth)[:, None]

    def probabilities(self, features: BlockFeatures) -> npt.NDArray[np.int64]:
        """How likely each block is content, in thousandths.

        Raises:
            ValueError: the features are not those that the model was trained on.
        """
        if features.names != self.features:
            raise ValueError(f"the model was trained on {self.features} (got {features.names})")
        odds = [
            self._log_odds(features.values[:, start : start + BLOCKS_AT_ONCE])
            for start in range(0, features.values.shape[1], BLOCKS_AT_ONCE)
        ]
        # Rounded, so that the last bits of `exp`, which differ among machines, play no part.
        certain = np.rint(CERTAIN / (1 + np.exp(-np.concatenate(odds) / LEAF_SCALE)))
        return np.asarray(certain, dtype=np.int64)

    def _log_odds(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        answers = (values.take(self._rows, axis=0) > self._borders).view(np.uint8)
        leaf = answers.take(self._answers[0], axis=0)
        for level in range(1, self.depth):
            leaf += leaf
            leaf += answers.take(self._answers[level], axis=0)
        odds = self._leaves.take(leaf + self._offsets).sum(axis=0, dtype=np.int64) + self.bias
        return np.asarray(odds)


def _first_question_highest(table: list[int], depth: int) -> npt.NDArray[np.int32]:
    """Leaves indexed with the answer to the first question as the highest bit, not the lowest."""
    axes = np.array(table, dtype=np.int32).reshape((2,) * depth)
    return axes.transpose(tuple(reversed(range(depth)))).ravel()


@cache
def load_model() -> BlockModel:
    """The model that ships with the package; `benchmarks/html/train.py` made it."""
    return parse_model(
        json.loads(files("curate.extraction").joinpath(MODEL_FILE).read_text(encoding="utf-8"))
    )


def parse_model(given: dict[str, Any]) -> BlockModel:
    """The model in a model file: `features`, `bias`, and `asks` and `leaves` of each tree."""
    features = tuple(given["features"])
    return BlockModel(
        features,
        given["bias"],
        [[(features[index], border) for index, border in tree["asks"]] for tree in given["trees"]],
        [tree["leaves"] for tree in given["trees"]],
    )
