"""Tables of pairs as they are published, and rows that give no pair."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.schemas.document import Document
from curate.schemas.settings.source import PairColumns, Source
from curate.sources.corpus import RejectedRow
from curate.sources.listing import list_inputs
from curate.sources.pair_tables import read_pair_table

URL = "http://h.test/a.jpg"


def read(path: Path, kind: str, **more: Any) -> list[Document | RejectedRow]:
    source = Source.model_validate(
        {"kind": kind, "format": "pairs", "paths": (str(path.parent),), **more}
    )
    (file,) = list_inputs("pairs", source)
    return list(read_pair_table(file.path, source, file.name, "pairs"))


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("kind", "row", "size", "scores"),
    [
        ("laion-400m",
         {"SAMPLE_ID": 1.0, "URL": URL, "TEXT": " a  ship\n", "HEIGHT": "300.0", "WIDTH": "400",
          "LICENSE": "?", "NSFW": "UNSURE", "similarity": 0.31},
         (400, 300), {"pair.similarity": 0.31, "pair.nsfw": 0.5}),
        ("laion-2b-en",
         {"URL": URL, "TEXT": "a ship", "WIDTH": 400, "HEIGHT": 300, "similarity": 0.3,
          "punsafe": 0.01, "pwatermark": 0.2, "AESTHETIC_SCORE": 5.5, "hash": 1},
         (400, 300), {"pair.similarity": 0.3, "pair.nsfw": 0.01, "pair.watermark": 0.2,
                      "pair.aesthetic": 5.5}),
        ("laion-2b-en",
         {"url": URL, "caption": "a ship", "width": 400, "height": 300, "key": 3},
         (400, 300), {}),
        ("coyo-700m",
         {"id": 1, "url": URL, "text": "a ship", "width": 400, "height": 300, "image_phash": "f",
          "clip_similarity_vitb32": 0.2, "clip_similarity_vitl14": 0.25,
          "nsfw_score_opennsfw2": 0.1, "nsfw_score_gantman": 0.9, "watermark_score": 0.3,
          "aesthetic_score_laion_v2": 4.9},
         (400, 300), {"pair.similarity": 0.25, "pair.nsfw": 0.1, "pair.watermark": 0.3,
                      "pair.aesthetic": 4.9}),
        ("grit",
         {"url": URL, "caption": "a ship", "width": 400, "height": 300,
          "clip_similarity_vitb32": 0.2, "noun_chunks": [[0.0, 1.0]]},
         (400, 300), {"pair.similarity": 0.2}),
    ],
)  # fmt: skip
def test_published_columns(
    tmp_path: Path, kind: str, row: dict[str, Any], size: tuple[int, int], scores: dict[str, float]
) -> None:
    (pair,) = read(parquet(tmp_path / "t.parquet", [row]), kind)
    assert isinstance(pair, Document)
    (image,) = pair.images
    assert (image.url, pair.text, pair.url) == (URL, "a ship", URL)
    assert (image.width, image.height) == size
    assert pair.scores == pytest.approx(scores)


@pytest.mark.parametrize(
    ("kind", "name", "data"),
    [
        ("cc3m", "train.tsv", f'a "quoted" ship\t{URL}\n'),
        ("cc12m", "cc12m.tsv", f'{URL}\ta "quoted" ship\n'),
        ("pairs", "own.tsv", f'url\tcaption\n{URL}\ta "quoted" ship\n'),
        ("pairs", "own.csv", f'caption,url\r\n"a ""quoted""\nship",{URL}\r\n'),
    ],
)
def test_tables_of_text(tmp_path: Path, kind: str, name: str, data: str) -> None:
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data.encode()))
    (pair,) = read(tmp_path / f"{name}.gz", kind)
    assert isinstance(pair, Document)
    assert (pair.url, pair.text) == (URL, 'a "quoted" ship')
    assert pair.images[0].width is None


def test_own_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", [{"link": URL, "alt": "a ship", "w": 4, "h": 3, "s": 1}])
    columns = PairColumns(url="link", caption="alt", width="w", height="h", similarity="s")
    (pair,) = read(path, "pairs", columns=columns)
    assert isinstance(pair, Document)
    assert (pair.images[0].width, pair.images[0].height) == (4, 3)
    assert pair.scores == {"pair.similarity": 1.0}


def test_rows_without_a_pair_are_told(tmp_path: Path) -> None:
    rows = [
        {"URL": URL, "TEXT": "a ship", "WIDTH": "wide"},
        {"URL": None, "TEXT": "a ship", "WIDTH": None},
        {"URL": " ", "TEXT": "a ship", "WIDTH": None},
        {"URL": URL, "TEXT": " \n", "WIDTH": "-3"},
        {"URL": URL, "TEXT": None, "WIDTH": "nan"},
    ]
    found = read(parquet(tmp_path / "t.parquet", rows), "laion-400m")
    assert isinstance(found[0], Document)
    assert found[0].images[0].width is None
    rules = [f.drop.rule for f in found[1:] if isinstance(f, RejectedRow)]
    assert rules == ["record.no_url", "record.no_url", "record.no_text", "record.no_text"]


def test_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(f"{URL}\tone\n{URL}\ttwo\n".encode())[:-9])
    *pairs, damaged = read(tmp_path / "t.tsv.gz", "cc12m")
    assert isinstance(damaged, RejectedRow)
    assert damaged.drop.rule == "record.damaged"
    assert all(isinstance(pair, Document) for pair in pairs)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "cc3m", "format": "text"}, "format: pairs"),
        ({"kind": "jsonl", "format": "pairs"}, "only tables and `warc`"),
        ({"kind": "warc", "format": "pairs", "columns": {"url": "u", "caption": "c"}}, "columns"),
    ],
)
def test_sources_that_make_no_sense(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source.model_validate(source)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_tables_end_in_every_way(tmp_path: Path, end: str) -> None:
    lines = ["url,caption", "http://h/1.png,one", 'http://h/2.png,"two, and more"', ""]
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(lines).encode())
    source = Source(kind="pairs", format="pairs")
    found = list(read_pair_table(str(path), source, path.name, "pairs"))
    assert [item.text for item in found if isinstance(item, Document)] == ["one", "two, and more"]
    assert len(found) == 2
