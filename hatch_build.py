"""Build hook: compile the hot modules of `extraction/` with mypyc.

They run for every node of every page, and take about half as long compiled. Where there is no C
compiler they run uncompiled, to the same result.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError, PlatformError

COMPILED = tuple(
    f"curate/extraction/{name}.py"
    for name in ("content", "features", "images", "markup", "metadata", "walk")
)


class CompileHook(BuildHookInterface):
    """Leaves the compiled modules beside their sources, and in the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        _require_links(Path(self.root))
        with contextlib.chdir(self.root):
            try:
                _compile(Path(self.directory, "mypyc"))
            except (CompileError, LinkError, PlatformError) as error:
                self.app.display_warning(f"{', '.join(COMPILED)} run uncompiled, slower: {error}")
                return
        build_data["artifacts"] += [f"{Path(name).with_suffix('')}*.so" for name in COMPILED]
        build_data["infer_tag"] = True
        build_data["pure_python"] = False


def _require_links(root: Path) -> None:
    """The packages of `curate/` are links to the folders beside it; a source archive has copies.

    Raises:
        RuntimeError: a clone without symbolic links has small text files in their place.
    """
    broken = [path.name for path in Path(root, "curate").iterdir() if _is_text_of_link(path)]
    if broken:
        raise RuntimeError(
            f"curate/{broken[0]} must be a symbolic link to ../{broken[0]} (got a text file: this "
            f"clone was made without links, {len(broken)} are missing). Clone again with "
            "`git clone -c core.symlinks=true`; Windows wants its developer mode switched on first."
        )


def _is_text_of_link(path: Path) -> bool:
    return path.is_file() and path.suffix == "" and path.read_bytes() == f"../{path.name}".encode()


def _compile(scratch: Path) -> None:
    os.environ.setdefault("MYPYPATH", os.getcwd())
    options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent", *COMPILED]
    modules = mypycify(options, target_dir=str(scratch), opt_level="3", separate=True)
    command = build_ext(Distribution({"name": "curate", "ext_modules": modules}))
    command.inplace = True
    command.build_temp = str(scratch)
    command.finalize_options()
    # Compiler output would end among the installer's own.
    with contextlib.redirect_stdout(sys.stderr):
        command.run()
