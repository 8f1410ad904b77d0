from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.extraction.features import BlockFeatures
from curate.extraction.model import LEAF_SCALE, BlockModel, load_model

NAMES = ("length", "links")


def features(*rows: tuple[float, float]) -> BlockFeatures:
    values = np.array(rows, dtype=np.float32).T
    return BlockFeatures(NAMES, values, np.ones(len(rows)))


def test_trees_are_tables_of_answers() -> None:
    model = BlockModel(
        NAMES,
        0,
        [[("length", 10.0), ("links", 0.5)], [("links", 0.25)]],
        [[0, LEAF_SCALE, -LEAF_SCALE, 0], [0, -3 * LEAF_SCALE]],
    )
    certain = model.probabilities(features((5, 0), (20, 0), (5, 1), (20, 1), (10, 0.5)))
    odds = np.array([0, 1, -4, -3, -3])
    assert certain.tolist() == np.rint(1000 / (1 + np.exp(-odds))).astype(int).tolist()


@given(
    st.lists(
        st.tuples(st.floats(0, 100, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=40
    )
)
def test_a_block_is_judged_alike_in_any_company(rows: list[tuple[float, float]]) -> None:
    model = BlockModel(NAMES, 7, [[("length", 50.0)], [("links", 0.5)]], [[-9000, 9000], [500, 0]])
    together = model.probabilities(features(*rows)).tolist()
    assert together == [model.probabilities(features(row)).item() for row in rows]


def test_a_huge_page_is_judged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = BlockModel(NAMES, 7, [[("length", 50.0)], [("links", 0.5)]], [[-9000, 9000], [500, 0]])
    rows = features(*((float(i), i / 100) for i in range(100)))
    whole = model.probabilities(rows).tolist()
    monkeypatch.setattr("curate.extraction.model.BLOCKS_AT_ONCE", 7)
    assert model.probabilities(rows).tolist() == whole


def test_other_features_than_trained_on_are_refused() -> None:
    model = BlockModel(("links", "length"), 0, [[("links", 0.5)]], [[0, 1]])
    with pytest.raises(ValueError, match="trained on"):
        model.probabilities(features((1, 1)))


def test_too_deep_trees_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 8 deep \(got 9\)"):
        BlockModel(NAMES, 0, [[("length", float(i)) for i in range(9)]], [[0] * 512])


def test_the_shipped_model_loads() -> None:
    assert load_model().depth <= 8
    assert "link_density" in load_model().features
