"""Inputs that change between two calls, or while they are read: told, never mixed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from tests.conftest import ENGLISH
from tests.curate.conftest import shard_bytes

Curate = Callable[..., Result]


def lines(tag: str, count: int = 60) -> str:
    return "".join(
        json.dumps({"id": f"{tag}{n}", "text": f"{ENGLISH[n % 4]} Note {n:05d} of {tag}."}) + "\n"
        for n in range(count)
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    for tag in "abc":
        (tmp_path / "given" / f"{tag}.jsonl").write_text(lines(tag))
    path = tmp_path / "recipe.yaml"
    source = {"kind": "jsonl", "format": "text", "paths": [str(tmp_path / "given")]}
    settings = {"vocabulary": 300, "block": 256}
    path.write_text(
        yaml.safe_dump({"name": "r", "sources": {"c": source}, "tokenization": settings})
    )
    return path


@pytest.mark.parametrize("until", ["documents", "shards"])
@pytest.mark.parametrize(
    ("place", "keep_time", "told"),
    [(0, False, "content"), (0, True, "content"), (-60, True, "content"), (None, False, "written")],
)
def test_a_file_edited_in_place_is_refused(
    curate: Curate,
    recipe: Path,
    tmp_path: Path,
    place: int | None,
    keep_time: bool,
    told: str,
    until: str,
) -> None:
    build = ("build-shards", recipe, "--out", tmp_path / "out", "--until", until)
    curate(*build)
    path = tmp_path / "given" / "b.jsonl"
    before = path.stat()
    data = bytearray(path.read_bytes())
    if place is not None:
        data[place + 10] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (0 if keep_time else 10**9)))
    shown = curate(*build, code=1).output
    assert "b.jsonl" in shown
    assert told in shown
    assert "new --out" in shown
    if place is None:
        subprocess.run(
            f"touch -d {shown.split('touch -d ')[1].splitlines()[0]}", shell=True, check=True
        )
        curate(*build)


def test_a_file_of_another_size_is_named(curate: Curate, recipe: Path, tmp_path: Path) -> None:
    build = ("build-shards", recipe, "--out", tmp_path / "out", "--until", "documents")
    curate(*build)
    (tmp_path / "given" / "c.jsonl").write_text(lines("c", 61))
    assert "c.jsonl" in (shown := curate(*build, code=1).output)
    assert "bytes and had" in shown


def test_inputs_that_moved_are_the_same(curate: Curate, recipe: Path, tmp_path: Path) -> None:
    build = ("build-shards", recipe, "--out", tmp_path / "out")
    curate(*build, "--until", "documents")
    shutil.copytree(tmp_path / "given", tmp_path / "elsewhere", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "given")
    curate(*build, "--input", tmp_path / "elsewhere")
    curate("build-shards", recipe, "--input", tmp_path / "elsewhere", "--out", tmp_path / "new")
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "new")


@pytest.mark.parametrize("change", ["shrink", "grow"])
def test_a_file_that_changes_while_it_is_read(recipe: Path, tmp_path: Path, change: str) -> None:
    """It is a large one, so that it changes in the middle of the reading."""
    path = tmp_path / "given" / "b.jsonl"
    path.write_text(lines("b", 60_000))
    command = [sys.executable, "-P", "-m", "curate.cli", "build-shards", str(recipe)]
    command += ["--out", str(tmp_path / "out"), "--until", "documents"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        marker = tmp_path / "out" / "stages" / "documents" / "c" / "part-00001.json"
        deadline = time.monotonic() + 60
        while not _is_begun(tmp_path / "out") and time.monotonic() < deadline:
            time.sleep(0.01)
        with path.open("r+b") as stream:
            if change == "shrink":
                stream.truncate(path.stat().st_size // 2)
            else:
                stream.seek(0, os.SEEK_END)
                stream.write(b"{}\n")
        told = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 1, told
    assert "b.jsonl changed while the run reads it" in " ".join(told.split())
    assert not marker.exists()


def _is_begun(out: Path) -> bool:
    return any("part-00001" in path.name for path in (out / "documents").rglob("*"))


def test_other_files_of_the_recipe_are_named_when_they_change(
    curate: Curate, recipe: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": name, "text": ENGLISH[0]}) + "\n")
    (tmp_path / "domains.txt").write_text("bad.test\n")
    settings = {**yaml.safe_load(recipe.read_text()), "dedup": {}}
    recipe.write_text(yaml.safe_dump(settings))
    curate("build-shards", recipe, "--out", tmp_path / "earlier", "--until", "signatures")
    settings["decontamination"] = {"benchmarks": [f"{tmp_path}/one.jsonl", f"{tmp_path}/two.jsonl"]}
    settings["filters"] = {"url": {"blocked_domains": [f"{tmp_path}/domains.txt"]}}
    settings["dedup"] = {"against": [str(tmp_path / "earlier")]}
    recipe.write_text(yaml.safe_dump(settings))
    build = ("build-shards", recipe, "--out", tmp_path / "out", "--until", "documents")
    curate(*build)
    changes = {
        "decontamination.benchmarks": tmp_path / "two.jsonl",
        "filters.url.blocked_domains": tmp_path / "domains.txt",
        "dedup.against": next((tmp_path / "earlier" / "signatures").rglob("*.parquet")),
    }
    for key, path in changes.items():
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        shown = curate(*build, code=1).output
        assert f"of another input: changed since it began: {key}: " in shown
        assert ("earlier" if key == "dedup.against" else path.name) in shown
        assert shown.count(";") == 0
        assert "give a new --out" in shown
        path.write_bytes(before)
    curate(*build)
