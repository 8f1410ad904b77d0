"""KOSMOS-1 in PyTorch: images become vectors at their slots, a causal decoder reads them all.

images ▶ ImageEncoder ▶ connector ─┐
ids ▶ embedding ───────────────────┴▶ sqrt(d) x [...] ▶ layers ▶ norm ▶ tied embedding ▶ logits
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from curate.tokenization.vocabulary import PAD
from curate.training.config import ModelConfig
from curate.training.torch_backend.connector import make_connector
from curate.training.torch_backend.decoder import Cache, Factors, Layer, initialise
from curate.training.torch_backend.positions import sinusoidal, xpos_factors
from curate.training.torch_backend.vision import ImageEncoder

_ALIGNED = 64
"""Tensor cores want rows of a multiple of 16 bytes: with an odd vocabulary, such as KOSMOS-1's
64,007, a product over many tokens would run on kernels several times slower."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Of one batch."""

    total: Tensor
    """Summed negative log-likelihood of the targets."""
    targets: int


class KosmosModel(nn.Module):
    """The model.

    Args:
        vocabulary: number of token ids.
        block: most tokens of a row: xPos counts from its middle.
        slots: vectors of an image.
    """

    def __init__(self, config: ModelConfig, vocabulary: int, block: int, slots: int) -> None:
        super().__init__()
        self.config = config
        self.block = block
        self.checkpoint_layers = False
        self.embedding = nn.Embedding(vocabulary, config.width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        initialise(self.layers)
        self.norm = nn.LayerNorm(config.width)
        self.drop = nn.Dropout(config.dropout)
        self.encoder = ImageEncoder(config.vision)
        self.connector = make_connector(config, slots)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()

    def forward(self, batch: dict[str, Any]) -> Loss:
        """The loss over a batch of `curate.training.loading.batches.Batch`, as tensors."""
        hidden = self.hidden(batch)[:, :-1]
        targets = batch["input_ids"][:, 1:].long()
        counted = batch["loss_mask"][:, 1:]
        weight = self.embedding.weight
        aligned = functional.pad(weight, (0, 0, 0, -len(weight) % _ALIGNED))
        logits = functional.linear(hidden[counted], aligned)[:, : len(weight)]
        total = functional.cross_entropy(logits.float(), targets[counted], reduction="sum")
        return Loss(total, int(counted.sum()))

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.embedding.weight)

    def hidden(self, batch: dict[str, Any]) -> Tensor:
        """Output of the last norm, (B, T, width)."""
        x = self.embed(batch["input_ids"], batch["images"], batch["image_positions"])
        mask = None if batch["one_segment"] else segment_mask(batch["segments"])
        x, factors = self._placed(x, batch["positions"])
        for layer in self.layers:
            if self.checkpoint_layers and torch.is_grad_enabled():
                x = checkpoint(_first, layer, x, mask, factors, use_reentrant=False)
            else:
                x, _ = layer(x, mask, factors)
        normed: Tensor = self.norm(x)
        return normed

    def embed(self, ids: Tensor, images: Tensor, image_positions: Tensor) -> Tensor:
        """Embeddings of ids with the images at their slots, times sqrt(width), before positions."""
        x = self.embedding(ids.long())
        if len(images):
            pixels = images.to(self.encoder.tower.conv1.weight.dtype)
            vectors = self.connector(self.encoder(pixels)).to(x.dtype)
            flat = x.flatten(0, 1)
            where = image_positions.flatten().long()
            x = flat.index_copy(0, where, vectors.flatten(0, 1)).view_as(x)
        elif self.training:
            x = x + 0 * self._unused()
        return x * math.sqrt(self.config.width)

    def _unused(self) -> Tensor:
        """Zero that hangs on the encoder and connector: every rank must have their gradients."""
        size = self.config.vision.image_size
        blank = torch.zeros(1, 3, size, size, device=self.embedding.weight.device)
        features = self.encoder(blank.to(self.encoder.tower.conv1.weight.dtype))
        total: Tensor = self.connector(features).sum()
        return total

    def _placed(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Factors | None]:
        """With sinusoidal positions of (B, T) added, or with xPos's factors, (B, 1, T, pairs)."""
        if self.config.positions == "sinusoidal":
            return self.drop(x + sinusoidal(positions, self.config.width).to(x.dtype)), None
        head_width = self.config.width // self.config.heads
        factors = xpos_factors(positions[:, None], head_width, self.config.xpos_scale, self.block)
        return self.drop(x), factors

    def extend(
        self, x: Tensor, start: int, caches: list[Cache | None]
    ) -> tuple[Tensor, list[Cache]]:
        """Hidden vectors of embeddings that follow `start` others, and the caches with them."""
        positions = torch.arange(start, start + x.shape[1], device=x.device).expand(len(x), -1)
        x, factors = self._placed(x, positions)
        made: list[Cache] = []
        for layer, cache in zip(self.layers, caches, strict=True):
            x, held = layer(x, None, factors, cache)
            made.append(held)
        return self.norm(x), made


def _first(layer: nn.Module, *args: Any) -> Tensor:
    out: Tensor = layer(*args)[0]
    return out


def segment_mask(segments: Tensor) -> Tensor:
    """(B, 1, T, T): causal within a segment, and the first token of the row seen by all."""
    length = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    same[:, :, 0] = True
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (same & causal)[:, None]


def parameter_counts(model: KosmosModel) -> dict[str, int]:
    """Parameters by part, all and trained; works on the meta device."""

    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    parts = {
        "token embedding": count(model.embedding),
        "decoder layers and norm": count(model.layers) + count(model.norm),
        "image encoder": count(model.encoder),
        "connector": count(model.connector),
    }
    parts["total"] = sum(parts.values())
    parts["trained"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return parts


def make_model(
    config: ModelConfig, vocabulary: int, block: int, slots: int, device: str | torch.device
) -> KosmosModel:
    """A model on a device; on `meta` it has shapes alone."""
    with torch.device(device):
        return KosmosModel(config, vocabulary, block, slots)
