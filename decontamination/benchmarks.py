"""Benchmark files to items: the texts that no document may hold.

A file is read by the registry's entry whose `files` pattern fits its name, or, where its rows have
a `text`, by that alone. An entry is four lines:

    my_benchmark:
      files: [my_benchmark*]
      id: question_id
      texts: ["{question}", "{question} {choices[].text}"]

`{a.b}` is a field of a field, `{a[]}` each element of a list in turn. Every text is an item of its
own with the row's id.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.resources import files
from typing import Any

import yaml

from curate.schemas.address import file_name
from curate.schemas.errors import UsageError
from curate.schemas.verdict import Drop
from curate.sources.corpus import READ_ERRORS, read_rows

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_MAX_ROW_BYTES = 16 << 20
_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".jsonl", ".json", ".parquet", ".ndjson")


class BenchmarkError(UsageError):
    """A benchmark file or registry can't be used; the message says which, where and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """How the rows of a benchmark become texts: an entry of the registry."""

    name: str
    files: tuple[str, ...]
    id: str
    texts: tuple[str, ...]
    remove: tuple[re.Pattern[str], ...] = ()
    """Parts of a text that are the benchmark's template and not its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    benchmark: str
    id: str
    text: str


PLAIN = Mapped(name="", files=(), id="id", texts=("{text}",))


def built_in_registry() -> str:
    """The YAML text of the registry that ships with the project."""
    return (files("curate.decontamination") / "registry.yaml").read_text(encoding="utf-8")


def read_registry(text: str, label: str) -> list[Mapped]:
    """Entries of a registry.

    Raises:
        BenchmarkError: it is not what a registry must be.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BenchmarkError(f"{label}: can't be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise BenchmarkError(f"{label}: must map names of benchmarks to their fields")
    return [_entry(str(name), entry, label) for name, entry in data.items()]


def _entry(name: str, entry: Any, label: str) -> Mapped:
    known = {"files", "id", "texts", "remove"}
    if not isinstance(entry, dict) or not entry.keys() <= known or not entry.get("texts"):
        raise BenchmarkError(
            f"{label}: {name} must have `texts`, and may have `files`, `id` and `remove` (got "
            f"{', '.join(map(str, entry)) if isinstance(entry, dict) else entry!r})"
        )
    try:
        remove = tuple(re.compile(pattern) for pattern in entry.get("remove", ()))
    except re.error as error:
        raise BenchmarkError(f"{label}: {name}: `remove` is no pattern: {error}") from error
    return Mapped(
        name=name,
        files=tuple(entry.get("files", (f"{name}*",))),
        id=str(entry.get("id", "id")),
        texts=tuple(entry["texts"]),
        remove=remove,
    )


def read_benchmark(path: str, registry: list[Mapped]) -> list[Item]:
    """The items of a benchmark file, in its order.

    Raises:
        BenchmarkError: the file can't be read, or nothing tells which of its fields are texts.
    """
    try:
        rows = list(_rows(path))
    except READ_ERRORS as error:
        raise BenchmarkError(f"{path}: can't be read as a benchmark: {error}") from error
    stem = file_name(path.rstrip("/"))
    while stem.endswith(_SUFFIXES):
        stem = stem.rsplit(".", 1)[0]
    if not rows:
        raise BenchmarkError(f"{path}: holds no rows")
    mapped = _fitting(stem, rows[0], registry)
    if mapped is None:
        raise BenchmarkError(
            f"{path}: no entry of the registry fits the file, and its rows have no `text` (they "
            f"have {', '.join(sorted(rows[0]))}). Name the fields that hold text in a registry: "
            f"`{stem}: {{files: [{stem}*], id: id, texts: ['{{FIELD}}']}}`."
        )
    items = []
    for number, row in enumerate(rows):
        given = _values(row, mapped.id)
        item_id = str(given[0]) if given else str(number)
        for text in dict.fromkeys(_texts(row, mapped)):
            items.append(Item(benchmark=mapped.name or stem, id=item_id, text=text))
    if not items:
        raise BenchmarkError(
            f"{path}: none of its {len(rows)} rows has the fields {', '.join(mapped.texts)}"
        )
    return items


def _fitting(stem: str, row: Mapping[str, Any], registry: list[Mapped]) -> Mapped | None:
    for mapped in registry:
        if any(fnmatch(stem.lower(), p.lower()) for p in mapped.files) and any(
            True for _ in _texts(row, mapped)
        ):
            return mapped
    return PLAIN if isinstance(row.get("text"), str) else None


def _rows(path: str) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(read_rows(path, _MAX_ROW_BYTES), 1):
        if isinstance(row, Drop):
            if row.rule == "record.no_text":
                continue
            raise ValueError(f"line {number}: {row.rule}: {row.value_text}")
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object")
        yield row


def _texts(row: Mapping[str, Any], mapped: Mapped) -> Iterator[str]:
    for template in mapped.texts:
        names = _PLACEHOLDER.findall(template)
        for values in itertools.product(*(_values(row, name) for name in names)):
            text = template
            for name, value in zip(names, values, strict=True):
                text = text.replace("{" + name + "}", str(value), 1)
            for pattern in mapped.remove:
                text = pattern.sub("", text)
            if text.strip():
                yield text.strip()


def _values(row: Any, path: str) -> list[Any]:
    """The values at a path: none where it leads nowhere, several where it has `[]`."""
    found = [row]
    for key in path.split("."):
        name = key.removesuffix("[]")
        found = [v[name] for v in found if isinstance(v, Mapping) and v.get(name) is not None]
        if key.endswith("[]"):
            found = [element for v in found if isinstance(v, list) for element in v]
    return [v for v in found if isinstance(v, str | int | float)] if path else []
