"""CLIP scores per second, encoded images in, on a GPU where there is one.

    python -m benchmarks.clip                              ViT-L-14, random weights
    python -m benchmarks.clip --model ViT-B-32 --side 512

An image comes with one text of its own, as a pair does.
"""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import open_clip
import torch
from PIL import Image

from benchmarks.loader.formats import pictures
from curate.console import say
from curate.media.clip import ClipModel
from curate.schemas.settings.filter_rules import ClipRules

BATCH = 64


@click.command()
@click.option("--model", "name", default="ViT-L-14", show_default=True)
@click.option("--side", default=512, show_default=True, help="Pixels of the images.")
@click.option("--batches", default=12, show_default=True, help="Of 64 images, after a first one.")
def main(name: str, side: int, batches: int) -> None:
    """Measure both precisions, and how far they differ."""
    images = [_resized(data, side) for data in pictures(BATCH)]
    texts = [[f"number {number} of the pictures"] for number in range(BATCH)]
    found: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pt"
        torch.manual_seed(0)
        made = open_clip.create_model(name, load_weights=False)
        torch.save(made.state_dict(), weights)
        for precision in ("float32", "float16") if torch.cuda.is_available() else ("float32",):
            rules = {"model": name, "weights": str(weights), "precision": precision}
            model = ClipModel(ClipRules.model_validate(rules))
            scores = model.score(images, texts)
            started = time.perf_counter()
            for _ in range(batches):
                scores = model.score(images, texts)
            rate = batches * BATCH / (time.perf_counter() - started)
            found.append(np.array([score.similarities for score in scores]))
            moved = np.abs(found[-1] - found[0]).max()
            say(f"{name} {precision} {rate:8,.0f} images/s   largest difference {moved:.3f}")


def _resized(data: bytes, side: int) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.resize((side, side)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


main()
