"""Images out of many tars, by a process that may open few files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.media.store import SampleTarWriter
from curate.pipelines.engine.engine import WorkList
from curate.pipelines.images.clip_inference import ReadImages
from curate.pipelines.images.image_verdicts import VERDICT_SCHEMA
from curate.runs.buckets import bucket_name
from curate.runs.cleaned_documents import PURGE_SCHEMA
from curate.runs.image_tars import ImageTars
from curate.runs.plan import InputPart
from curate.runs.run_directory import RunDirectory
from curate.schemas.document import (
    DOCUMENT_SCHEMA,
    Document,
    ImageSegment,
    TextSegment,
    document_to_row,
)
from curate.schemas.identity import image_key
from curate.schemas.page import Origin
from curate.schemas.settings.filter_rules import ClipRules, Filters
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.source import Source
from curate.standalone.pair_files import _Pair, _write_shard

TARS = 120


@pytest.fixture
def few_files() -> Iterator[None]:
    """Forty more files than are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = {int(name) for name in os.listdir("/proc/self/fd")}
    free = islice((number for number in count() if number not in held), 40, None)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(free), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def jpeg(tar: int, number: int) -> bytes:
    return f"image {number} of tar {tar}".encode() * 20


@pytest.fixture
def stored(tmp_path: Path) -> tuple[RunDirectory, list[dict[str, Any]]]:
    """A run with two images in each of many tars; the fate of each, first those of every tar."""
    run = RunDirectory(str(tmp_path / "run"))
    fates = []
    for tar in range(TARS):
        with run.publish(f"images/{bucket_name(tar)}.tar") as path, path.open("wb") as stream:
            writer = SampleTarWriter(stream)
            for number in range(2):
                data = jpeg(tar, number)
                offset = writer.add(f"{number}", {"jpg": data})
                place = {"tar": tar, "offset": offset, "size": len(data), "rule": None}
                fates.append({**place, "number": number, "width": 8, "height": 8})
            writer.close()
    return run, sorted(fates, key=lambda fate: (fate["number"], fate["tar"]))


def document(number: int) -> Document:
    url = f"http://h.test/{number}.jpg"
    return Document(
        id=f"{number}",
        source="s",
        url=url,
        segments=(TextSegment(text="a boat"), ImageSegment(url=url)),
        origin=Origin(warc_file="", offset=0, length=0),
    )


@pytest.mark.usefixtures("few_files")
def test_few_are_open_at_a_time(stored: tuple[RunDirectory, list[dict[str, Any]]]) -> None:
    run, fates = stored
    with ImageTars(run) as tars:
        for fate in fates:
            found = tars.read(fate["tar"], fate["offset"], fate["size"])
            assert found == jpeg(fate["tar"], fate["number"])
        assert tars.count == 2 * TARS


def test_a_tar_that_ends_early_is_told_of(
    stored: tuple[RunDirectory, list[dict[str, Any]]],
) -> None:
    run, fates = stored
    fate = fates[3]
    path = Path(run.path(f"images/{bucket_name(3)}.tar"))
    path.write_bytes(path.read_bytes()[: fate["offset"] + 9])
    with ImageTars(run) as tars, pytest.raises(OSError, match=r"part-00003.tar ends at byte 521,"):
        tars.read(3, fate["offset"], fate["size"])


@pytest.mark.usefixtures("few_files")
def test_a_shard_of_pairs_takes_images_of_many_tars(
    stored: tuple[RunDirectory, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, fates = stored
    pairs = [_Pair(document=document(n), fate=fate) for n, fate in enumerate(fates)]
    _write_shard(RunDirectory(str(tmp_path / "out")), run, "00000", pairs)
    written = (tmp_path / "out" / "00000.tar").read_bytes()
    assert all(jpeg(fate["tar"], fate["number"]) in written for fate in fates)


@pytest.mark.usefixtures("few_files")
def test_scoring_takes_images_of_many_tars(
    stored: tuple[RunDirectory, list[dict[str, Any]]],
) -> None:
    run, fates = stored
    documents = [document(number) for number in range(len(fates))]
    keys = [image_key(shown.url) for d in documents for shown in d.images]
    verdicts = [{**fate, "key": key} for key, fate in zip(keys, fates, strict=True)]
    gone = pa.schema([("row", pa.int64())])
    for path, rows, schema in (
        ("documents/s/part-00000", [document_to_row(d) for d in documents], DOCUMENT_SCHEMA),
        ("verdicts/images/s/part-00000", verdicts, VERDICT_SCHEMA),
        ("verdicts/duplicates/s/part-00000", [], gone),
        ("verdicts/decontamination/s/part-00000", [], PURGE_SCHEMA),
    ):
        with run.publish(f"{path}.parquet") as local:
            pq.write_table(pa.Table.from_pylist(rows, schema), local)
    source = Source(kind="jsonl", format="interleaved", paths=("x",))
    filters = Filters(clip=ClipRules(batch_images=9))
    recipe = Recipe(name="r", sources={"s": source}, filters=filters)
    part = InputPart(number=0, source="s", index=0, path="", file_name="", size=0)
    batches = list(ReadImages(run, recipe).process(WorkList((part,), None)))
    found = [wanted.data for _, batch in batches for wanted in batch]
    assert found == [jpeg(fate["tar"], fate["number"]) for fate in fates]
