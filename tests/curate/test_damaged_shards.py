"""A run whose shards were damaged after they were made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from curate.tokenization.vocabulary import VocabularyError
from curate.training.loading.shard_set import ShardSet
from tests.curate.conftest import HOST, shard_bytes

Curate = Callable[..., Result]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.fixture
def out(run_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_folder, tmp_path / "out"))


def damage(out: Path) -> list[Path]:
    """Three shards: a bit flipped, cut, gone."""
    shards = sorted((out / "shards").rglob("*.arrow"))
    flip(shards[0])
    shards[1].write_bytes(shards[1].read_bytes()[:-100])
    shards[2].unlink()
    return shards[:3]


def test_damaged_shards_are_made_anew_with_the_same_bytes(
    curate: Curate, crawl_folder: Path, recipe_path: Path, run_folder: Path, out: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    build = ("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    damaged = damage(out)
    kept = {p: p.stat().st_mtime_ns for p in (out / "shards").rglob("*.arrow") if p not in damaged}
    curate(*build)
    assert shard_bytes(out) == shard_bytes(run_folder)
    (told,) = (r.getMessage() for r in caplog.records if "made anew" in r.getMessage())
    names = [str(p.relative_to(out / "shards").with_suffix("")) for p in damaged]
    assert told.endswith(f"are damaged or missing, and are made anew: {', '.join(names)}")
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    caplog.clear()
    curate(*build)
    assert not [r for r in caplog.records if "made anew" in r.getMessage()]


def test_a_shard_that_comes_out_other_than_before_is_an_error_each_time(
    curate: Curate, crawl_folder: Path, recipe_path: Path, out: Path
) -> None:
    """The images that it is made of are damaged as well."""
    name = damage(out)[0].relative_to(out)
    for tar in (out / "images").rglob("*.tar"):
        data = tar.read_bytes()
        tar.write_bytes(data.replace(b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1"))
    build = ("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    for _ in range(2):
        said = curate(*build, code=1).output
        assert str(name) in said.partition(" came out other than before")[0]
        assert "Build into a new --out." in said


def test_a_damaged_tokenizer_is_written_anew_or_told(
    curate: Curate, crawl_folder: Path, recipe_path: Path, out: Path
) -> None:
    build = ("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    beside = out / "shards" / "tokenizer.model"
    whole = beside.read_bytes()
    flip(beside)
    with pytest.raises(VocabularyError, match="is not the tokenizer of these shards"):
        _ = ShardSet(str(out)).vocabulary
    curate(*build)
    assert beside.read_bytes() == whole
    flip(out / "tokenizer" / "sentencepiece.model")
    for command in (build, ("inspect", out, "--row", "0")):
        # In a process of its own, which did not read the model before.
        done = subprocess.run(
            [sys.executable, "-m", "curate.cli", *map(str, command)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "sentencepiece.model is damaged" in done.stderr


def test_a_damaged_manifest_is_written_anew(
    curate: Curate, crawl_folder: Path, recipe_path: Path, out: Path
) -> None:
    manifest = out / "shards" / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:100])
    curate("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    assert manifest.read_bytes() == whole


def test_a_run_of_another_version_is_not_gone_on_with(
    curate: Curate, crawl_folder: Path, recipe_path: Path, out: Path
) -> None:
    held = json.loads((out / "run.json").read_text())
    del held["shard_schema"]
    (out / "run.json").write_text(json.dumps(held))
    build = ("build-shards", recipe_path, "--input", f"{crawl_folder}/*.warc.gz", "--out", out)
    assert "a run of another version of curate" in curate(*build, code=1).output


@pytest.mark.parametrize("command", [("inspect", "--row", "0"), ("why", f"{HOST}/page0.html")])
@pytest.mark.parametrize("how", ["flipped", "gone", "of another"])
def test_commands_that_read_shards_say_what_is_wrong(
    curate: Curate, out: Path, command: tuple[str, ...], how: str
) -> None:
    shards = sorted((out / "shards").rglob("*.arrow"))
    if how == "flipped":
        flip(shards[0])
    elif how == "gone":
        shards[0].unlink()
    else:
        shutil.copy(shards[1], shards[0])
    name, *options = command
    said = curate(name, out, *options, code=1).output
    problem = {"flipped": "damaged", "gone": "is missing", "of another": "it is another shard"}
    assert f"{shards[0]} " in said
    assert problem[how] in said
    assert "Run the same `curate build-shards` again" in said
