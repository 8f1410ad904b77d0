"""Archives compressed in every way: the same records, each at a place that can be read back."""

from __future__ import annotations

import gzip
import io
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from curate.schemas.page import DamagedRegion, Record
from curate.sources.archives.archive import read_archive
from curate.sources.archives.members import codec_of, scan_members
from curate.sources.archives.record_reader import RecordReader
from tests.conftest import html_page, picture, write_warc

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The plain bytes of each record of an archive with pages and images."""
    folder = tmp_path_factory.mktemp("plain")
    responses = [
        html_page("http://h/page", "<p>one</p>" * 40),
        ("http://h/i.png", picture(seed=1), {"Content-Type": "image/png"}),
        html_page("http://h/page", "<p>the same address again</p>" * 40),
        ("http://h/j.png", picture(seed=2), {"Content-Type": "image/png"}),
    ]
    path = write_warc(folder / "plain.warc", responses, gzip=False)
    starts = [0]
    data = path.read_bytes()
    while (found := data.find(b"WARC/1.", starts[-1] + 1)) > 0:
        starts.append(found)
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def dictionary_of(records: list[bytes]) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(b"".join(records)[:4_000])


def zst_with_dictionary(records: list[bytes], packed: bool) -> bytes:
    dictionary = dictionary_of(records)
    data = dictionary.as_bytes()
    if packed:
        data = zstandard.ZstdCompressor().compress(data)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    head = b"\x5d\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data
    return head + b"".join(map(compressor.compress, records))


def halves(records: list[bytes]) -> list[bytes]:
    middle = len(records) // 2
    return [b"".join(records[:middle]), b"".join(records[middle:])]


ZSTD = zstandard.ZstdCompressor(write_checksum=True)
WAYS: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "gz-each": lambda r: b"".join(map(gzip.compress, r)),
    "gz-one": lambda r: gzip.compress(b"".join(r)),
    "gz-halves": lambda r: b"".join(map(gzip.compress, halves(r))),
    "gz-first-alone": lambda r: gzip.compress(r[0]) + gzip.compress(b"".join(r[1:])),
    "gz-one-padded": lambda r: gzip.compress(b"".join(r)) + b"\0" * 99,
    "zst-each": lambda r: b"".join(map(ZSTD.compress, r)),
    "zst-one": lambda r: ZSTD.compress(b"".join(r)),
    "zst-halves": lambda r: b"".join(map(ZSTD.compress, halves(r))),
    "zst-dictionary": lambda r: zst_with_dictionary(r, packed=False),
    "zst-packed-dictionary": lambda r: zst_with_dictionary(r, packed=True),
    "zst-long-window": lambda r: zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    ).compress(b"".join(r)),
}


def contents(items: list[Record | DamagedRegion]) -> list[tuple[str, bytes]]:
    return [(i.url, i.payload) for i in items if isinstance(i, Record)]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_records_at_places_that_can_be_read_back(
    records: list[bytes], tmp_path: Path, way: str
) -> None:
    (tmp_path / "plain.warc").write_bytes(b"".join(records))
    expected = contents(list(read_archive(str(tmp_path / "plain.warc"), LIMIT)))
    path = tmp_path / "a.warc.any"
    path.write_bytes(WAYS[way](records))
    found = list(read_archive(str(path), LIMIT))
    assert contents(found) == expected
    assert len(expected) == 4
    assert not [item for item in found if isinstance(item, DamagedRegion)]
    assert len({item.origin.place for item in found}) == 4
    with path.open("rb") as stream:
        for order in (found, found[::-1], [*found, *found]):
            reader = RecordReader(stream, LIMIT)
            assert [reader.read(item.origin) for item in order] == order


@pytest.mark.parametrize("way", ["zst-each", "zst-halves", "gz-each", "gz-halves"])
def test_damage_costs_its_member_alone(records: list[bytes], tmp_path: Path, way: str) -> None:
    data = bytearray(WAYS[way](records))
    stream = io.BytesIO(bytes(data))
    codec = codec_of(stream)
    assert codec is not None
    ((*_, last),), damages = scan_members(stream, codec)
    assert not damages
    middle = (last.start + last.end) // 2
    data[middle : middle + 30] = b"\xff" * 30
    path = tmp_path / "a.warc.any"
    path.write_bytes(bytes(data))
    found = list(read_archive(str(path), LIMIT))
    undamaged = 2 if "halves" in way else 3
    assert len([i for i in found if isinstance(i, Record) and not i.fault]) >= undamaged - 1
    regions = [i for i in found if isinstance(i, DamagedRegion)]
    assert regions or [i for i in found if isinstance(i, Record) and i.fault]
    for region in regions:
        assert last.start <= region.origin.offset < last.end


@pytest.mark.parametrize("way", ["zst-each", "zst-one", "gz-one"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_file_is_told(records: list[bytes], tmp_path: Path, way: str, share: float) -> None:
    data = WAYS[way](records)
    path = tmp_path / "a.warc.any"
    path.write_bytes(data[: int(len(data) * share)])
    found = list(read_archive(str(path), LIMIT))
    assert any(isinstance(i, DamagedRegion) or i.fault for i in found)


def test_one_pass_reads_many_records_of_a_member(records: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(b"".join(records * 400)))
    found = list(read_archive(str(path), LIMIT))
    assert len(found) == 1_600
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with path.open("rb") as stream:
        reader = RecordReader(stream, LIMIT)
        assert all(reader.read(item.origin) == item for item in found)
    # Anew for each record it would be 1,600 times the member.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5


def test_a_place_that_holds_nothing_gives_nothing(records: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.warc.zst"
    path.write_bytes(WAYS["zst-halves"](records))
    found = list(read_archive(str(path), LIMIT))
    with path.open("rb") as stream:
        reader = RecordReader(stream, LIMIT)
        for change in ({"inside": 3}, {"offset": 7}, {"inside": 1 << 40}):
            assert reader.read(replace(found[1].origin, **change)) is None
        assert reader.read(found[1].origin) == found[1]
