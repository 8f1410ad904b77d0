"""Real clusters on 127.0.0.1, of the distributions in `.engines`: Flink and Spark."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from curate.pipelines.engine.job_server import OPENED

_OPEN = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED]
_START_SECONDS = 60


@dataclass(frozen=True)
class Engines:
    """What tests/engines/install.sh has put into a folder."""

    root: Path

    @property
    def prism(self) -> Path:
        return self.root / "bin/prism"

    @property
    def boot(self) -> Path:
        return self.root / "bin/boot"

    @property
    def spark_jar(self) -> Path:
        return self.root / "spark-job-server.jar"

    @property
    def flink_jar(self) -> Path:
        return self.root / "flink-job-server.jar"

    def distribution(self, package: str) -> Path:
        """The folder of an installed Python package that carries an engine."""
        (found,) = self.root.glob(f"venv/lib/python*/site-packages/{package}")
        return found


_PORTS = itertools.count(20_000 + os.getpid() % 10_000)
"""Below those that Linux gives to outgoing connections, which would take one before it is used."""


def free_port() -> int:
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@contextmanager
def running(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process of a cluster; it ends with the block, or with whoever runs the tests."""
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "curate.pipelines.engine.tethered", *command],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            # Workers that the process starts leave files where it was started.
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": os.getcwd(), **(environment or {})},
        )
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def wait_for(what: str, is_up: Callable[[], bool], logs: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if is_up():
            return
        time.sleep(0.3)
    told = "\n".join(f"== {p.name}\n{p.read_text()[-2000:]}" for p in sorted(logs.glob("*.log")))
    raise TimeoutError(f"{what} did not come up in {_START_SECONDS} s\n{told}")


def answered(url: str) -> dict[str, object]:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            told: dict[str, object] = json.load(answer)
            return told
    except (urllib.error.URLError, OSError):
        return {}


@contextmanager
def flink_cluster(engines: Engines, folder: Path, slots: int = 2) -> Iterator[str]:
    """A Flink session cluster with one TaskManager; its address, as `--flink_master` takes it."""
    home = engines.distribution("pyflink")
    folder.mkdir(parents=True, exist_ok=True)
    rpc, rest = free_port(), free_port()
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.memory.process.size": "1200m",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.memory.process.size": "2000m",
        "taskmanager.numberOfTaskSlots": slots,
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": rest,
        "io.tmp.dirs": str(folder),
        # Every job brings the jar of the job server; kept for an hour those of a run are 5 GB.
        "blob.service.cleanup.interval": 30,
        # A run is dozens of jobs: Beam's classes are the cluster's, and not loaded anew by each.
        "classloader.resolve-order": "parent-first",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 3,
        "restart-strategy.fixed-delay.delay": "1 s",
    }
    lines = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (folder / "flink-conf.yaml").write_text(lines)
    classes = f"{home}/lib/*:{engines.flink_jar}"
    configured = ["--configDir", str(folder)]
    told = subprocess.run(
        [
            *("java", "-cp", f"{home}/bin/bash-java-utils.jar:{classes}"),
            "org.apache.flink.runtime.util.bash.BashJavaUtils",
            *("GET_TM_RESOURCE_PARAMS", *configured),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    mark = "BASH_JAVA_UTILS_EXEC_RESULT:"
    virtual, dynamic = (
        line.split(mark)[1].split() for line in told.splitlines() if line.startswith(mark)
    )
    package = "org.apache.flink.runtime"
    scratch = [f"-Djava.io.tmpdir={folder}"]
    with ExitStack() as stack:
        manager = f"{package}.entrypoint.StandaloneSessionClusterEntrypoint"
        stack.enter_context(
            running(
                ["java", *_OPEN, *scratch, "-cp", classes, manager, *configured],
                folder / "jobmanager.log",
            )
        )
        worker = f"{package}.taskexecutor.TaskManagerRunner"
        stack.enter_context(
            running(
                ["java", *virtual, *_OPEN, *scratch, "-cp", classes, worker, *configured, *dynamic],
                folder / "taskmanager.log",
            )
        )
        url = f"http://127.0.0.1:{rest}/v1/overview"
        wait_for("Flink", lambda: answered(url).get("slots-total") == slots, folder)
        yield f"127.0.0.1:{rest}"


@contextmanager
def spark_cluster(engines: Engines, folder: Path, workers: int = 2) -> Iterator[str]:
    """A Spark standalone master with workers of one core; its address, as Spark names it."""
    home = engines.distribution("pyspark")
    folder.mkdir(parents=True, exist_ok=True)
    port, web = free_port(), free_port()
    environment = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
    start = [str(home / "bin/spark-class")]
    package = "org.apache.spark.deploy"
    with ExitStack() as stack:
        here = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web)]
        stack.enter_context(
            running([*start, f"{package}.master.Master", *here], folder / "master.log", environment)
        )
        master = f"spark://127.0.0.1:{port}"
        sizes = ["--cores", "1", "--memory", "2g", "--host", "127.0.0.1", "--webui-port", "0"]
        for number in range(workers):
            place = ["--work-dir", str(folder / f"work-{number}")]
            stack.enter_context(
                running(
                    [*start, f"{package}.worker.Worker", *sizes, *place, master],
                    folder / f"worker-{number}.log",
                    environment,
                )
            )
        url = f"http://127.0.0.1:{web}/json/"
        wait_for("Spark", lambda: answered(url).get("aliveworkers") == workers, folder)
        yield master


@contextmanager
def job_server_of(engines: Engines, engine: str, master: str, folder: Path) -> Iterator[str]:
    """A job server that several commands use, and its address; one Spark application for all."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    jar = engines.spark_jar if engine == "spark" else engines.flink_jar
    option = "--spark-master-url" if engine == "spark" else "--flink-master"
    command = [
        "java",
        *_OPEN,
        f"-Djava.io.tmpdir={folder}",
        "-Dbeam.spark.test.reuseSparkContext=true",
        "-jar",
        str(jar),
    ]
    command += [option, master, "--artifacts-dir", str(folder / "artifacts")]
    command += ["--job-port", str(port), "--artifact-port", "0", "--expansion-port", "0"]
    with running(command, folder / "job-server.log"):
        wait_for(f"the job server of {engine}", lambda: is_open(port), folder)
        yield f"127.0.0.1:{port}"


def is_open(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def stock_worker_pool(folder: Path) -> Iterator[str]:
    """Beam's own worker pool; its address, as `--environment_config` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with running([*command, f"--service_port={port}"], folder / "pool.log", environment):
        wait_for("the worker pool", lambda: is_open(port), folder)
        yield f"127.0.0.1:{port}"
