"""xPos (arXiv 2212.10554) as torchscale has it, and fairseq's sinusoidal positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def xpos_factors(
    positions: Tensor, head_width: int, scale: int, length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine, sine and decay at positions (..., T), each of shape (..., T, head_width / 2).

    theta_j = 10000^(-2j/d); zeta_j = (2j + 0.4 d) / (1.4 d), to the power of the position counted
    from the middle of `length`, over `scale`.
    """
    pairs = torch.arange(0, head_width, 2, dtype=torch.float32, device=positions.device)
    places = positions.float()[..., None]
    angles = places * 10000.0 ** (-pairs / head_width)
    zeta = (pairs + 0.4 * head_width) / (1.4 * head_width)
    decay = zeta ** ((places - length // 2) / scale)
    return angles.cos(), angles.sin(), decay


def rotate(x: Tensor, cosine: Tensor, sine: Tensor, decay: Tensor) -> Tensor:
    """Turn and scale the pairs (2j, 2j + 1) of heads of shape (..., positions, head_width)."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cosine - odd * sine, odd * cosine + even * sine), -1)
    return (turned * decay[..., None]).flatten(-2).type_as(x)


def sinusoidal(positions: Tensor, width: int) -> Tensor:
    """fairseq's embeddings, (..., width): position 0 counts as 2, sines come first."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=positions.device)
    frequencies = torch.exp(steps * (-math.log(10000.0) / (half - 1)))
    angles = (positions.float()[..., None] + 2) * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
