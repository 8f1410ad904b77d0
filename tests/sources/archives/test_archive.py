from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import pytest

from curate.schemas.page import DamagedRegion, Record
from curate.sources.archives.archive import read_archive, read_stream
from curate.sources.archives.record_reader import read_record_at
from tests.conftest import html_page, write_warc

LIMIT = 1 << 20
_ARC_FIELDS = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
ARC_HEADER = (
    b"filedesc://test.arc 0.0.0.0 20140301000000 text/plain %d\n" % len(_ARC_FIELDS)
    + _ARC_FIELDS
    + b"\n"
)


def arc_record(url: str, body: bytes) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    head = f"{url} 10.0.0.1 20140301000000 text/html {len(block)}\n".encode()
    return head + block + b"\n"


def responses(count: int) -> list[tuple[str, bytes, dict[str, str]]]:
    return [
        html_page(f"http://h.test/{i}", f"<p>{'page ' * (i * 7 % 90)}{i}</p>") for i in range(count)
    ]


def read(data: bytes) -> list[Record | DamagedRegion]:
    return list(read_stream(io.BytesIO(data), "f.warc.gz", LIMIT))


@pytest.mark.parametrize("compressed", [True, False])
def test_content_records_come_with_their_place(tmp_path: Path, compressed: bool) -> None:
    path = write_warc(tmp_path / "a.warc", responses(3), gzip=compressed)
    records = list(read_archive(str(path), LIMIT))
    assert [r.url for r in records if isinstance(r, Record)] == [
        f"http://h.test/{i}" for i in range(3)
    ]
    first = records[0]
    assert isinstance(first, Record)
    assert (first.kind, first.status, first.content_type, first.charset) == (
        "response",
        200,
        "text/html",
        "utf-8",
    )
    with path.open("rb") as stream:
        for record in records:
            again = read_record_at(stream, record.origin, LIMIT)
            assert again == record


def test_arc_files_are_read(tmp_path: Path) -> None:
    body = ARC_HEADER + arc_record("http://h.test/a", b"<p>a</p>")
    body += arc_record("http://h.test/b", b"<p>b</p>")
    path = tmp_path / "a.arc"
    path.write_bytes(body)
    records = list(read_archive(str(path), LIMIT))
    assert [(r.url, r.payload) for r in records if isinstance(r, Record)] == [
        ("http://h.test/a", b"<p>a</p>"),
        ("http://h.test/b", b"<p>b</p>"),
    ]
    with path.open("rb") as stream:
        assert read_record_at(stream, records[1].origin, LIMIT) == records[1]


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Content-Encoding": "gzip"}, gzip.compress(b"<p>x</p>", mtime=0), b"<p>x</p>"),
        # Bodies that belie their headers are common in archives.
        ({"Content-Encoding": "gzip"}, b"<p>plain</p>", b"<p>plain</p>"),
        ({"Transfer-Encoding": "chunked"}, b"<p>plain</p>", b"<p>plain</p>"),
        ({"Transfer-Encoding": "chunked"}, b"8\r\n<p>x</p>\r\n0\r\n\r\n", b"<p>x</p>"),
    ],
)
def test_bodies_are_decoded_as_far_as_they_can_be(
    tmp_path: Path, headers: dict[str, str], body: bytes, expected: bytes
) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [("http://h.test/", body, headers)])
    (record,) = read_archive(str(path), LIMIT)
    assert isinstance(record, Record)
    assert (record.payload, record.fault) == (expected, None)


def test_what_claims_gzip_and_is_broken_is_a_fault(tmp_path: Path) -> None:
    broken = gzip.compress(random.Random(0).randbytes(4000))
    damaged = broken[:200] + b"\xff\x00\xff\x00" + broken[204:]
    path = write_warc(
        tmp_path / "a.warc.gz", [("http://h.test/", damaged, {"Content-Encoding": "gzip"})]
    )
    (record,) = read_archive(str(path), LIMIT)
    assert isinstance(record, Record)
    assert record.fault == "record.undecodable"


def test_a_decompression_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * (8 * LIMIT))
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
    path = write_warc(tmp_path / "a.warc.gz", [("http://h.test/", bomb, headers)])
    (record,) = read_archive(str(path), LIMIT)
    assert isinstance(record, Record)
    assert (record.fault, record.payload) == ("record.too_large", b"")


def test_a_damaged_record_costs_only_itself(tmp_path: Path) -> None:
    path = write_warc(tmp_path / "a.warc.gz", responses(5))
    whole = read(path.read_bytes())
    data = bytearray(path.read_bytes())
    third = whole[2].origin
    data[third.offset + third.length // 2] ^= 0x55
    found = read(bytes(data))
    assert [r.url for r in found if isinstance(r, Record)] == [
        f"http://h.test/{i}" for i in (0, 1, 3, 4)
    ]
    (damage,) = [r for r in found if isinstance(r, DamagedRegion)]
    assert damage.origin.offset == third.offset


@pytest.mark.parametrize("kind", ["warc.gz", "warc", "arc", "arc.gz"])
@pytest.mark.parametrize("harm", ["truncate", "flip"])
def test_no_harm_to_the_bytes_raises_or_loses_a_record_silently(
    tmp_path: Path, kind: str, harm: str
) -> None:
    if kind.startswith("warc"):
        source = write_warc(tmp_path / "a", responses(12), gzip=kind.endswith("gz")).read_bytes()
    else:
        pieces = [ARC_HEADER, *(arc_record(u, b) for u, b, _ in responses(12))]
        source = b"".join(gzip.compress(p, mtime=0) if kind.endswith("gz") else p for p in pieces)
    offsets = [r.origin.offset for r in read(source)]
    assert len(offsets) == 12
    chance = random.Random(f"{kind} {harm}")
    for _ in range(200):
        position = chance.randrange(1, len(source))
        if harm == "truncate":
            harmed = source[:position]
            expected = [o for o in offsets if o < position]
        else:
            changed = bytearray(source)
            changed[position] ^= 1 << chance.randrange(8)
            harmed, expected = bytes(changed), offsets
        found = read(harmed)
        told = {r.origin.offset for r in found if isinstance(r, Record)}
        damaged = [
            range(r.origin.offset, r.origin.offset + r.origin.length)
            for r in found
            if isinstance(r, DamagedRegion)
        ]
        lost = [o for o in expected if o not in told and not any(o in d for d in damaged)]
        assert lost == [], (position, found)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"not an archive", b"\0" * 99])
def test_what_is_no_archive_is_one_damaged_region(data: bytes) -> None:
    assert [type(r) for r in read(data)] == ([DamagedRegion] if data else [])


def test_a_broken_connection_raises() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise ConnectionResetError("the other side is gone")
            return super().read(size)

    with pytest.raises(OSError, match="the other side is gone"):
        list(read_stream(Broken(b"WARC/1.0\r\n" * 9000), "f", LIMIT))
