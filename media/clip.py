"""CLIP by open_clip: similarity of images and texts, and heads over the image's embedding.

Batches are what the caller makes of them and run on one thread of a processor or on a GPU, so that
a score does not depend on what else is scored; it is rounded to thousandths, which the last bits of
float32 hardly reach.
"""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from curate.schemas.errors import CurateError
from curate.schemas.settings.filter_rules import ClipRules, ScoreHead


class ClipError(CurateError):
    """The model that `filters.clip` names can't be had; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScores:
    """Of one image."""

    similarities: tuple[float, ...]
    """Cosine of the image and each of its texts."""
    aesthetic: float | None
    nsfw: float | None


@lru_cache(maxsize=1)
def load_clip(rules: ClipRules) -> ClipModel:
    """The model with its weights and heads.

    Raises:
        ClipError: it can't be had.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise ClipError(
            "filters.clip needs the package open_clip. Install the extra `clip` of "
            "curate-pretraining, or set filters.clip to null."
        )
    return ClipModel(rules)


class ClipModel:
    """A CLIP model ready to score."""

    def __init__(self, rules: ClipRules) -> None:
        import open_clip
        import torch

        self._torch = torch
        gpu = torch.cuda.is_available()
        self._device = "cuda" if gpu else "cpu"
        self._half = gpu and rules.precision == "float16"
        self._threads = (os.cpu_count() or 1) if gpu else 1
        if not gpu:
            torch.set_num_threads(1)
        name = rules.model
        try:
            if name.endswith(".json"):
                open_clip.add_model_config(Path(name))
                name = Path(name).stem
            model, _, transform = open_clip.create_model_and_transforms(
                name, pretrained=rules.weights, device=self._device
            )
            self._tokenizer = open_clip.get_tokenizer(name)
        except (OSError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ClipError(
                f"filters.clip: {rules.model} with weights {rules.weights} can't be loaded: "
                f"{str(error).splitlines()[0]} Give a local file as filters.clip.weights, or set "
                "filters.clip.without_weights to skip."
            ) from error
        self._model: Any = model.eval()
        self._transform: Any = transform
        self._aesthetic = self._head("aesthetic", rules.aesthetic)
        self._nsfw = self._head("nsfw", rules.nsfw)

    def score(self, images: Sequence[bytes], texts: Sequence[Sequence[str]]) -> list[ClipScores]:
        """Scores of each image against texts of its own."""
        torch = self._torch
        different = list(dict.fromkeys(text for own in texts for text in own))
        with torch.inference_mode():
            pictures = self._embed_images(images)
            aesthetic = self._through(self._aesthetic, pictures)
            nsfw = self._through(self._nsfw, pictures)
            rows = {text: row for row, text in enumerate(different)}
            words = self._embed_texts(different)
            cosines = (pictures @ words.T).cpu().tolist() if different else [[]] * len(images)
        return [
            ClipScores(
                similarities=tuple(round(cosines[index][rows[text]], 3) for text in own),
                aesthetic=None if aesthetic is None else round(aesthetic[index], 3),
                nsfw=None if nsfw is None else round(nsfw[index], 3),
            )
            for index, own in enumerate(texts)
        ]

    def _embed_images(self, images: Sequence[bytes]) -> Any:
        # A GPU would wait for one thread that decodes; on processors every worker is one already.
        with ThreadPoolExecutor(self._threads) as threads:
            pixels = list(threads.map(self._pixels, images))
        batch = self._torch.stack(pixels).to(self._device)
        return self._embedded(self._model.encode_image, batch)

    def _pixels(self, data: bytes) -> Any:
        with Image.open(io.BytesIO(data)) as image:
            return self._transform(image.convert("RGB"))

    def _embed_texts(self, texts: list[str]) -> Any:
        if not texts:
            return None
        return self._embedded(self._model.encode_text, self._tokenizer(texts).to(self._device))

    def _embedded(self, encode: Any, values: Any) -> Any:
        """Embeddings in float32, each of length 1."""
        torch = self._torch
        with torch.autocast(self._device, torch.float16, enabled=self._half):
            features = encode(values)
        return torch.nn.functional.normalize(features.float(), dim=-1)

    def _head(self, name: str, head: ScoreHead | None) -> Any:
        if head is None:
            return None
        torch = self._torch
        try:
            layers = _linear_layers(torch, head)
        except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
            raise ClipError(
                f"filters.clip.{name}.weights: {head.weights} can't be read: {error}"
            ) from error
        return torch.nn.Sequential(*layers).to(self._device).eval()

    def _through(self, head: Any, pictures: Any) -> list[float] | None:
        if head is None:
            return None
        found: list[float] = head(pictures).squeeze(1).cpu().tolist()
        return found


def _linear_layers(torch: Any, head: ScoreHead) -> list[Any]:
    """The linear layers of a state, in the order of their names' numbers."""
    if head.weights.endswith(".safetensors"):
        from safetensors.torch import load_file

        state = load_file(head.weights)
    else:
        state = torch.load(head.weights, map_location="cpu", weights_only=True)
    names = sorted((n for n in state if n.endswith("weight")), key=_numbers)
    if not names:
        raise ValueError("it has no linear layer")
    layers: list[Any] = []
    for name in names:
        weight, bias = state[name], state[name.removesuffix("weight") + "bias"]
        if layers and head.activation == "relu":
            layers.append(torch.nn.ReLU())
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers.append(layer)
    if head.sigmoid:
        layers.append(torch.nn.Sigmoid())
    return layers


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())
