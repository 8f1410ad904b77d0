"""CLIP's image encoder by open_clip: normalised features of every patch."""

from __future__ import annotations

import pickle

import torch
from open_clip import create_model
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from curate.schemas.errors import CurateError
from curate.training.config import VisionConfig


class WeightsError(CurateError):
    """The image encoder's weights can't be had; the message says what to do."""


class ImageEncoder(nn.Module):
    """The tower without its projection; all but its last layers stay as they are."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = VisionTransformer(
            image_size=config.image_size,
            patch_size=config.patch_size,
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            mlp_ratio=4.0,
            act_layer=QuickGELU if config.quick_gelu else nn.GELU,
        )
        self.tower.proj = None
        self.frozen = config.layers - config.trained_layers if config.model is not None else 0
        """First layers that are not trained; with them what comes before the layers."""
        if config.model is not None:
            self.tower.requires_grad_(False)
            for module in (*self.tower.transformer.resblocks[self.frozen :], self.tower.ln_post):
                module.requires_grad_(config.trained_layers > 0)

    def load_pretrained(self) -> None:
        """Take the weights that the configuration names.

        Raises:
            WeightsError: they can't be had.
        """
        if self.config.model is None or self.config.weights is None:
            return
        name, weights = self.config.model, self.config.weights
        try:
            held = create_model(name, pretrained=weights).visual.state_dict()
            self.tower.load_state_dict({k: v for k, v in held.items() if k != "proj"})
        except (OSError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise WeightsError(
                f"model.vision: {name} with weights {weights} can't be loaded: "
                f"{str(error).splitlines()[0]} Give a local file as model.vision.weights, or set "
                "model.vision.model to null to start from random weights."
            ) from error

    def forward(self, images: Tensor) -> Tensor:
        """Features of shape (N, patches + 1, width), each of length 1, of (N, 3, S, S) pixels."""
        blocks = self.tower.transformer.resblocks
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen == 0):
            x = self.tower._embeds(images)
            for block in blocks[: self.frozen]:
                x = block(x)
        for block in blocks[self.frozen :]:
            x = block(x)
        return functional.normalize(self.tower.ln_post(x), dim=-1)

    def train(self, mode: bool = True) -> ImageEncoder:
        """Frozen layers have nothing that differs in training (CLIP has no dropout)."""
        super().train(mode)
        return self
