"""The manifests of deploy/: they parse, and the commands in them are commands of curate."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from curate.cli import main

DEPLOY = Path(__file__).parents[1] / "deploy"


def arguments_of_runs() -> list[list[str]]:
    documents = yaml.safe_load_all((DEPLOY / "flink/run.yaml").read_text())
    (job,) = documents
    return [c["args"] for c in job["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda p: p.name)
def test_manifests_parse(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        assert {"kind", "metadata"} <= set(document) or "services" in document


def test_commands_are_understood() -> None:
    for arguments in arguments_of_runs():
        name, *rest = arguments
        context = main.commands[name].make_context(name, rest)
        assert context.params["runner"] == "flink"
        assert context.params["beam_options"]
