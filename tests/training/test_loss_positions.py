"""Which token is predicted from where, by numbers worked out by hand; each backend by itself.

The mask belongs to the predicted token: mask[t] says that token t counts, predicted at t - 1.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import pytest
import torch

from curate.tokenization.vocabulary import BOS, EOS, PAD
from curate.training.jax_backend.model import loss_of
from curate.training.torch_backend.model import KosmosModel, make_model
from tests.training.configs import config

A, B, C = 5, 6, 7
IDS = [[BOS, A, B, C, EOS, PAD], [BOS, C, EOS, PAD, PAD, PAD]]
MASK = [[False, False, True, False, True, False], [False, True, True, False, False, False]]
PREDICTED = [(0, 1, B), (0, 3, EOS), (1, 0, C), (1, 1, EOS)]
"""Row, position that predicts, token that is predicted."""


@pytest.fixture(scope="module")
def model() -> KosmosModel:
    torch.manual_seed(3)
    made = make_model(config().model, 12, 16, 4, "cpu").eval()
    with torch.no_grad():
        made.embedding.weight.normal_()
    return made


def batch(mask: list[list[bool]] = MASK) -> dict[str, object]:
    return {
        "input_ids": torch.tensor(IDS, dtype=torch.int32),
        "loss_mask": torch.tensor(mask),
        "segments": torch.tensor([[0, 0, 0, 0, 0, -1], [0, 0, 0, -1, -1, -1]]),
        "positions": torch.arange(6).expand(2, 6),
        "images": torch.zeros(0, 3, 32, 32),
        "image_positions": torch.zeros(0, 4, dtype=torch.int32),
        "one_segment": True,
    }


def test_pytorch_counts_the_masked_tokens_each_from_the_one_before_it(model: KosmosModel) -> None:
    with torch.no_grad():
        loss = model(batch())
        shares = model.logits(model.hidden(batch())).log_softmax(-1)
    expected = -sum(float(shares[row, place, token]) for row, place, token in PREDICTED)
    assert loss.targets == 4
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    shifted = -sum(float(shares[row, place + 1, token]) for row, place, token in PREDICTED)
    assert abs(shifted - expected) > 0.1


@pytest.mark.parametrize(("row", "place", "token"), PREDICTED)
def test_pytorch_takes_one_target_from_one_place(
    model: KosmosModel, row: int, place: int, token: int
) -> None:
    """With one token in the mask: its loss alone."""
    mask = [[False] * 6, [False] * 6]
    mask[row][place + 1] = True
    with torch.no_grad():
        loss = model(batch(mask))
        shares = model.logits(model.hidden(batch())).log_softmax(-1)
    assert loss.targets == 1
    assert loss.total.item() == pytest.approx(-float(shares[row, place, token]), rel=1e-5)


def test_the_first_token_is_no_target(model: KosmosModel) -> None:
    """Nothing stands before it that could predict it."""
    mask = [[True] + [False] * 5, [False] * 6]
    with torch.no_grad():
        loss = model(batch(mask))
    assert (loss.targets, loss.total.item()) == (0, 0.0)
    logits = jnp.zeros((2, 6, 12))
    total, targets = loss_of(logits, {"input_ids": jnp.array(IDS), "loss_mask": jnp.array(mask)})
    assert (int(targets), float(total)) == (0, 0.0)


def test_jax_counts_the_masked_tokens_each_from_the_one_before_it() -> None:
    """Each place gives its own share to the next token: 1/2, 1/4, ...; the rest is spread."""
    logits = jnp.zeros((2, 6, 12))
    halves = {(0, 1, B): 1, (0, 3, EOS): 2, (1, 0, C): 3, (1, 1, EOS): 4}
    for (row, place, token), power in halves.items():
        share = 0.5**power
        logits = logits.at[row, place].set(math.log((1 - share) / 11))
        logits = logits.at[row, place, token].set(math.log(share))
    total, targets = loss_of(logits, {"input_ids": jnp.array(IDS), "loss_mask": jnp.array(MASK)})
    assert int(targets) == 4
    assert float(total) == pytest.approx((1 + 2 + 3 + 4) * math.log(2), rel=1e-5)
