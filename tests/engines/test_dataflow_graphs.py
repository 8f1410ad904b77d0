"""Dataflow's own runner builds and checks the job graphs, without credentials and without a job."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.conftest import ENGLISH, html_page, write_warc

_PYTHON = Path(__file__).parents[2] / ".venv-gcp/bin/python"
_OPTIONS = (
    "--project=my-project",
    "--region=us-central1",
    "--temp_location=gs://bucket/tmp",
    "--sdk_container_image=registry/curate:1",
    "--max_num_workers=100",
    "--experiments=use_runner_v2",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an archive that is not on this machine's disk, as Dataflow sees it."""
    folder = tmp_path_factory.mktemp("served")
    write_warc(folder / "one.warc.gz", [html_page("http://h.test/", f"<p>{ENGLISH[0]}</p>" * 9)])
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/one.warc.gz"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


def run(*arguments: object, code: int = 0) -> str:
    command = [str(_PYTHON), "-m", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def test_a_dry_run_tells_the_graphs(archive: str, tmp_path: Path) -> None:
    recipe = {
        "name": "r",
        "sources": {"web": {"format": "interleaved"}},
        "dedup": {},
        "filters": {"clip": {"weights": "weights.pt", "min_text_similarity": 0.1}},
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    hint = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
    command = ["curate.cli", "build-shards", tmp_path / "r.yaml", "--input", archive]
    command += ["--out", "gs://bucket/run", "--runner", "dataflow", "--accelerator", hint]
    told = json.loads(run(*command, "--dry-run", "--json", "--", *_OPTIONS))
    graphs = {graph["stage"]: graph for graph in told["graphs"]}
    assert set(graphs) == {"documents", "signatures", "image-scores", "selection"}
    assert graphs["documents"]["steps"] == ["Tasks", "Make documents"]
    assert graphs["image-scores"]["hints"] == [f"accelerator={hint}"]
    for graph in told["graphs"]:
        assert graph["image"] == "registry/curate:1"
        assert 1_000 < graph["proto_bytes"] < 100_000
    assert "shards" in told["later"]
    assert "Make documents" in run(*command, "--dry-run", "--", *_OPTIONS)


def test_a_template_submits_the_first_stage(archive: str) -> None:
    given = ["--recipe=fineweb", f"--input={archive}", "--out=gs://bucket/run"]
    said = run("curate.flex_template", *given, *_OPTIONS, "--dry_run=True", "--no_auth")
    assert "submitted: 1 archives to gs://bucket/run/documents" in said
    said = run("curate.flex_template", *given, "--project=p", code=2)
    assert "--region is missing" in said


def test_the_template_asks_for_what_the_launcher_takes() -> None:
    spec = json.loads(Path("deploy/dataflow/flex-template.json").read_text())
    names = {parameter["name"] for parameter in spec["metadata"]["parameters"]}
    assert names == {"recipe", "input", "out"}
    assert spec["sdkInfo"] == {"language": "PYTHON"}
