"""The house as CONTRIBUTING.md draws it: who may know whom, and no room too full."""

from __future__ import annotations

import ast
import os
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "schemas": set(),
    "sources": {"schemas"},
    "extraction": {"schemas"},
    "dedup": {"schemas"},
    "filters": {"schemas"},
    "tokenization": {"schemas"},
    "media": {"schemas", "dedup", "filters"},
    "decontamination": {"schemas", "sources", "dedup", "media"},
    "runs": {"schemas", "sources", "tokenization", "media"},
    "training": {"schemas", "tokenization"},
    "pipelines": {
        "schemas",
        "sources",
        "extraction",
        "dedup",
        "filters",
        "tokenization",
        "media",
        "decontamination",
        "runs",
    },
}
"""Packages at the top level and those that they know; `curate/` is the door and knows all."""
PIPELINE_ROOMS = ("engine", "", "similarity", "text", "images", "shards")
"""Lowest first; what lies in pipelines/ itself stands between, but for its list of all stages."""
LISTS_OF_ALL = ("curate.pipelines.stages", "curate.pipelines.worker")
MOST_FILES = 15
LONG_FUNCTION = 4
"""Statements from which on two functions with the same body are one written twice."""


def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder, _, names in os.walk(ROOT / "curate", followlinks=True):
        for name in names:
            if name.endswith(".py"):
                path = Path(folder, name)
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = _modules()


def _imports(name: str) -> set[str]:
    """The modules of ours that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for wanted in names:
            if wanted.split(".")[0] == "curate":
                while wanted not in MODULES:
                    wanted = wanted.rpartition(".")[0]
                found.add(wanted)
    return found - {name}


IMPORTS = {name: _imports(name) for name in MODULES if name != "curate"}


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_know_only_those_below(package: str) -> None:
    wrong = [
        (name, other)
        for name, others in IMPORTS.items()
        if name.split(".")[1] == package
        for other in others
        if other.split(".")[1:2] not in ([p] for p in (package, *MAY_IMPORT[package]))
    ]
    assert not wrong


def test_every_package_has_its_place() -> None:
    links = {path.name for path in (ROOT / "curate").iterdir() if path.is_symlink()}
    assert links == {*MAY_IMPORT, "recipes"}


def test_rooms_of_pipelines_know_only_those_below() -> None:
    def level(name: str) -> int:
        folder = MODULES[name].parent.relative_to(ROOT / "curate" / "pipelines")
        return PIPELINE_ROOMS.index("" if folder == Path() else folder.name)

    wrong = [
        (name, other)
        for name, others in IMPORTS.items()
        if name.startswith("curate.pipelines") and name not in LISTS_OF_ALL
        for other in others
        if other.startswith("curate.pipelines.")
        and (level(other) > level(name) or other in LISTS_OF_ALL)
    ]
    assert not wrong


def test_no_module_imports_itself_by_another() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


def test_no_folder_is_too_full() -> None:
    modules = (
        path
        for folder in (*MAY_IMPORT, "curate", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    )
    counts = Counter(path.parent.relative_to(ROOT) for path in modules)
    assert {str(f): n for f, n in counts.items() if n > MOST_FILES} == {}


def test_no_function_is_written_twice() -> None:
    bodies: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if len(body) >= LONG_FUNCTION:
                    dump = "".join(map(ast.dump, body))
                    bodies.setdefault(dump, []).append(f"{name}.{node.name}")
    assert [names for names in bodies.values() if len(names) > 1] == []
