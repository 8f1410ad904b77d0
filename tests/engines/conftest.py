"""The engines as pytest sees them: a runner, its options, and what has to be started for it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import yaml

from tests.conftest import ENGLISH, html_page, write_warc
from tests.engines.clusters import (
    Engines,
    flink_cluster,
    job_server_of,
    spark_cluster,
    stock_worker_pool,
)

FOLDER = os.environ.get("CURATE_ENGINES")
IS_FULL = "CURATE_ENGINES_FULL" in os.environ

_LOG_END = 2000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if FOLDER is None:
            reason = "needs Spark, Flink and Prism: run `make test-engines`"
            item.add_marker(pytest.mark.skip(reason=reason))
        elif not IS_FULL and item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="run `make test-engines-full`"))


def full(*names: str) -> list[Any]:
    """Parameters that only the full matrix has."""
    return [pytest.param(name, marks=pytest.mark.full) for name in names]


@dataclass(frozen=True)
class Place:
    """Where a run goes: arguments of `build-shards` before and after the `--`."""

    runner: str
    workers: int = 2
    beam_options: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        beam = ["--", *self.beam_options] if self.beam_options else []
        return ["--runner", self.runner, "--workers", str(self.workers), *beam]


class Started:
    """Clusters, each started when it is first asked for and kept for the session."""

    def __init__(self, engines: Engines, folder: Path, stack: ExitStack) -> None:
        self.engines = engines
        self._folder = folder
        self._stack = stack
        self._addresses: dict[str, str] = {}
        self.told: list[tuple[str, str, float, str]] = []
        """Of every run: input, engine, seconds, sum of the shards' sums."""

    def tell(self, what: str, where: str, seconds: float, digest: str) -> None:
        self.told.append((what, where, seconds, digest))

    def versions(self) -> str:
        spark = self.engines.distribution("pyspark") / "version.py"
        flink = self.engines.distribution("pyflink") / "version.py"
        found = [
            re.search(r"__version__[^=]*= ['\"]([^'\"]+)", path.read_text())
            for path in (spark, flink)
        ]
        beam_of_jars = re.search(
            r"<beam.version>([^<]+)", Path(__file__).with_name("pom.xml").read_text()
        )
        assert found[0] is not None
        assert found[1] is not None
        assert beam_of_jars is not None
        java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
        return (
            f"Beam {beam.__version__} (Python), {beam_of_jars[1]} (job servers); "
            f"Spark {found[0][1]}, Flink {found[1][1]}, Prism {beam.__version__}; "
            f"{java.stderr.splitlines()[0]}; Python {platform.python_version()}"
        )

    def logs_since(self, moment: float) -> list[tuple[str, str]]:
        """The ends of the logs that clusters have written to since, by file name."""
        # os.walk passes over a folder that goes away under it: those of jobs do.
        logs = [
            Path(folder, name)
            for folder, _, names in os.walk(self._folder)
            for name in names
            if name.endswith(".log") or name == "stderr"
        ]
        return [
            (str(path.relative_to(self._folder)), path.read_text(errors="replace")[-_LOG_END:])
            for path in sorted(logs)
            if path.stat().st_mtime >= moment
        ]

    def _once(self, name: str, start: Callable[[], object]) -> str:
        if name not in self._addresses:
            self._addresses[name] = str(self._stack.enter_context(start()))  # type: ignore[arg-type]
        return self._addresses[name]

    def flink(self) -> tuple[str, ...]:
        master = self._once("flink", lambda: flink_cluster(self.engines, self._folder / "flink"))
        return (f"--flink_master={master}", f"--flink_job_server_jar={self.engines.flink_jar}")

    def spark(self) -> tuple[str, ...]:
        master = self._once("spark", lambda: spark_cluster(self.engines, self._folder / "spark"))
        return (f"--spark_master_url={master}", f"--spark_job_server_jar={self.engines.spark_jar}")

    def server(self, engine: str) -> tuple[str, ...]:
        """The options for a job server that runs already, and has a cluster behind it."""
        folder = self._folder / f"{engine}-server"
        if engine == "flink":
            master = self.flink()[0].split("=", 1)[1]
        else:
            # Its application keeps all cores of its cluster for as long as the server runs.
            master = self._once("spark-2", lambda: spark_cluster(self.engines, folder / "cluster"))
        address = self._once(
            f"{engine}-server", lambda: job_server_of(self.engines, engine, master, folder)
        )
        return (f"--job_endpoint={address}",)

    def environment(self, kind: str) -> tuple[str, ...]:
        """The options for workers of a kind, other than the pool that `curate` starts."""
        if kind == "loopback":
            return ("--environment_type=LOOPBACK",)
        if kind == "external":
            address = self._once("pool", lambda: stock_worker_pool(self._folder / "pool"))
            return ("--environment_type=EXTERNAL", f"--environment_config={address}")
        assert kind == "process"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        started = {
            "command": str(self.engines.boot),
            "env": {"PATH": path, "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1"},
        }
        return ("--environment_type=PROCESS", f"--environment_config={json.dumps(started)}")

    def place(self, name: str) -> Place:
        """A place by name: `direct-1`, `prism`, `flink`, `spark-cluster-process`."""
        engine, *more = name.split("-")
        if engine == "direct":
            return Place("direct", int(more[0]))
        if engine == "prism":
            options: tuple[str, ...] = (f"--prism_location={self.engines.prism}",)
        elif "server" in more:
            options = self.server(engine)
        elif "cluster" in more:
            options = self.flink() if engine == "flink" else self.spark()
        elif engine == "flink":
            options = (f"--flink_job_server_jar={self.engines.flink_jar}",)
        else:
            options = (f"--spark_job_server_jar={self.engines.spark_jar}",)
        if more and more[-1] not in ("cluster", "server"):
            options += self.environment(more[-1])
        return Place(engine, beam_options=options)


_STARTED: list[Started] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the clusters said meanwhile goes into the report of a test that failed."""
    report = yield
    if report.failed:
        for started in _STARTED:
            report.sections += started.logs_since(call.start)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for started in _STARTED:
        terminalreporter.section("engines")
        terminalreporter.line(started.versions())
        for what, where, seconds, digest in started.told:
            terminalreporter.line(f"{what:<10} {where:<24} {seconds:5.0f} s  {digest[:16]}")


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    assert FOLDER is not None
    with ExitStack() as stack:
        started = Started(
            Engines(Path(FOLDER).absolute()), tmp_path_factory.mktemp("clusters"), stack
        )
        _STARTED.append(started)
        yield started


Input = tuple[str, ...]
"""Arguments of `build-shards` that say what to build, from what."""


@pytest.fixture(scope="session")
def prose_input(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """Text alone, from two archives."""
    folder = tmp_path_factory.mktemp("prose")
    for number in range(2):
        pages = [
            html_page(f"http://site.test/{number}/{i}.html", f"<p>{line}</p>" * (3 + i))
            for i, line in enumerate(ENGLISH)
        ]
        write_warc(folder / f"{number}.warc.gz", pages)
    recipe = {
        "name": "prose",
        "sources": {"prose": {"format": "text"}},
        "tokenization": {"vocabulary": 100, "block": 128, "shard_documents": 4},
    }
    path = folder / "prose.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return str(path), "--input", f"{folder}/*.warc.gz"


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents and text of archives, and the images that lie in them."""
    path = tmp_path_factory.mktemp("recipe") / "stored.yaml"
    settings = {
        "name": "stored",
        "sources": {"web": {"format": "interleaved"}, "prose": {"format": "text"}},
        "images": {"size": 64, "fetch": {"enabled": False}},
        "tokenization": {"vocabulary": 300, "block": 256, "image_slots": 16, "shard_documents": 9},
    }
    path.write_text(yaml.safe_dump(settings))
    return path
