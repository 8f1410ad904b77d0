"""Inputs and outputs on Google Cloud Storage, as a run on Dataflow has them."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.commands import run_command, shard_sums
from tests.conftest import write_warc
from tests.curate.conftest import crawl
from tests.engines.conftest import Started
from tests.engines.object_store import Store, google_store

_CURATE = Path(__file__).parents[2] / ".venv-gcp/bin/curate"
BUCKET = "crawls"
INPUT = f"gs://{BUCKET}/warc/*.warc.gz"


@pytest.fixture(scope="module")
def store(engines: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("google")
    archives = folder / "buckets" / BUCKET / "warc"
    archives.mkdir(parents=True)
    for part in range(2):
        write_warc(archives / f"crawl-{part}.warc.gz", crawl(part))
    with google_store(engines.engines, folder / "buckets", folder) as found:
        yield found


@pytest.fixture(scope="module")
def whole(store: Store, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sums of the shards that a disk gets of the same input."""
    out = tmp_path_factory.mktemp("disk") / "out"
    run(store, "build-shards", recipe, "--input", INPUT, "--out", out)
    return shard_sums(out)


def run(store: Store, *arguments: object, code: int = 0) -> str:
    """Run `curate` with Google's clients to its end; what it printed."""
    command = [str(_CURATE), *map(str, arguments)]
    return run_command(command, code=code, environment=store.environment)


def sums(store: Store, out: str) -> dict[str, str]:
    """As `shard_sums`, asked of the store itself."""
    prefix = out.removeprefix(f"gs://{BUCKET}/") + "/"
    objects = f"{store.gateway}/storage/v1/b/{BUCKET}/o"
    found: dict[str, str] = {}
    query = urlencode({"prefix": f"{prefix}shards/"})
    for item in json.loads(_get(f"{objects}?{query}"))["items"]:
        name = item["name"]
        data = _get(f"{objects}/{quote(name, safe='')}?alt=media")
        found[name.removeprefix(prefix)] = sha256(data).hexdigest()
    return found


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
    return data


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.full)])
def test_in_and_out(store: Store, recipe: Path, whole: dict[str, str], workers: int) -> None:
    out = f"gs://{BUCKET}/run-{workers}"
    command = ["build-shards", recipe, "--input", INPUT, "--out", out, "--workers", workers]
    run(store, *command)
    assert sums(store, out) == whole
    assert "documents" in run(store, "stats", out)
    assert "parts" not in run(store, *command).split("shards of")[0]


def test_some_requests_are_answered_with_503(
    store: Store, recipe: Path, whole: dict[str, str]
) -> None:
    out = f"gs://{BUCKET}/run-flaky"
    store.behave(every=60)
    try:
        run(store, "build-shards", recipe, "--input", INPUT, "--out", out, "--workers", 2)
        assert store.refused > 10
    finally:
        store.behave()
    assert sums(store, out) == whole


@pytest.mark.full
def test_the_store_goes_away(store: Store, recipe: Path, whole: dict[str, str]) -> None:
    """Google's client tries again for two minutes before it gives up."""
    out = f"gs://{BUCKET}/run-gone"
    command = ["build-shards", recipe, "--input", INPUT, "--out", out, "--workers", 2]
    store.behave(allowed=250)
    try:
        said = run(store, *command, code=1)
    finally:
        store.behave()
    assert "Please try again" in said
    assert "curate: stage " in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    run(store, *command)
    assert sums(store, out) == whole


def test_a_place_is_given_to_one_alone(store: Store) -> None:
    code = (
        "import sys; from curate.pipelines.engine.beam_logs import quiet_beam\n"
        "from curate.runs.run_directory import RunDirectory as Run\n"
        "from curate.runs.run_lock import _create, _this_process\n"
        "run, holders = Run(sys.argv[1]), [_this_process() for _ in range(3)]\n"
        "with quiet_beam():  # as the command does: gcsfs tells of every anonymous request\n"
        "    print([_create(run, 1, holder) for holder in [*holders, holders[0]]])"
    )
    command = [str(_CURATE.with_name("python")), "-c", code, f"gs://{BUCKET}/run-held"]
    said = run_command(command, environment=store.environment)
    assert said.splitlines()[-1] == "[True, False, False, True]"


def test_a_missing_bucket_is_told_at_once(store: Store, recipe: Path) -> None:
    started = time.monotonic()
    said = run(store, "build-shards", recipe, "--input", INPUT, "--out", "gs://nowhere/run", code=2)
    assert "there is no bucket 'nowhere'" in said
    assert time.monotonic() - started < 10
