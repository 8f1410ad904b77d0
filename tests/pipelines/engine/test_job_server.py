"""What is wrong outside is told in words, before anything is started."""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from curate.cli import main
from curate.pipelines.engine.engine import Engine, EngineError
from curate.pipelines.engine.job_server import job_server
from curate.schemas.errors import CurateError, UsageError


def fake_java(folder: Path, version: str) -> str:
    path = folder / f"java-{version}"
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    path.chmod(0o755)
    return str(path)


@contextmanager
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def refused(runner: str, *options: str) -> CurateError:
    """The error that a job server's checks end in."""
    started = time.monotonic()
    with pytest.raises(CurateError) as caught, job_server(runner, 1, options):
        pass
    assert time.monotonic() - started < 10
    message = str(caught.value)
    assert "\n" not in message
    return caught.value


@pytest.mark.parametrize("runner", ["flink", "spark"])
@pytest.mark.parametrize("version", ["1.8.0_402", "24.0.1"])
def test_another_java(tmp_path: Path, runner: str, version: str) -> None:
    error = refused(runner, f"--job_server_java_launcher={fake_java(tmp_path, version)}")
    assert isinstance(error, EngineError)
    assert f"is Java {version.removeprefix('1.').split('.')[0]}." in str(error)
    assert f"--runner {runner} needs Java 11 to" in str(error)


def test_no_java() -> None:
    error = refused("flink", "--job_server_java_launcher=/nowhere/java")
    assert "'/nowhere/java' can't be run" in str(error)
    assert "needs Java 11 to 21: install it" in str(error)


@pytest.mark.parametrize("runner", ["flink", "spark"])
def test_a_missing_jar(tmp_path: Path, runner: str) -> None:
    java = f"--job_server_java_launcher={fake_java(tmp_path, '17.0.1')}"
    error = refused(runner, java, f"--{runner}_job_server_jar=/nowhere.jar")
    assert isinstance(error, UsageError)
    assert f"--{runner}_job_server_jar=/nowhere.jar does not exist" in str(error)


def test_a_jar_that_can_not_be_fetched(tmp_path: Path) -> None:
    java = f"--job_server_java_launcher={fake_java(tmp_path, '17.0.1')}"
    with listening() as address:  # accepts, and says nothing
        error = refused("spark", java, f"--spark_job_server_jar=http://{address}/server.jar")
    assert f"http://{address}/server.jar can't be fetched" in str(error)
    assert "--spark_job_server_jar=PATH" in str(error)


@pytest.mark.parametrize(
    ("runner", "option"),
    [("flink", "--flink_master=127.0.0.1:9"), ("spark", "--spark_master_url=spark://127.0.0.1:9")],
)
def test_an_unreachable_cluster(tmp_path: Path, runner: str, option: str) -> None:
    error = refused(runner, f"--job_server_java_launcher={fake_java(tmp_path, '17')}", option)
    assert isinstance(error, EngineError)
    assert "a cluster at 127.0.0.1:9 does not answer" in str(error)


def test_a_cluster_elsewhere_needs_workers_there(tmp_path: Path) -> None:
    java = f"--job_server_java_launcher={fake_java(tmp_path, '17')}"
    error = refused("flink", java, "--flink_master=flink.example:8081")
    assert isinstance(error, UsageError)
    assert "say how they start with `-- --environment_type=DOCKER" in str(error)


def test_an_unreachable_job_server() -> None:
    error = refused("flink", "--job_endpoint=127.0.0.1:9")
    assert "a job server at 127.0.0.1:9 does not answer" in str(error)


def test_a_missing_prism() -> None:
    error = refused("prism", "--prism_location=/nowhere/prism")
    assert isinstance(error, UsageError)
    assert "--prism_location=/nowhere/prism does not exist" in str(error)


def test_a_job_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "prism"
    path.write_text("#!/bin/sh\necho 'bind: no such device' >&2\nexit 3\n")
    path.chmod(0o755)
    error = refused("prism", f"--prism_location={path}")
    assert "did not start: bind: no such device" in str(error)


SERVER_WHOSE_FIRST_PORT_IS_TAKEN = """#!{python}
import sys, time
from concurrent import futures
from pathlib import Path

import grpc

tried = Path({tried!r})
port = sys.argv[sys.argv.index("--job_port") + 1]
with tried.open("a") as stream:
    stream.write(port + "\\n")
if len(tried.read_text().split()) == 1:
    sys.exit(0)
server = grpc.server(futures.ThreadPoolExecutor(1))
server.add_insecure_port(f"localhost:{{port}}")
server.start()
time.sleep(60)
"""


def test_another_port_is_tried(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    path = tmp_path / "prism"
    path.write_text(
        SERVER_WHOSE_FIRST_PORT_IS_TAKEN.format(python=sys.executable, tried=str(tried))
    )
    path.chmod(0o755)
    with job_server("prism", 1, [f"--prism_location={path}"]) as endpoint:
        first, second = tried.read_text().split()
        assert first != second
        assert endpoint == f"localhost:{second}"


def test_an_unknown_runner(tmp_path: Path) -> None:
    arguments = ["build-shards", "demo", "--out", str(tmp_path), "--runner", "slurm"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "'slurm' is not one of 'direct', 'prism', 'flink', 'spark', 'dataflow'" in result.output
    with pytest.raises(ValueError, match="runner must be one of direct"):
        Engine(runner="slurm")


@pytest.mark.parametrize("runner", ["flink", "spark"])
def test_what_an_engine_leaves_behind_goes_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str
) -> None:
    """Java takes no notice of TMPDIR by itself."""
    scratch, jar = tmp_path / "scratch", tmp_path / "job-server.jar"
    scratch.mkdir()
    jar.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    java = f"--job_server_java_launcher={fake_java(tmp_path, '17')}"
    error = refused(runner, java, f"--{runner}_job_server_jar={jar}")
    assert f"-Djava.io.tmpdir={scratch}/curate-engine-" in str(error)
    assert not list(scratch.iterdir())
