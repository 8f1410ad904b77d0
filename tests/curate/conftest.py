"""A small crawl with every kind of thing in it, and the runs that are made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from curate.cli import main
from tests.conftest import ENGLISH, Response, flat_picture, html_page, picture, write_warc

HOST = "http://site.test"


def paragraph(number: int) -> str:
    return f"<p>{ENGLISH[number % 4]} This is note {number} of the log.</p>"


def page_with(number: int, images: list[str], **headers: str) -> Response:
    shown = "".join(
        f'{paragraph(number + i)}<img src="{url}" alt="picture {url}">'
        for i, url in enumerate(images)
    )
    body = f"<article>{shown}{paragraph(number)}{paragraph(number + 1)}</article>"
    return html_page(f"{HOST}/page{number}.html", body, **headers)


def image(url: str, data: bytes, **headers: str) -> Response:
    return f"{HOST}{url}", data, {"Content-Type": "image/png", **headers}


def crawl(part: int) -> list[Response]:
    """Pages with none to seven images, and images that are fine, tiny, flat, broken or refused."""
    base = part * 100
    good = [f"/i/{base + i}.png" for i in range(8)]
    found: list[Response] = [image(url, picture(seed=base + i)) for i, url in enumerate(good)]
    found += [
        image(f"/i/{base}tiny.png", picture(40, 40)),
        image(f"/i/{base}flat.png", flat_picture()),
        image(f"/i/{base}broken.png", picture()[:200]),
        image(f"/i/{base}noai.png", picture(), **{"X-Robots-Tag": "noai"}),
        page_with(base, good[:7]),
        page_with(base + 1, [*good[:2], "/smilies/smiley.png"]),
        page_with(
            base + 2, [good[0], good[0], f"/i/{base}tiny.png", f"/i/{base}flat.png", good[3]]
        ),
        page_with(base + 3, [f"/i/{base}broken.png", f"/i/{base}noai.png", "/i/absent.png"]),
        page_with(
            base + 4, good[4:6], **{"X-Robots-Tag": "otherbot: noindex", "x-robots-tag": "noai"}
        ),
        html_page(
            f"{HOST}/refusing{base}.html",
            f"<meta name=Robots content='follow, NoAI'>{paragraph(base)}<img src={good[6]}>",
        ),
        html_page(
            f"{HOST}/german{base}.html", "<p>Der Hafen ist am Morgen noch ganz still.</p>" * 9
        ),
        html_page(f"{HOST}/short{base}.html", "<p>Hello there.</p><img src=/i/0.png>"),
        html_page(f"{HOST}/text{base}.html", "".join(paragraph(i) for i in range(9))),
        (f"{HOST}/style{base}.css", b"a{}", {"Content-Type": "text/css"}),
    ]
    found += [page_with(base + 10 + i, [good[i % 8]]) for i in range(12)]
    return found


@pytest.fixture(scope="session")
def crawl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    for part in range(4):
        write_warc(folder / f"crawl-{part}.warc.gz", crawl(part))
    damaged = bytearray((folder / "crawl-3.warc.gz").read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (folder / "crawl-3.warc.gz").write_bytes(bytes(damaged))
    return folder


@pytest.fixture(scope="session")
def recipe_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    recipe = {
        "name": "small",
        "sources": {
            "web": {"format": "interleaved"},
            "prose": {"format": "text"},
            "captions": {"format": "pairs"},
        },
        "images": {"size": 64, "fetch": {"enabled": False}},
        "tokenization": {
            "vocabulary": 300,
            "block": 256,
            "image_slots": 16,
            "shard_documents": 20,
        },
    }
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.fixture(scope="session")
def curate() -> Callable[..., Result]:
    """Run the command line in this process."""

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture(scope="session")
def run_folder(
    curate: Callable[..., Result],
    crawl_folder: Path,
    recipe_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A finished run with one worker."""
    out = tmp_path_factory.mktemp("runs") / "one"
    curate("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    return out


def shard_bytes(out: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(out)): p.read_bytes() for p in sorted((out / "shards").rglob("*.arrow"))
    }
