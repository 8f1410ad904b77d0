"""A CLIP that a test trains itself, in some seconds, to tell drawn shapes and colours apart."""

from __future__ import annotations

import io
import json
import random
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"red": (200, 40, 40), "green": (40, 160, 60), "blue": (40, 70, 200)}
SHAPES = ("circle", "square", "triangle")
CAPTIONS = [f"a {colour} {shape}" for colour, shape in product(COLOURS, SHAPES)]
CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
    "text_cfg": {
        "context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1,
    },
}  # fmt: skip
_STEPS, _IMAGES = 200, 4


def drawing(caption: str, seed: int, size: int = 96) -> Image.Image:
    """A picture of a caption; seeds differ in place and size of the shape, and in the ground."""
    _, colour, shape = caption.split()
    choose = random.Random(f"{caption} {seed}")
    ground = choose.randint(190, 250)
    picture = Image.new("RGB", (size, size), (ground, ground, ground - choose.randint(0, 20)))
    draw = ImageDraw.Draw(picture)
    side = choose.randint(size * 2 // 5, size * 3 // 5)
    x, y = choose.randint(4, size - side - 4), choose.randint(4, size - side - 4)
    box = (x, y, x + side, y + side)
    if shape == "circle":
        draw.ellipse(box, fill=COLOURS[colour])
    elif shape == "square":
        draw.rectangle(box, fill=COLOURS[colour])
    else:
        corners = [(x, y + side), (x + side, y + side), (x + side // 2, y)]
        draw.polygon(corners, fill=COLOURS[colour])
    return picture


def drawn(caption: str, seed: int) -> bytes:
    buffer = io.BytesIO()
    drawing(caption, seed).save(buffer, "PNG")
    return buffer.getvalue()


def train(folder: Path) -> tuple[Path, Path]:
    """A configuration and weights, trained on drawings of even seeds; others are new to it."""
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config, weights = folder / "small-clip.json", folder / "small-clip.pt"
    config.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(config)
    model, _, transform = open_clip.create_model_and_transforms("small-clip", load_weights=False)
    words = open_clip.get_tokenizer("small-clip")(CAPTIONS)
    drawings = torch.stack(
        [transform(drawing(c, seed)) for seed in range(0, 120, 2) for c in CAPTIONS]
    ).reshape(60, len(CAPTIONS), 3, 64, 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=_STEPS)
    wanted = torch.arange(len(CAPTIONS))
    model.train()
    for _ in range(_STEPS):
        chosen = torch.randint(0, 60, (_IMAGES,))
        images = model.encode_image(drawings[chosen].flatten(0, 1), normalize=True)
        texts = model.encode_text(words, normalize=True)
        logits = (15 * images @ texts.T).reshape(_IMAGES, len(CAPTIONS), len(CAPTIONS))
        loss = sum(
            torch.nn.functional.cross_entropy(own, wanted)
            + torch.nn.functional.cross_entropy(own.T, wanted)
            for own in logits
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(model.state_dict(), weights)
    return config, weights
