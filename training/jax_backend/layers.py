"""Building blocks in Flax, with the parameters and the initialisation of their PyTorch twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

LayerNorm = partial(nn.LayerNorm, epsilon=1e-5)
gelu = partial(nn.gelu, approximate=False)


def uniform(fan_in: int, gain: float = 1.0) -> Callable[..., Array]:
    """PyTorch's default of linear layers, weights and biases, times a gain."""
    bound = gain / math.sqrt(fan_in)

    def init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Linear(nn.Module):
    """A linear layer."""

    features: int
    bias: bool = True
    gain: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = uniform(x.shape[-1], self.gain)
        return nn.Dense(
            self.features,
            use_bias=self.bias,
            dtype=self.dtype,
            kernel_init=init,
            bias_init=init,
            name="dense",
        )(x)


def attend(
    q: Array, k: Array, v: Array, mask: Array | None, rate: float, key: Array | None
) -> Array:
    """softmax(q k^T / sqrt(d)) v over (B, tokens, heads, d), softmax in float32.

    Args:
        mask: (B or 1, 1, queries, keys), true where a query may see a key.
        rate: dropout of the attention weights, if there is a `key`.
    """
    if key is None or rate == 0:
        return jax.nn.dot_product_attention(q, k, v, mask=mask)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k).astype(jnp.float32) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = jnp.where(mask, scores, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(scores)
    kept = jax.random.bernoulli(key, 1 - rate, weights.shape)
    weights = jnp.where(kept, weights / (1 - rate), 0).astype(v.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v)


class MultiheadAttention(nn.Module):
    """PyTorch's MultiheadAttention: one matrix for query, key and value."""

    heads: int
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, query: Array, keys: Array, train: bool) -> Array:
        width = query.shape[-1]
        weight = self.param(
            "in_proj_weight", nn.initializers.xavier_uniform(), (3 * width, width), jnp.float32
        )
        bias = self.param("in_proj_bias", nn.initializers.zeros, (3 * width,), jnp.float32)
        weight, bias = weight.astype(self.dtype), bias.astype(self.dtype)

        def project(x: Array, part: int) -> Array:
            rows = slice(part * width, (part + 1) * width)
            out = x.astype(self.dtype) @ weight[rows].T + bias[rows]
            return out.reshape(*out.shape[:-1], self.heads, -1)

        key = self.make_rng("dropout") if train and self.dropout else None
        attended = attend(
            project(query, 0), project(keys, 1), project(keys, 2), None, self.dropout, key
        )
        out = nn.Dense(width, dtype=self.dtype, kernel_init=uniform(width), name="out_proj")
        return out(attended.reshape(*attended.shape[:2], width))
