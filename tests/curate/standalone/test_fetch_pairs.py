"""`curate fetch-pairs` against a real server, killed and given again; its output read back."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import Result
from PIL import Image

from tests.conftest import flat_picture, picture, write_warc
from tests.curate.conftest import crawl
from tests.serving import QuietHandler, serving

Curate = Callable[..., Result]


class Site:
    """Pictures at `/good/N`, and what goes wrong at other addresses."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.requests: Counter[str] = Counter()
        self.is_well = False
        self.lock = threading.Lock()
        self.seconds = seconds

    def respond(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        with self.lock:
            self.requests[path] += 1
        kind, _, number = path.strip("/").partition("/")
        if kind in ("good", "refused") or (kind == "busy" and self.is_well):
            time.sleep(self.seconds)
            headers = {"X-Robots-Tag": "noai"} if kind == "refused" else {}
            return 200, picture(100 + int(number) % 7 * 10, 100, seed=int(number)), headers
        if kind == "busy":
            return 503, b"", {}
        if kind == "flat":
            return 200, flat_picture(), {}
        return 404, b"", {}


@contextmanager
def served(site: Site) -> Iterator[str]:
    class Handler(QuietHandler):
        def do_GET(self) -> None:
            status, body, headers = site.respond(self.path)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True

    with serving(Handler) as address:
        yield address


def table(path: Path, address: str, good: int = 20) -> Path:
    paths = [f"good/{i}" for i in range(good)]
    paths += ["busy/1", "busy/2", "flat/1", "missing/1", "refused/1"]
    rows: list[dict[str, Any]] = [
        {"URL": f"http://{address}/{p}", "TEXT": f"a picture of {p}", "WIDTH": 300, "HEIGHT": 300}
        for p in paths
    ]
    rows.append({**rows[0], "TEXT": "a picture of <PERSON> at sea"})
    rows.append({**rows[0], "URL": None})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def arguments(pairs: Path, address: str, out: Path, *more: object) -> list[str]:
    given = (
        "fetch-pairs", pairs, "--kind", "laion-400m", "--out", out, "--allow-host", address,
        "--image-size", 64, "--number-sample-per-shard", 10, "--retries", 0, *more,
    )  # fmt: skip
    return [str(a) for a in given]


def samples(out: Path) -> dict[str, dict[str, bytes]]:
    """Members of all shards, by key and extension."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                stream = tar.extractfile(member)
                assert stream is not None
                found.setdefault(key, {})[extension] = stream.read()
    return found


def contents(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.glob("0*"))}


def test_a_table_becomes_shards(curate: Curate, tmp_path: Path) -> None:
    site = Site()
    with served(site) as address:
        told = curate(*arguments(table(tmp_path / "t.parquet", address), address, tmp_path / "out"))
    out = tmp_path / "out"
    assert "27 rows, 25 images wanted, 20 stored in 3 shards" in told.output
    assert json.loads((out / "report.json").read_text())["dropped"] == {
        "consent.header": 1,
        "fetch.http_404": 1,
        "fetch.http_503": 2,
        "image.single_color": 1,
        "pair.tagged_caption": 1,
        "record.no_url": 1,
    }
    held = samples(out)
    assert len(held) == 20
    for key, members in held.items():
        about = json.loads(members["json"])
        assert about["key"] == key
        assert members["txt"].decode() == f"a picture of {about['url'].split('/', 3)[3]}"
        assert Image.open(io.BytesIO(members["jpg"])).size == (64, 64)
    rows = [
        row for path in sorted(out.glob("0*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    assert Counter(row["status"] for row in rows) == {"success": 20, "failed": 5}
    stats = [json.loads(path.read_text()) for path in sorted(out.glob("*_stats.json"))]
    assert sum(s["successes"] for s in stats) == 20


def test_a_later_call_tries_only_what_might_come(curate: Curate, tmp_path: Path) -> None:
    site = Site()
    with served(site) as address:
        path, out = table(tmp_path / "t.parquet", address), tmp_path / "out"
        curate(*arguments(path, address, out))
        before = Counter(site.requests)
        again = curate(*arguments(path, address, out)).output
        assert site.requests == before
        assert "20 stored" in again
        site.is_well = True
        told = curate(*arguments(path, address, out, "--retry")).output
    assert "22 stored" in told
    asked = site.requests - before
    assert {p for p in asked if not p.endswith((".txt", ".json"))} == {"/busy/1", "/busy/2"}
    fresh = tmp_path / "fresh"
    with served(site) as other:
        curate(*arguments(table(tmp_path / "t2.parquet", other), other, fresh))
    assert [m["jpg"] for m in samples(out).values()] == [m["jpg"] for m in samples(fresh).values()]


def test_killed_and_given_again_nothing_stored_is_fetched_twice(tmp_path: Path) -> None:
    site = Site(seconds=0.02)
    with served(site) as address:
        path, out = table(tmp_path / "t.parquet", address, good=1_200), tmp_path / "killed"
        curate = str(Path(sys.executable).with_name("curate"))
        given = [curate, *arguments(path, address, out)]
        spool = out / "run" / "spool" / "images"
        process = subprocess.Popen(given, start_new_session=True, stderr=subprocess.DEVNULL)
        for _ in range(1_200):
            if len(list(spool.rglob("*.arrow"))) >= 2 or process.poll() is not None:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        stored = [
            i for p in spool.rglob("[0-9]*.arrow") for i in pa.ipc.open_file(p).read_all()["url"]
        ]
        urls = {url.as_py().split(address)[1] for url in stored}
        assert 256 <= len(urls) < 1_200
        subprocess.run(given, check=True, capture_output=True)
        assert {site.requests[u] for u in urls} == {1}
        assert all(site.requests[f"/good/{i}"] >= 1 for i in range(1_200))
        site.seconds = 0
        whole = tmp_path / "whole"
        subprocess.run([curate, *arguments(path, address, whole)], check=True)
    assert contents(out) == contents(whole)
    assert len(samples(out)) == 1_200


def test_what_it_wrote_is_a_source_beside_an_archive(curate: Curate, tmp_path: Path) -> None:
    with served(Site()) as address:
        curate(*arguments(table(tmp_path / "t.parquet", address), address, tmp_path / "out"))
    write_warc(tmp_path / "crawl.warc.gz", crawl(0))
    recipe = {
        "name": "mixed",
        "sources": {
            "web": {"format": "interleaved", "paths": [str(tmp_path / "crawl.warc.gz")]},
            "imported": {
                "kind": "img2dataset", "format": "pairs", "paths": [str(tmp_path / "out/*.tar")],
            },
        },
        "images": {"size": 64, "fetch": {"enabled": False}},
        "tokenization": {"vocabulary": 300, "block": 256, "image_slots": 16},
    }  # fmt: skip
    (tmp_path / "mixed.yaml").write_text(yaml.safe_dump(recipe))
    run = tmp_path / "run"
    curate("build-shards", tmp_path / "mixed.yaml", "--out", run)
    stats = json.loads(curate("stats", run, "--json").output)
    packed = {s["source"]: s for s in stats["shards"]}
    assert set(packed) == {"web", "imported"}
    index = [r for p in (run / "images").glob("*.parquet") for r in pq.read_table(p).to_pylist()]
    imported = [r for r in index if r["origin"].startswith("tar:")]
    assert len(imported) == 20
    assert all(r["rule"] is None for r in imported)
    assert "imported" in curate("stats", run).output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--kind", "pairs", "--url-col", "link"], "no column of addresses named link"),
        (["--image-size", "0"], "--image-size"),
    ],
)
def test_wrong_usage_is_told(curate: Curate, tmp_path: Path, more: list[str], message: str) -> None:
    path = table(tmp_path / "t.parquet", "h.test")
    result = curate(*arguments(path, "h.test", tmp_path / "out"), *more, code=2)
    assert message in result.output


@pytest.mark.parametrize(
    ("kind", "kept", "dropped"),
    [
        ("csv", ["a boat at sea", "a lamp \ufffd\ufffd\ufffd at sea"], {}),
        ("parquet", ["a boat at sea"], {"record.damaged": 1}),
    ],
)
def test_a_caption_with_bytes_of_a_lone_surrogate_costs_no_other_pair(
    curate: Curate, tmp_path: Path, kind: str, kept: list[str], dropped: dict[str, int]
) -> None:
    captions = [b"a lamp \xed\xa0\x80 at sea", b"a boat at sea"]
    out, path = tmp_path / "out", tmp_path / f"t.{kind}"
    with served(Site()) as address:
        urls = [f"http://{address}/good/{number}" for number in range(2)]
        if kind == "csv":
            rows = [b"%s,%s" % (u.encode(), c) for u, c in zip(urls, captions, strict=True)]
            path.write_bytes(b"\n".join([b"url,caption", *rows]) + b"\n")
        else:
            columns = {"url": pa.array(urls), "caption": pa.array(captions).view(pa.string())}
            pq.write_table(pa.table(columns), path)
        curate("fetch-pairs", path, "--out", out, "--allow-host", address, "--image-size", 64)
    assert sorted(held["txt"].decode() for held in samples(out).values()) == kept
    assert json.loads((out / "report.json").read_text())["dropped"] == dropped
    if dropped:
        ledger = pq.read_table(out / "run" / "ledger").to_pylist()
        assert [r["value"] for r in ledger if r["rule"] == "record.damaged"] == [
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xed in position 7: "
            "invalid continuation byte"
        ]
