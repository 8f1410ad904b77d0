"""The same recipe and the same command on every engine: the same bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from curate.commands.common import find_recipe
from curate.demo.crawl import crawl
from curate.demo.server import serve
from curate.demo.site import build_site
from curate.schemas.settings.recipe_file import recipe_to_yaml
from tests.commands import curate, run_command, shard_sums
from tests.conftest import SHARED_DATA, needs_shared_data
from tests.engines.conftest import Input, Started, full

WITHIN_JOB_SERVERS = ("flink", "spark")
ON_CLUSTERS = ("flink-cluster", "spark-cluster")


@pytest.fixture(scope="module")
def demo_input(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Input]:
    """The recipe of `curate demo` over its small web, which is served meanwhile."""
    folder = tmp_path_factory.mktemp("demo")
    with serve(build_site()) as address:
        crawl(address, folder / "demo.warc.gz")
        recipe = find_recipe("demo")
        fetch = recipe.images.fetch.model_copy(update={"allow_hosts": (address,)})
        images = recipe.images.model_copy(update={"fetch": fetch})
        path = folder / "demo.yaml"
        path.write_text(recipe_to_yaml(recipe.model_copy(update={"images": images})))
        yield str(path), "--input", f"{folder}/demo.warc.gz"


@pytest.fixture(scope="module")
def real_input() -> Input:
    return "kosmos1", "--input", f"{SHARED_DATA}/warc/*.warc.gz", "--offline"


@pytest.fixture(scope="module")
def expected() -> dict[Input, dict[str, str]]:
    """Sums of the shards of each input, as `direct` with one worker makes them."""
    return {}


def _built(engines: Started, what: Input, where: str, out: Path) -> dict[str, str]:
    place = engines.place(where)
    scratch = out.with_name(f"{out.name}-scratch")
    scratch.mkdir(parents=True)
    command = curate("build-shards", *what, "--out", out, *place.arguments())
    started = time.monotonic()
    run_command(command, environment={"TMPDIR": str(scratch)})
    # Of a job on a portable engine Beam leaves an empty folder.
    assert not [path for path in scratch.rglob("*") if not path.is_dir()]
    sums = shard_sums(out)
    assert json.loads((out / "run.json").read_text())["runner"] == place.runner
    engines.tell(
        what[0].rsplit("/", 1)[-1].removesuffix(".yaml"),
        where,
        time.monotonic() - started,
        sha256(json.dumps(sums).encode()).hexdigest(),
    )
    return sums


def _check(
    engines: Started,
    expected: dict[Input, dict[str, str]],
    what: Input,
    where: str,
    folder: Path,
) -> None:
    if what not in expected:
        expected[what] = _built(engines, what, "direct-1", folder / "direct-1")
    assert _built(engines, what, where, folder / where) == expected[what]


@pytest.mark.parametrize(
    "where",
    [
        "flink-server-external",
        "spark-server-process",
        *full(
            "flink-server-loopback",
            "flink-server-process",
            "spark-server-loopback",
            "spark-server-external",
        ),
    ],
)
def test_other_ways_to_start_workers(
    engines: Started,
    expected: dict[Input, dict[str, str]],
    prose_input: Input,
    where: str,
    tmp_path: Path,
) -> None:
    _check(engines, expected, prose_input, where, tmp_path)


@pytest.mark.parametrize("where", ["direct-2", "prism", *WITHIN_JOB_SERVERS, *full(*ON_CLUSTERS)])
def test_the_demo(
    engines: Started,
    expected: dict[Input, dict[str, str]],
    demo_input: Input,
    where: str,
    tmp_path: Path,
) -> None:
    _check(engines, expected, demo_input, where, tmp_path)


@needs_shared_data
@pytest.mark.parametrize("where", ["direct-2", "prism", *ON_CLUSTERS, *full(*WITHIN_JOB_SERVERS)])
def test_real_archives(
    engines: Started,
    expected: dict[Input, dict[str, str]],
    real_input: Input,
    where: str,
    tmp_path: Path,
) -> None:
    _check(engines, expected, real_input, where, tmp_path)
