"""Benchmark images as fingerprints: of folders of images, or of indexes that hold no image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curate.decontamination.benchmarks import BenchmarkError
from curate.decontamination.index_file import INDEX_SUFFIX
from curate.dedup.pictures import is_comparable
from curate.media.decoder import Decoder
from curate.media.store import FINGERPRINT_SCHEMA
from curate.schemas.identity import content_key
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.verdict import Drop

_EVERY_IMAGE = ImageRules(min_side=1, drop_single_color=False)


def benchmark_image_files(paths: tuple[str, ...]) -> list[str]:
    """The files that the paths, folders and globs name, sorted by name.

    Raises:
        BenchmarkError: one matches nothing.
    """
    found: dict[str, None] = {}
    for path in paths:
        filesystem, root = fsspec.core.url_to_fs(path)
        entries = filesystem.glob(root) if any(c in root for c in "*?[") else [root]
        files = sorted({f for e in entries for f in filesystem.find(e)})
        if not files:
            raise BenchmarkError(
                f"decontamination.images: no file matches {path!r}. "
                "Check the path, and quote a glob so that the shell leaves it alone."
            )
        found.update(dict.fromkeys(filesystem.unstrip_protocol(f) for f in files))
    return sorted(found)


def image_fingerprints(paths: tuple[str, ...]) -> tuple[pa.Table, list[str]]:
    """Rows of `FINGERPRINT_SCHEMA` of all benchmark images, and the files that are no images.

    A row's id is `FOLDER/FILE` of the image.

    Raises:
        BenchmarkError: a path matches nothing, an index can't be read, or there is no image.
    """
    tables: list[pa.Table] = []
    rows: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for path in benchmark_image_files(paths):
        if path.endswith(INDEX_SUFFIX):
            tables.append(_read_index(path))
    files = [p for p in benchmark_image_files(paths) if not p.endswith(INDEX_SUFFIX)]
    for path, row in _decode(files):
        if row is None:
            unreadable.append(path)
        else:
            rows.append(row)
    tables.append(pa.Table.from_pylist(rows, FINGERPRINT_SCHEMA))
    table = pa.concat_tables(tables)
    if not table.num_rows:
        raise BenchmarkError(
            f"decontamination.images: none of {len(unreadable)} files can be decoded "
            f"(the first is {unreadable[0]}). Give folders of images, or indexes of them."
        )
    return table, unreadable


def _decode(files: list[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    decoder = Decoder(_EVERY_IMAGE, Images())
    try:
        for path in files:
            with fsspec.open(path, "rb") as stream:
                data = stream.read()
            image = decoder.decode(data)
            if isinstance(image, Drop):
                yield path, None
                continue
            content = content_key("image", hashlib.sha256(data).hexdigest())
            thumbnail = image.fingerprint.thumbnail
            yield (
                path,
                {
                    "id": "/".join(path.split("/")[-2:]),
                    "url": "",
                    "high": 0,
                    "low": 0,
                    "content_key": int.from_bytes(content[:8], "little"),
                    "content_key_2": int.from_bytes(content[8:], "little"),
                    "comparable": is_comparable(thumbnail),
                    "signature": thumbnail,
                },
            )
    finally:
        decoder.close()


def _read_index(path: str) -> pa.Table:
    try:
        with fsspec.open(path, "rb") as stream:
            table = pq.read_table(stream)
    except (OSError, pa.ArrowInvalid) as error:
        raise BenchmarkError(f"{path} is no index of benchmark images: {error}") from error
    if not table.schema.equals(FINGERPRINT_SCHEMA, check_metadata=False) or (
        (table.schema.metadata or {}).get(b"format") != FINGERPRINT_SCHEMA.metadata[b"format"]
    ):
        raise BenchmarkError(
            f"{path} is no index of benchmark images as this version makes them. "
            "Build it anew with `curate benchmark-index build --images`."
        )
    return table.cast(FINGERPRINT_SCHEMA)
