"""Magneto's decoder (sub-LayerNorm, arXiv 2210.06423) as KOSMOS-1 uses it.

u = x + Drop(W_o LN_a(attention(LN_1 x)))        LN_a over all heads together
y = u + Drop(W_2 LN_f(GELU(W_1 LN_2 u)))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from curate.training.config import ModelConfig
from curate.training.torch_backend.positions import rotate

Cache = tuple[Tensor, Tensor]
"""Keys and values of the tokens before, each (B, heads, tokens, head width)."""
Factors = tuple[Tensor, Tensor, Tensor]


class Attention(nn.Module):
    """Causal self-attention with a norm between its heads and its output projection."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.attention_dropout
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width)
        self.v_proj = nn.Linear(config.width, config.width)
        self.inner_norm = nn.LayerNorm(config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(
        self, x: Tensor, mask: Tensor | None, factors: Factors | None, cache: Cache | None
    ) -> tuple[Tensor, Cache]:
        q, k, v = (
            proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        if factors is not None:
            cosine, sine, decay = factors
            q = rotate(q, cosine, sine, decay)
            k = rotate(k, cosine, sine, 1 / decay)
        if cache is not None:
            k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
        attended = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=mask is None and cache is None,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(self.inner_norm(attended.transpose(1, 2).flatten(2))), (k, v)


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, config.ffn_width)
        self.inner_norm = nn.LayerNorm(config.ffn_width)
        self.fc2 = nn.Linear(config.ffn_width, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.drop_activation = nn.Dropout(config.activation_dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        factors: Factors | None,
        cache: Cache | None = None,
    ) -> tuple[Tensor, Cache]:
        attended, cache = self.attention(self.attention_norm(x), mask, factors, cache)
        x = x + self.drop(attended)
        hidden = self.drop_activation(functional.gelu(self.fc1(self.ffn_norm(x))))
        return x + self.drop(self.fc2(self.inner_norm(hidden))), cache


def initialise(layers: nn.ModuleList) -> None:
    """Magneto's initialisation of a decoder of N layers.

    PyTorch's default of linear layers, then the value and output projections and both layers of the
    feed-forward net times sqrt(ln 2N), weights and biases, as torchscale does.
    """
    gain = init_gain(len(layers))
    with torch.no_grad():
        for layer in layers:
            assert isinstance(layer, Layer)
            attention = layer.attention
            for linear in (attention.v_proj, attention.out_proj, layer.fc1, layer.fc2):
                linear.weight.mul_(gain)
                linear.bias.mul_(gain)


def init_gain(layers: int) -> float:
    """gamma = sqrt(ln 2N) (Magneto, section 3.2): 1.96754 for 24 layers."""
    return math.sqrt(math.log(2 * layers))
