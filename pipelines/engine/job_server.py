"""Job servers of the portable engines: checks first, then one server for the whole command.

Beam's own Flink runner starts a Java process for every pipeline; a run has dozens of them. What can
be wrong outside (no Java, another Java, no jar, no cluster) is found before anything is started,
and told in words.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    SparkRunnerOptions,
)
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES, FlinkJarJobServer
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.runners.portability.spark_runner import SparkJarJobServer
from apache_beam.utils.subprocess_server import pick_port

from curate.pipelines.engine.worker_pool import EngineError
from curate.pipelines.engine.worker_processes import names_environment
from curate.schemas.errors import UsageError
from curate.schemas.processes import python_module, safe_environment

_JAVA_VERSIONS = {"flink": (11, 21), "spark": (11, 17)}
OPENED = (
    "java.io java.lang java.lang.invoke java.lang.reflect java.net java.nio java.time java.util "
    "java.util.concurrent java.util.concurrent.atomic jdk.internal.ref sun.nio.ch sun.nio.cs "
    "sun.security.action sun.util.calendar"
).split()
"""Packages of java.base that Spark 3.5 and Flink reach into (Spark's JavaModuleOptions)."""
_CONNECT_SECONDS = 5.0
_START_SECONDS = 120.0
_PORTS = 3
"""Ports that are tried."""


class _EndedError(EngineError):
    """A job server ended by itself before it came up."""


@contextmanager
def job_server(runner: str, workers: int, given: Sequence[str]) -> Iterator[str]:
    """The address of a job server for `runner`, up until the end of the block.

    Args:
        runner: `prism`, `flink` or `spark`.
        workers: how wide an engine within the server is.
        given: the user's Beam options.

    Raises:
        UsageError: an option names something that is not there.
        EngineError: Java, the jar or the cluster is not to be had.
    """
    options = PipelineOptions(list(given))
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint:
        _require_reachable(endpoint, "--job_endpoint", "a job server")
        yield endpoint
        return
    with tempfile.TemporaryDirectory(prefix="curate-engine-") as scratch, ExitStack() as stack:
        for remaining in reversed(range(_PORTS)):
            options = PipelineOptions(list(given))
            settings = options.view_as(JobServerOptions)
            chosen = settings.job_port
            settings.job_port = chosen or pick_port(None)[0]
            settings.artifacts_dir = settings.artifacts_dir or scratch
            if runner == "prism":
                command = _prism_command(options)
            else:
                command = _java_command(runner, workers, options, given, scratch)
            try:
                stack.enter_context(_serving(runner, command, settings.job_port))
            except _EndedError:
                # Any connection of this machine may have taken the port since it was picked, and
                # the servers end then without a word.
                if chosen or not remaining:
                    raise
            else:
                break
        yield f"localhost:{settings.job_port}"


def _prism_command(options: PipelineOptions) -> list[str]:
    settings = options.view_as(PrismRunnerOptions)
    settings.prism_location = settings.prism_location or shutil.which("prism")
    location = settings.prism_location
    if location and not Path(location).exists() and not urlsplit(location).scheme:
        raise UsageError(
            f"--prism_location={location} does not exist. Give the path of a prism binary, or put "
            "`prism` on the PATH: `go install github.com/apache/beam/sdks/v2/go/cmd/prism@latest`."
        )
    server = PrismJobServer(options)
    if not location or urlsplit(location).scheme:
        _require_download(server.path_to_binary(), server.BIN_CACHE, "--prism_location=PATH")
    command, _ = server.subprocess_cmd_and_endpoint()
    return [str(word) for word in command]


def _java_command(
    runner: str, workers: int, options: PipelineOptions, given: Sequence[str], scratch: str
) -> list[str]:
    settings = options.view_as(JobServerOptions)
    _require_java(settings.job_server_java_launcher, runner)
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED]
    # What an engine leaves behind there is as large as its jar, and goes with the command.
    temporary = f"-Djava.io.tmpdir={scratch}"
    settings.job_server_jvm_properties = [*opened, temporary, *settings.job_server_jvm_properties]
    server: FlinkJarJobServer | SparkJarJobServer
    if runner == "flink":
        flink = options.view_as(FlinkRunnerOptions)
        if flink.flink_master in MAGIC_HOST_NAMES:
            flink.flink_master = "[local]"
        else:
            _require_cluster(flink.flink_master, "--flink_master", 8081, given)
        jar, option = flink.flink_job_server_jar, "--flink_job_server_jar"
        _require_file(jar, option)
        server = FlinkJarJobServer(options)
    else:
        spark = options.view_as(SparkRunnerOptions)
        if not any(o.startswith("--spark_master_url") for o in given):
            spark.spark_master_url = f"local[{workers}]"
        elif spark.spark_master_url.startswith("spark://"):
            _require_cluster(spark.spark_master_url, "--spark_master_url", 7077, given)
        jar, option = spark.spark_job_server_jar, "--spark_job_server_jar"
        _require_file(jar, option)
        # One context for all pipelines of the command: an application of Spark's, started once.
        settings.job_server_jvm_properties.append("-Dbeam.spark.test.reuseSparkContext=true")
        server = SparkJarJobServer(options)
    if not jar or urlsplit(jar).scheme:
        cache = settings.jar_cache_dir or "~/.apache_beam/cache/jars"
        _require_download(server.path_to_jar(), os.path.expanduser(cache), f"{option}=PATH")
    command, _ = server.subprocess_cmd_and_endpoint()
    return [str(word) for word in command]


def _require_java(launcher: str, runner: str) -> None:
    least, most = _JAVA_VERSIONS[runner]
    wanted = (
        f"--runner {runner} needs Java {least} to {most}: install it, or give its path with "
        "`-- --job_server_java_launcher=PATH`."
    )
    try:
        told = subprocess.run(
            [launcher, "-version"], capture_output=True, text=True, timeout=8, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{launcher!r} can't be run: {error}. {wanted}") from error
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    if found is None or not least <= int(found[1]) <= most:
        version = found[1] if found else (told.stderr + told.stdout).strip()[:80]
        raise EngineError(f"{launcher!r} is Java {version}. {wanted}")


def _require_file(path: str | None, option: str) -> None:
    if path and not urlsplit(path).scheme and not Path(path).is_file():
        raise UsageError(
            f"{option}={path} does not exist. Give the path of the job server's jar, or leave the "
            "option out and Beam fetches the one of its own version."
        )


def _require_download(url: str, cache: str, option: str) -> None:
    """Find out in seconds whether Beam will be able to fetch a file that it does not hold yet."""
    if not urlsplit(url).scheme or Path(cache, url.rsplit("/", 1)[-1]).exists():
        return
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_SECONDS):
            return
    except (urllib.error.URLError, OSError) as error:
        raise EngineError(
            f"{url} can't be fetched: {error}. Put the file there where Beam keeps it ({cache}), "
            f"or give one with `-- {option}`."
        ) from error


def _require_cluster(master: str, option: str, port: int, given: Sequence[str]) -> None:
    hosts = re.sub(r"^\w+://", "", master).rstrip("/").split(",")
    addresses = [host if ":" in host else f"{host}:{port}" for host in hosts]
    if not names_environment(given) and not all(_is_here(a.split(":")[0]) for a in addresses):
        raise UsageError(
            f"{option}={master} is on other machines, where curate's workers are to run: say how "
            "they start with `-- --environment_type=DOCKER --environment_config=IMAGE` (or "
            "PROCESS, or EXTERNAL). docs/engines.md shows each."
        )
    errors = []
    for address in addresses:
        try:
            _require_reachable(address, option, "a cluster")
        except EngineError as error:
            errors.append(error)
    if len(errors) == len(addresses):
        raise errors[0]


def _is_here(host: str) -> bool:
    try:
        return all(found[4][0] in ("127.0.0.1", "::1") for found in socket.getaddrinfo(host, None))
    except OSError:
        return False


def _require_reachable(address: str, option: str, what: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{option}: {what} at {address} does not answer ({error}). "
            "Start it, or check host and port."
        ) from error


@contextmanager
def _serving(runner: str, command: list[str], port: int) -> Iterator[None]:
    """Run a job server until the end of the block; it ends with this process in any case.

    Raises:
        EngineError: it did not come up; its last words are in the message. An `_EndedError` if it
            ended by itself.
    """
    process = subprocess.Popen(
        [*python_module("curate.pipelines.engine.tethered"), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=safe_environment(),
    )
    words: deque[str] = deque(maxlen=5)
    assert process.stdout is not None
    Thread(target=words.extend, args=(process.stdout,), daemon=True).start()
    try:
        _wait_until_up(runner, process, command, port, words)
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def _wait_until_up(
    runner: str,
    process: subprocess.Popen[str],
    command: list[str],
    port: int,
    words: deque[str],
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        ready = grpc.channel_ready_future(channel)
        while time.monotonic() < deadline:
            try:
                ready.result(timeout=0.2)
            except grpc.FutureTimeoutError:
                if process.poll() is None:
                    continue
            else:
                return
            break
    last = " ".join(" ".join(words).split()) or "it said nothing"
    kind = EngineError if process.poll() is None else _EndedError
    raise kind(
        f"the job server of --runner {runner} did not start: {last[-400:]}. The command was "
        f"{' '.join(command)}"
    )
