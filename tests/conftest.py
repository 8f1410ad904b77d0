"""What several tests make: archives, pictures, trained models."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curate import extraction
from curate.tokenization.train import train_model
from tests import small_clip

for _compiled in Path(extraction.__file__).parent.glob("*.so"):
    _source = _compiled.with_name(f"{_compiled.name.split('.')[0].removesuffix('__mypyc')}.py")
    if _source.stat().st_mtime > _compiled.stat().st_mtime:
        pytest.exit(f"{_compiled.name} is older than {_source.name}: run `make setup`", 2)

GPU_ASKED = "CURATE_GPU" in os.environ
if not GPU_ASKED:
    # The suite has the same results everywhere: tests/gpu is what looks at a GPU.
    os.environ.update(CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason="real data is not beside the checkout (../shared/data)"
)

Response = tuple[str, bytes, dict[str, str]]
"""URL, body and HTTP headers."""

ENGLISH = (
    "The harbour is quiet in the morning, and the boats lie side by side at the long stone quay.",
    "A keeper climbs the lighthouse every evening to see that the lamp is clean and burning well.",
    "Bread from the bakery behind the fish market keeps for a week in a bag of plain cotton cloth.",
    "When the wind turns to the north the fishermen stay at home and mend their nets by the fire.",
)


def write_warc(path: Path, responses: Iterable[Response], gzip: bool = True) -> Path:
    """A WARC with a warcinfo, and a request and a response for each entry."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=gzip)
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "test"}))
        for url, body, headers in responses:
            lines = list(headers.items())
            answer = StatusAndHeaders("200 OK", lines, protocol="HTTP/1.1")
            asked = StatusAndHeaders("GET / HTTP/1.1", [("Host", "h")], is_http_request=True)
            writer.write_record(
                writer.create_warc_record(url, "request", io.BytesIO(b""), http_headers=asked)
            )
            writer.write_record(
                writer.create_warc_record(url, "response", io.BytesIO(body), http_headers=answer)
            )
    return path


def html_page(url: str, body: str, **headers: str) -> Response:
    page = f"<html><head><title>T</title></head><body>{body}</body></html>".encode()
    return url, page, {"Content-Type": "text/html; charset=utf-8", **headers}


def picture(width: int = 120, height: int = 90, seed: int = 0, format: str = "PNG") -> bytes:
    """An encoded picture with several colours; different for every seed."""
    image = Image.new("RGB", (width, height), (250, 250, 240))
    draw = ImageDraw.Draw(image)
    for step in range(8):
        x, y = (seed * 31 + step * 17) % width, (seed * 13 + step * 23) % height
        draw.ellipse([x, y, x + 30, y + 20], fill=(step * 30 % 256, seed * 40 % 256, 90))
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


def flat_picture(width: int = 120, height: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (10, 120, 200)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def small_model() -> bytes:
    """A SentencePiece model of a few hundred pieces."""
    words = ("harbour", "boat", "lamp", "bread", "wind", "net", "stone", "keeper", "quay", "sea")
    lines = [
        f"The {a} and the {b} near the {c}, {line.lower()}"
        for a in words
        for b in words
        for c, line in zip(words, ENGLISH * 3, strict=False)
    ]
    return train_model(lines, vocabulary=400, character_coverage=0.9999)


MakeWarc = Callable[[str, Iterable[Response]], Path]


@pytest.fixture
def make_warc(tmp_path: Path) -> MakeWarc:
    return lambda name, responses: write_warc(tmp_path / name, responses)


@pytest.fixture(scope="session")
def clip_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration and weights of a small CLIP, trained here."""
    return small_clip.train(tmp_path_factory.mktemp("clip"))
