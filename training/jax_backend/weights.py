"""Parameters across the backends: PyTorch's state dict to Flax's tree, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from flax.traverse_util import flatten_dict, unflatten_dict

Arrays = dict[str, npt.NDArray[Any]]
_NUMBERED = re.compile(r"\b(layers|resblocks|ffn)\.(\d+)")
_LINEAR = (
    "q_proj", "k_proj", "v_proj", "fc1", "fc2", "c_fc", "c_proj", "to_q", "to_kv", "to_out",
    "ffn_1", "ffn_3", "dense",
)  # fmt: skip
"""Modules that are `layers.Linear`."""


def to_flax(state: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Flax's tree of a PyTorch state dict."""
    found = {}
    for name, value in state.items():
        path = _path(name)
        found[path] = _turned(path, np.asarray(value))
    return unflatten_dict(found)


def to_torch(params: Mapping[str, Any], names: Mapping[str, Any]) -> Arrays:
    """The PyTorch state dict of Flax's tree; `names` are the keys that it must have."""
    flat = flatten_dict(params)
    found: Arrays = {}
    for name in names:
        path = _path(name)
        found[name] = _turned_back(path, np.asarray(flat[path]))
    return found


def _path(name: str) -> tuple[str, ...]:
    """Where the parameter of a PyTorch name lies in Flax's tree."""
    name = _NUMBERED.sub(r"\1_\2", name.replace("encoder.tower.", "encoder."))
    *modules, last = name.replace("transformer.", "").replace("mlp.", "").split(".")
    if not modules or last not in ("weight", "bias"):
        return (*modules, last)
    module = modules[-1]
    if module == "embedding":
        return (module,)
    if module in _LINEAR or (module == "out_proj" and "layers" in name):
        return (*modules, "dense", "kernel" if last == "weight" else "bias")
    if module in ("out_proj", "conv1"):
        return (*modules, "kernel" if last == "weight" else "bias")
    return (*modules, "scale" if last == "weight" else "bias")


def _turned(path: tuple[str, ...], value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if path[-1] != "kernel":
        return value
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _turned_back(path: tuple[str, ...], value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if path[-1] != "kernel":
        return value
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
