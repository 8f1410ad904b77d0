"""Text from a trained model: captions of images, continuations of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from curate.schemas.errors import UsageError
from curate.tokenization.formats import lines_of
from curate.tokenization.vocabulary import BOS, EOS, PAD, Vocabulary
from curate.training.arguments import MOST_ROWS, seed_number, whole_number
from curate.training.loading.batches import decoded, normalize
from curate.training.torch_backend.checkpoint import load_checkpoint
from curate.training.torch_backend.decoder import Cache
from curate.training.torch_backend.model import KosmosModel, make_model
from curate.training.training_directory import TrainingDirectory, read_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen.

    Raises:
        UsageError: a value is out of its range.
    """

    temperature: float = 0.0
    """0 takes the most likely token; else from 0.001 to 1,000."""
    top_p: float = 1.0
    """Least probability that the likeliest tokens, of which one is drawn, have together."""
    seed: int = 0
    max_tokens: int = 64

    def __post_init__(self) -> None:
        if self.temperature != 0 and not 0.001 <= self.temperature <= 1_000:
            raise UsageError(
                f"temperature must be 0, or from 0.001 to 1,000 (got {self.temperature})."
            )
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p must be above 0 and at most 1 (got {self.top_p}).")
        seed_number(self.seed)
        whole_number("max_tokens", self.max_tokens, 1, MOST_ROWS)


@dataclass(frozen=True, slots=True)
class Generator:
    """A model with its tokenizer."""

    model: KosmosModel
    vocabulary: Vocabulary
    slots: int

    def generate(self, image: bytes | None, prompt: str, sampling: Sampling) -> str:
        """What follows `<s>`, the image and the prompt, up to `</s>`.

        Raises:
            PictureError: the image can't be decoded.
        """
        ids = [BOS]
        if image is not None:
            ids += [self.vocabulary.image] * (1 + self.slots) + [self.vocabulary.image_end]
        lines = self.vocabulary.encode(lines_of(prompt))
        for number, line in enumerate(lines):
            ids += [self.vocabulary.line_end, *line] if number else line
        return self.vocabulary.decode(self._extend(ids, image, sampling))

    @torch.no_grad()
    def _extend(self, ids: list[int], image: bytes | None, sampling: Sampling) -> list[int]:
        model = self.model
        device = model.embedding.weight.device
        size = model.config.vision.image_size
        count = 0 if image is None else 1
        pixels = np.zeros((count, 3, size, size), np.float32)
        positions = np.tile(np.arange(2, 2 + self.slots), (count, 1))
        if image is not None:
            normalize(decoded(image, size), out=pixels[0])
        x = model.embed(
            torch.tensor([ids], device=device),
            torch.from_numpy(pixels).to(device),
            torch.from_numpy(positions).to(device),
        )
        chooser = torch.Generator(device).manual_seed(sampling.seed)
        caches: Sequence[Cache | None] = [None] * len(model.layers)
        length, made = 0, list[int]()
        while len(made) < sampling.max_tokens and length + x.shape[1] < model.block:
            hidden, caches = model.extend(x, length, list(caches))
            length += x.shape[1]
            token = _chosen(model.logits(hidden[0, -1]).float(), sampling, chooser)
            if token == EOS:
                break
            made.append(token)
            x = model.embed(
                torch.tensor([[token]], device=device), x.new_zeros(0), x.new_zeros(0, 0)
            )
        return made


def _chosen(logits: Tensor, sampling: Sampling, chooser: torch.Generator) -> int:
    logits[[BOS, PAD]] = -torch.inf
    if sampling.temperature == 0:
        return int(logits.argmax())
    shares, tokens = (logits / sampling.temperature).softmax(-1).sort(descending=True)
    shares[shares.cumsum(-1) - shares >= sampling.top_p] = 0
    return int(tokens[torch.multinomial(shares, 1, generator=chooser)])


def load_generator(checkpoint: Path, vocabulary: Vocabulary) -> Generator:
    """The model of a checkpoint of either backend, on a GPU where there is one.

    Raises:
        UsageError: it is no checkpoint.
    """
    facts = read_facts(checkpoint)
    config = TrainingDirectory(checkpoint.parent).config()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = make_model(config.model, facts.vocabulary, facts.block, facts.image_slots, device)
    if facts.backend == "jax":
        _load_from_jax(checkpoint, model)
    else:
        load_checkpoint(checkpoint, model, None, alone=True)
    return Generator(model.eval(), vocabulary, facts.image_slots)


def _load_from_jax(checkpoint: Path, model: KosmosModel) -> None:
    from curate.training.jax_backend.checkpoint import load_checkpoint as load
    from curate.training.jax_backend.weights import to_torch

    held, _ = load(checkpoint)
    state = to_torch(held["params"], model.state_dict())
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()})
