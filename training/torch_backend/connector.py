"""Image features to the vectors that fill an image's slots."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from curate.training.config import ModelConfig


class AttentionConnector(nn.Module):
    """The released XConnector: latents attend once to the projected features and themselves."""

    def __init__(self, config: ModelConfig, slots: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.vision.width, config.width)
        self.latents = nn.Parameter(torch.randn(slots, config.width))
        self.attention = nn.MultiheadAttention(
            config.width, config.heads, dropout=config.attention_dropout, batch_first=True
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, slots, width) of (N, patches, vision width)."""
        projected = self.dense(features)
        latents = self.latents.to(projected.dtype).expand(len(features), -1, -1)
        keys = torch.cat((projected, latents), 1)
        attended: Tensor = self.attention(latents, keys, keys, need_weights=False)[0]
        return attended


class PerceiverLayer(nn.Module):
    """Flamingo's layer: attention to features and latents, then a feed-forward net, no biases."""

    def __init__(self, width: int, heads: int, head_width: int = 64) -> None:
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.media_norm = nn.LayerNorm(width)
        self.latent_norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.ffn = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        normed = self.latent_norm(latents)
        keys = torch.cat((self.media_norm(features), normed), 1)
        q = self.to_q(normed)
        k, v = self.to_kv(keys).chunk(2, -1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        attended = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        latents = latents + self.to_out(attended)
        return latents + self.ffn(latents)


class PerceiverConnector(nn.Module):
    """Flamingo's Perceiver resampler as OpenFlamingo has it, then a projection to the decoder."""

    def __init__(self, config: ModelConfig, slots: int) -> None:
        super().__init__()
        width = config.vision.width
        self.latents = nn.Parameter(torch.randn(slots, width))
        self.frame = nn.Parameter(torch.randn(1, width))
        self.layers = nn.ModuleList(
            PerceiverLayer(width, config.perceiver_heads) for _ in range(config.perceiver_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dense = nn.Linear(width, config.width)

    def forward(self, features: Tensor) -> Tensor:
        """(N, slots, width) of (N, patches, vision width)."""
        features = features + self.frame
        latents = self.latents.to(features.dtype).expand(len(features), -1, -1)
        for layer in self.layers:
            latents = layer(features, latents)
        projected: Tensor = self.dense(self.norm(latents))
        return projected


def make_connector(config: ModelConfig, slots: int) -> nn.Module:
    kind = AttentionConnector if config.connector == "attention" else PerceiverConnector
    return kind(config, slots)
