"""What any fetcher must do at least: decode, resize and encode, from memory, with Pillow.

    python -m benchmarks.images.bare FOLDER COUNT

takes the files of FOLDER in turn until there were COUNT. With as many of these processes as there
are cores, images per second of processor time bound what can be reached on the same machine.
"""

from __future__ import annotations

import io
import sys
from itertools import cycle, islice
from pathlib import Path

from PIL import Image

from benchmarks.images import QUALITY, SIZE


def make(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (SIZE * 2, SIZE * 2))
        width, height = image.size
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        box = (left, top, left + short, top + short)
        bicubic = Image.Resampling.BICUBIC
        resized = image.resize((SIZE, SIZE), bicubic, box, reducing_gap=1.0)
    buffer = io.BytesIO()
    resized.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def main() -> None:
    files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
    for data in islice(cycle(files), int(sys.argv[2])):
        make(data)


if __name__ == "__main__":
    main()
