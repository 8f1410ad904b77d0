"""What users install: a wheel by way of the source archive, alone in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_UV = Path(sys.executable).with_name("uv")
_OTHERS = ("schemas", "filters", "media", "pipelines", "training")
"""Folders of a user that have the names of ours."""


def _run(*command: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    arguments = list(map(str, command))
    done = subprocess.run(arguments, capture_output=True, text=True, env=env, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the locked packages and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(_UV, "build", "--quiet", "--out-dir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    environment = folder / "venv"
    _run(_UV, "venv", "--quiet", "--python", sys.executable, environment)
    given = {**os.environ, "VIRTUAL_ENV": str(environment)}
    lock = ROOT / "lock" / "core.txt"
    _run(_UV, "pip", "install", "--quiet", "--require-hashes", "-r", lock, env=given)
    before = _top_level(environment)
    _run(_UV, "pip", "install", "--quiet", "--no-deps", wheel, env=given)
    assert {n for n in _top_level(environment) - before if "dist-info" not in n} == {"curate"}
    return environment


def _top_level(environment: Path) -> set[str]:
    (packages,) = environment.glob("lib/python*/site-packages")
    return {path.name for path in packages.iterdir()}


def test_the_demo_from_another_folder(installed: Path, tmp_path: Path) -> None:
    for name in _OTHERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    curate = installed / "bin" / "curate"
    _run(curate, "demo", "--out", "out", cwd=tmp_path)
    about = json.loads((tmp_path / "out" / "run" / "run.json").read_text())
    assert about["complete"]
    assert "documents" in _run(curate, "stats", "out/run", cwd=tmp_path)


def test_its_types_are_told(installed: Path) -> None:
    (packages,) = installed.glob("lib/python*/site-packages")
    assert (packages / "curate" / "py.typed").exists()
    assert list((packages / "curate" / "extraction").glob("walk.*.so"))


def test_a_clone_without_links_is_told(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    names = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
    shutil.copytree(ROOT / "curate", clone / "curate", symlinks=True)
    for name in names:
        shutil.copy(ROOT / name, clone / name)
    link = clone / "curate" / "filters"
    link.unlink()
    link.write_text("../filters")
    told = subprocess.run(
        [str(_UV), "build", "--wheel", "--out-dir", str(tmp_path / "dist"), str(clone)],
        capture_output=True,
        text=True,
    )
    assert told.returncode != 0
    assert "curate/filters must be a symbolic link to ../filters" in told.stderr
    assert "core.symlinks=true" in told.stderr
