"""Inputs and outputs on an object store: no rename, no half file, and a store that has bad days."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest

from curate.runs.part import done_parts, marker_path
from curate.runs.run_directory import RunDirectory
from curate.runs.run_lock import only_one
from tests.commands import curate, run_curate, start
from tests.conftest import write_warc
from tests.curate.conftest import crawl
from tests.engines.conftest import Started, full
from tests.engines.object_store import Store, s3_store

BUCKET = "crawls"


@pytest.fixture(scope="module")
def store(engines: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    with s3_store(engines.engines, folder) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir(BUCKET)
        yield found


@pytest.fixture(scope="module")
def inputs(store: Store, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two archives in the store; the glob that names them."""
    folder = tmp_path_factory.mktemp("crawl")
    for part in range(2):
        archive = write_warc(folder / f"crawl-{part}.warc.gz", crawl(part))
        fsspec.filesystem("s3").put_file(str(archive), f"{BUCKET}/warc/{archive.name}")
    return f"s3://{BUCKET}/warc/*.warc.gz"


@pytest.fixture(scope="module")
def whole(inputs: str, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sums of the shards that a disk gets of the same input."""
    out = tmp_path_factory.mktemp("disk") / "out"
    run_curate("build-shards", recipe, "--input", inputs, "--out", out)
    return sums(str(out))


def sums(root: str) -> dict[str, str]:
    run = RunDirectory(root)
    return {
        path: sha256(data).hexdigest()
        for path in run.files("shards")
        for data in run.read_many([path])
    }


@pytest.mark.parametrize("where", ["direct-2", "flink", *full("direct-1", "spark")])
def test_in_and_out(
    engines: Started, store: Store, inputs: str, recipe: Path, whole: dict[str, str], where: str
) -> None:
    out = f"s3://{BUCKET}/run-{where}"
    place = engines.place(where).arguments()
    run_curate("build-shards", recipe, "--input", inputs, "--out", out, *place)
    assert sums(out) == whole
    assert "documents" in run_curate("stats", out)
    said = run_curate("build-shards", recipe, "--input", inputs, "--out", out, *place)
    assert "parts" not in said.split("shards of")[0]


def test_some_requests_are_answered_with_503(
    store: Store, inputs: str, recipe: Path, whole: dict[str, str]
) -> None:
    out = f"s3://{BUCKET}/run-flaky"
    store.behave(every=30)
    try:
        run_curate("build-shards", recipe, "--input", inputs, "--out", out, "--workers", 2)
        assert store.refused > 10
    finally:
        store.behave()
    assert sums(out) == whole


@pytest.mark.parametrize("allowed", [250, pytest.param(60, marks=pytest.mark.full)])
def test_the_store_goes_away(
    store: Store, inputs: str, recipe: Path, whole: dict[str, str], allowed: int
) -> None:
    out = f"s3://{BUCKET}/run-{allowed}"
    command = ["build-shards", recipe, "--input", inputs, "--out", out, "--workers", 2]
    store.behave(allowed=allowed)
    try:
        said = run_curate(*command, code=1)
    finally:
        store.behave()
    assert "Service Unavailable" in said or "Please try again" in said
    assert "curate: stage " in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    run_curate(*command)
    assert sums(out) == whole


def test_two_builds_into_one_place(
    store: Store, inputs: str, recipe: Path, whole: dict[str, str]
) -> None:
    """One that lives keeps it, and is named; one that was killed does not."""
    out = f"s3://{BUCKET}/run-held"
    build = ("build-shards", recipe, "--input", inputs, "--out", out)
    with only_one(RunDirectory(out)) as hold:
        with pytest.raises(FileExistsError):
            RunDirectory(out).create(b"{}", "lease/00000001.json")
        said = run_curate(*build, code=1)
        assert f"{out} is in use by another command (process {os.getpid()} on " in said
        hold.require_held()
    process = start(curate(*build), stderr=subprocess.STDOUT)
    while not RunDirectory(out).files("lease"):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert RunDirectory(out).files("lease") == ["lease/00000001.json"]
    run_curate(*build)
    assert RunDirectory(out).files("lease") == []
    assert sums(out) == whole


def test_a_missing_bucket_is_told_at_once(
    store: Store, inputs: str, recipe: Path, tmp_path: Path
) -> None:
    started = time.monotonic()
    said = run_curate(
        "build-shards", recipe, "--input", inputs, "--out", "s3://nowhere/run", code=2
    )
    assert "there is no bucket 'nowhere'" in said
    said = run_curate(
        "build-shards", recipe, "--input", "s3://nowhere/*.gz", "--out", tmp_path / "o", code=2
    )
    assert "no file matches 's3://nowhere/*.gz'" in said
    assert time.monotonic() - started < 20


def test_a_bucket_of_which_only_a_folder_is_granted(
    store: Store, inputs: str, recipe: Path, whole: dict[str, str]
) -> None:
    out = f"s3://{BUCKET}/granted/run"
    store.behave(bucket_hidden=True)
    try:
        run_curate("build-shards", recipe, "--input", inputs, "--out", out)
        assert store.denied > 0
    finally:
        store.behave()
    assert sums(out) == whole


def test_an_unreachable_store_is_told_in_seconds(
    inputs: str, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    started = time.monotonic()
    said = run_curate(
        "build-shards", recipe, "--input", "none", "--out", f"s3://{BUCKET}/run", code=2
    )
    assert "can't be asked" in said
    assert time.monotonic() - started < 10


def test_ten_thousand_parts_are_listed(store: Store) -> None:
    run = RunDirectory(f"s3://{BUCKET}/many")
    names = {f"web/part-{number:05d}" for number in range(10_000)}
    filesystem = fsspec.filesystem("s3")
    filesystem.pipe({f"{run.path(marker_path('documents', name))}": b"{}" for name in names})
    started = time.monotonic()
    assert done_parts(run, "documents") == names
    assert time.monotonic() - started < 60


def test_a_large_file_goes_in_pieces(store: Store) -> None:
    run = RunDirectory(f"s3://{BUCKET}/large")
    data = bytes(range(256)) * (440 << 10)
    store.behave()
    run.write_bytes(data, "shards/one.arrow")
    assert store.requests > 2
    with run.open("shards/one.arrow") as stream:
        assert sha256(stream.read()).digest() == sha256(data).digest()
    assert run.size("shards/one.arrow") == len(data)
