"""KOSMOS-1 in Flax: the twin of `training.torch_backend.model`, part by part.

Modules bear the names of their PyTorch twins, so that `weights` can carry parameters across.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from curate.tokenization.vocabulary import PAD
from curate.training.config import ModelConfig, VisionConfig
from curate.training.jax_backend.layers import (
    LayerNorm,
    Linear,
    MultiheadAttention,
    attend,
    gelu,
    uniform,
)

Batch = dict[str, Array]


Factors = tuple[Array, Array, Array]


def xpos_factors(positions: Array, head_width: int, scale: int, block: int) -> Factors:
    """Cosine, sine and decay at positions (B, T), each of shape (B, T, 1, head_width / 2)."""
    places = positions.astype(jnp.float32)[..., None, None]
    pairs = jnp.arange(0, head_width, 2, dtype=jnp.float32)
    angles = places * 10000.0 ** (-pairs / head_width)
    zeta = (pairs + 0.4 * head_width) / (1.4 * head_width)
    return jnp.cos(angles), jnp.sin(angles), zeta ** ((places - block // 2) / scale)


def rotate(x: Array, cosine: Array, sine: Array, decay: Array) -> Array:
    """Turn and scale the pairs (2j, 2j + 1) of (B, positions, heads, head_width)."""
    wide = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    even, odd = wide[..., 0], wide[..., 1]
    turned = jnp.stack((even * cosine - odd * sine, odd * cosine + even * sine), -1)
    return (turned * decay[..., None]).reshape(x.shape).astype(x.dtype)


def sinusoidal(positions: Array, width: int) -> Array:
    """fairseq's embeddings, (B, T, width): position 0 counts as 2, sines come first."""
    half = width // 2
    frequencies = jnp.exp(jnp.arange(half, dtype=jnp.float32) * (-math.log(10000.0) / (half - 1)))
    angles = (positions.astype(jnp.float32)[..., None] + 2) * frequencies
    return jnp.concatenate((jnp.sin(angles), jnp.cos(angles)), axis=-1)


class Attention(nn.Module):
    """Causal self-attention with a norm between its heads and its output projection."""

    config: ModelConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, mask: Array, factors: Factors | None, train: bool) -> Array:
        config = self.config
        gain = math.sqrt(math.log(2 * config.layers))

        def project(name: str, gain: float = 1.0) -> Array:
            out = Linear(config.width, gain=gain, dtype=self.dtype, name=name)(x)
            return out.reshape(*x.shape[:2], config.heads, -1)

        q, k, v = project("q_proj"), project("k_proj"), project("v_proj", gain)
        if factors is not None:
            cosine, sine, decay = factors
            q, k = rotate(q, cosine, sine, decay), rotate(k, cosine, sine, 1 / decay)
        key = self.make_rng("dropout") if train and config.attention_dropout else None
        attended = attend(q, k, v, mask, config.attention_dropout, key)
        normed = LayerNorm(dtype=self.dtype, name="inner_norm")(attended.reshape(x.shape))
        return Linear(config.width, gain=gain, dtype=self.dtype, name="out_proj")(normed)


class Layer(nn.Module):
    """One decoder layer."""

    config: ModelConfig
    dtype: Any
    train: bool

    @nn.compact
    def __call__(self, x: Array, mask: Array, factors: Factors | None) -> Array:
        config, dtype, train = self.config, self.dtype, self.train
        gain = math.sqrt(math.log(2 * config.layers))
        normed = LayerNorm(dtype=dtype, name="attention_norm")(x)
        attended = Attention(config, dtype, name="attention")(normed, mask, factors, train)
        x = x + nn.Dropout(config.dropout, deterministic=not train)(attended)
        normed = LayerNorm(dtype=dtype, name="ffn_norm")(x)
        hidden = gelu(Linear(config.ffn_width, gain=gain, dtype=dtype, name="fc1")(normed))
        hidden = nn.Dropout(config.activation_dropout, deterministic=not train)(hidden)
        hidden = LayerNorm(dtype=dtype, name="inner_norm")(hidden)
        out = Linear(config.width, gain=gain, dtype=dtype, name="fc2")(hidden)
        return x + nn.Dropout(config.dropout, deterministic=not train)(out)


class ResidualBlock(nn.Module):
    """One layer of CLIP's vision transformer."""

    config: VisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = self.config.width
        normed = LayerNorm(dtype=self.dtype, name="ln_1")(x)
        attention = MultiheadAttention(self.config.heads, dtype=self.dtype, name="attn")
        x = x + attention(normed, normed, False)
        hidden = LayerNorm(dtype=self.dtype, name="ln_2")(x)
        hidden = Linear(4 * width, dtype=self.dtype, name="c_fc")(hidden)
        quick = self.config.quick_gelu
        hidden = hidden * nn.sigmoid(1.702 * hidden) if quick else gelu(hidden)
        return x + Linear(width, dtype=self.dtype, name="c_proj")(hidden)


class ImageEncoder(nn.Module):
    """CLIP's image encoder: normalised features of every patch; its first layers stay frozen."""

    config: VisionConfig
    dtype: Any

    @nn.compact
    def __call__(self, images: Array) -> Array:
        config, width = self.config, self.config.width
        near_zero = nn.initializers.normal(width**-0.5)
        pixels = jnp.transpose(images, (0, 2, 3, 1))
        patches = nn.Conv(
            width,
            (config.patch_size,) * 2,
            (config.patch_size,) * 2,
            padding="VALID",
            use_bias=False,
            dtype=self.dtype,
            kernel_init=uniform(3 * config.patch_size**2),
            name="conv1",
        )(pixels)
        x = patches.reshape(len(images), -1, width)
        first = self.param("class_embedding", near_zero, (width,))
        positions = self.param("positional_embedding", near_zero, (config.tokens, width))
        first = jnp.broadcast_to(first, (len(images), 1, width)).astype(x.dtype)
        x = jnp.concatenate((first, x), 1) + positions.astype(x.dtype)
        x = LayerNorm(dtype=self.dtype, name="ln_pre")(x)
        frozen = frozen_layers(config)
        for number in range(config.layers):
            if number == frozen and frozen:
                x = jax.lax.stop_gradient(x)
            x = ResidualBlock(config, self.dtype, name=f"resblocks_{number}")(x)
        x = LayerNorm(dtype=self.dtype, name="ln_post")(x)
        return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def frozen_layers(config: VisionConfig) -> int:
    """First layers of the encoder that are not trained."""
    return 0 if config.model is None else config.layers - config.trained_layers


class AttentionConnector(nn.Module):
    """The released XConnector."""

    config: ModelConfig
    slots: int
    dtype: Any

    @nn.compact
    def __call__(self, features: Array, train: bool) -> Array:
        config = self.config
        projected = Linear(config.width, dtype=self.dtype, name="dense")(features)
        latents = self.param(
            "latents", nn.initializers.normal(1.0), (self.slots, config.width)
        ).astype(projected.dtype)
        latents = jnp.broadcast_to(latents, (len(features), *latents.shape))
        keys = jnp.concatenate((projected, latents), 1)
        attention = MultiheadAttention(
            config.heads, config.attention_dropout, self.dtype, name="attention"
        )
        return attention(latents, keys, train)


class PerceiverLayer(nn.Module):
    """Flamingo's layer."""

    heads: int
    dtype: Any

    @nn.compact
    def __call__(self, features: Array, latents: Array) -> Array:
        width, inner = latents.shape[-1], self.heads * 64
        linear = {"bias": False, "dtype": self.dtype}
        normed = LayerNorm(dtype=self.dtype, name="latent_norm")(latents)
        media = LayerNorm(dtype=self.dtype, name="media_norm")(features)
        q = Linear(inner, name="to_q", **linear)(normed)
        kv = Linear(2 * inner, name="to_kv", **linear)(jnp.concatenate((media, normed), 1))
        q, k, v = (t.reshape(*t.shape[:2], self.heads, 64) for t in (q, *jnp.split(kv, 2, -1)))
        attended = attend(q, k, v, None, 0.0, None).reshape(*q.shape[:2], inner)
        latents = latents + Linear(width, name="to_out", **linear)(attended)
        hidden = LayerNorm(dtype=self.dtype, name="ffn_0")(latents)
        hidden = gelu(Linear(4 * width, name="ffn_1", **linear)(hidden))
        return latents + Linear(width, name="ffn_3", **linear)(hidden)


class PerceiverConnector(nn.Module):
    """Flamingo's Perceiver resampler."""

    config: ModelConfig
    slots: int
    dtype: Any

    @nn.compact
    def __call__(self, features: Array, train: bool) -> Array:
        config, width = self.config, features.shape[-1]
        normal = nn.initializers.normal(1.0)
        latents = self.param("latents", normal, (self.slots, width)).astype(features.dtype)
        features = features + self.param("frame", normal, (1, width)).astype(features.dtype)
        latents = jnp.broadcast_to(latents, (len(features), *latents.shape))
        for number in range(config.perceiver_layers):
            layer = PerceiverLayer(config.perceiver_heads, self.dtype, name=f"layers_{number}")
            latents = layer(features, latents)
        latents = LayerNorm(dtype=self.dtype, name="norm")(latents)
        return Linear(config.width, dtype=self.dtype, name="dense")(latents)


@dataclass(frozen=True)
class Shape:
    """What a model takes from the shards."""

    vocabulary: int
    block: int
    slots: int


class KosmosModel(nn.Module):
    """Logits, (B, T, vocabulary), of a batch."""

    config: ModelConfig
    shape: Shape
    dtype: Any = jnp.float32
    remat: bool = False

    def __call__(self, batch: Batch, train: bool = False) -> Array:
        # On a GPU, XLA multiplies float32 as TF32 unless it is told otherwise.
        with jax.default_matmul_precision("float32" if self.dtype == jnp.float32 else None):
            return self._logits(batch, train)

    @nn.compact
    def _logits(self, batch: Batch, train: bool) -> Array:
        config, ids = self.config, batch["input_ids"]
        embedding = self.param(
            "embedding", embedding_init, (self.shape.vocabulary, config.width), jnp.float32
        )
        x = embedding[ids].astype(self.dtype)
        features = ImageEncoder(config.vision, self.dtype, name="encoder")(batch["images"])
        kind = AttentionConnector if config.connector == "attention" else PerceiverConnector
        vectors = kind(config, self.shape.slots, self.dtype, name="connector")(features, train)
        # Positions of images that only fill up the batch lie outside, and are dropped.
        flat = x.reshape(-1, config.width)
        flat = flat.at[batch["image_positions"].ravel()].set(
            vectors.reshape(-1, config.width), mode="drop"
        )
        x = flat.reshape(x.shape) * math.sqrt(config.width)
        factors = None
        if config.positions == "sinusoidal":
            x = x + sinusoidal(batch["positions"], config.width).astype(x.dtype)
        else:
            head_width = config.width // config.heads
            factors = xpos_factors(
                batch["positions"], head_width, config.xpos_scale, self.shape.block
            )
        x = nn.Dropout(config.dropout, deterministic=not train)(x)
        mask = segment_mask(batch["segments"])
        layer = nn.remat(Layer) if self.remat else Layer
        for number in range(config.layers):
            x = layer(config, self.dtype, train, name=f"layers_{number}")(x, mask, factors)
        x = LayerNorm(dtype=self.dtype, name="norm")(x)
        return x @ embedding.T.astype(self.dtype)


def embedding_init(key: Array, shape: tuple[int, int], dtype: Any) -> Array:
    """N(0, 1/width), the row of `<pad>` 0."""
    drawn = jax.random.normal(key, shape, dtype) * shape[1] ** -0.5
    return drawn.at[PAD].set(0)


def segment_mask(segments: Array) -> Array:
    """(B, 1, T, T): causal within a segment, and the first token of the row seen by all."""
    length = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    same = same.at[:, :, 0].set(True)
    return (same & jnp.tril(jnp.ones((length, length), bool)))[:, None]


def loss_of(logits: Array, batch: Batch) -> tuple[Array, Array]:
    """Summed negative log-likelihood of the targets, and their number."""
    counted = batch["loss_mask"][:, 1:]
    log_shares = jax.nn.log_softmax(logits[:, :-1].astype(jnp.float32))
    picked = jnp.take_along_axis(log_shares, batch["input_ids"][:, 1:, None], -1)[..., 0]
    return -jnp.sum(jnp.where(counted, picked, 0.0)), jnp.sum(counted)
