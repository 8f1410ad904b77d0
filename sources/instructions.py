"""Instruction data as published to documents: a prompt, then its answer.

    {instruction, instances: [{input, instruction_with_input, output}]}   Unnatural Instructions,
                                                                          self-instruct
    {instruction, input, output}                                          Alpaca
    {inputs, targets}                                                     FLAN v2
    {inputs_pretokenized, targets_pretokenized}                           P3
    {prompt, completion}                                                  self-instruct's T0 rows
    question TAB answer TAB reasoning                                     FLAN, chain of thought

The layout of a row is told by its keys. A row of several instances gives several documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from curate.schemas.document import Document, TextSegment
from curate.schemas.identity import document_id
from curate.schemas.settings.source import Source
from curate.schemas.verdict import Drop
from curate.sources.compressed import TooLong, bounded_lines, open_compressed
from curate.sources.corpus import (
    RejectedRow,
    look_up,
    not_selected,
    numbered_rows,
    read_rows,
    text_of,
    too_large,
)

KIND = "instructions"
EXTENSIONS = (".jsonl", ".json", ".ndjson", ".parquet", ".tsv")

Exchanges = list[tuple[str, str]]
"""Prompts with their answers."""
Layout = tuple[set[str], Callable[[dict[str, Any]], Exchanges | Drop]]
"""The keys that tell a layout, and how its rows are read."""


def read_instructions(
    path: str, source: Source, name: str, source_name: str
) -> Iterator[Document | RejectedRow]:
    """The documents of one file in file order, and the rows that give none.

    `origin.offset` counts rows.

    Raises:
        InputFailedError: the file can't be opened, or the way to it fails.
    """
    limit = source.max_row_bytes
    rows = _read_tsv(path, limit) if ".tsv" in name.lower() else read_rows(path, limit)
    for origin, row in numbered_rows(rows, name):
        left_out = not_selected(row, source) if isinstance(row, dict) else None
        found = left_out or (row if isinstance(row, Drop) else exchanges_of(row))
        if isinstance(found, Drop):
            yield RejectedRow(origin, found)
            continue
        given = look_up(row, source.id_field) if isinstance(row, dict) else None
        for index, (prompt, answer) in enumerate(found):
            variant = str(index) if index else ""
            own_id = "" if given is None else f"{text_of(given)}{':' if variant else ''}{variant}"
            yield Document(
                id=own_id or document_id(origin, "", variant),
                source=source_name,
                url="",
                segments=(TextSegment(text=prompt, prompt=True), TextSegment(text=answer)),
                origin=origin,
            )


def exchanges_of(row: Any) -> Exchanges | Drop:
    """What a row asks and what it answers."""
    if isinstance(row, tuple):
        question, answer, reasoning = row
        found: Exchanges | Drop = [(question, f"{reasoning} The answer is {answer}.")]
    elif not isinstance(row, dict):
        return Drop("record.damaged", f"a {type(row).__name__} and not an object")
    else:
        layout = next((read for keys, read in _LAYOUTS if keys <= row.keys()), None)
        if layout is None:
            return Drop("record.no_instruction", " ".join(sorted(map(str, row)))[:200])
        try:
            found = layout(row)
        except (KeyError, TypeError) as error:
            return Drop("record.damaged", f"{type(error).__name__}: {error}"[:200])
    if isinstance(found, Drop):
        return found
    cleaned = [(text_of(prompt).strip(), text_of(answer).strip()) for prompt, answer in found]
    if not cleaned or not all(prompt and answer for prompt, answer in cleaned):
        return Drop("record.no_text", "empty prompt or answer")
    return cleaned


def _instances(row: dict[str, Any]) -> Exchanges | Drop:
    if not all(isinstance(instance, dict) for instance in row["instances"]):
        return Drop("record.damaged", "an instance that is no object")
    return [
        (
            instance.get("instruction_with_input")
            or _with_input(row["instruction"], instance.get("input")),
            instance["output"],
        )
        for instance in row["instances"]
    ]


def _with_input(instruction: str, given: str | None) -> str:
    return f"{instruction}\n{given}" if given and given != "<noinput>" else instruction


def _columns(prompt: str, answer: str) -> Layout:
    return {prompt, answer}, lambda row: [(row[prompt], row[answer])]


_LAYOUTS: tuple[Layout, ...] = (
    ({"instruction", "instances"}, _instances),
    (
        {"instruction", "output"},
        lambda row: [(_with_input(row["instruction"], row.get("input")), row["output"])],
    ),
    _columns("inputs", "targets"),
    _columns("inputs_pretokenized", "targets_pretokenized"),
    _columns("prompt", "completion"),
)


def _read_tsv(path: str, limit: int) -> Iterator[tuple[str, str, str] | Drop]:
    """FLAN's chain-of-thought files: no header, a line break in a field written as `\\n`."""
    with open_compressed(path) as stream:
        for line in bounded_lines(stream, limit):
            if isinstance(line, TooLong):
                yield too_large(line.size, limit)
                continue
            fields = line.decode("utf-8", "replace").rstrip("\r\n").replace("\\n", "\n").split("\t")
            if len(fields) == 3:
                yield fields[0], fields[1], fields[2]
            else:
                yield Drop("record.damaged", f"{len(fields)} columns", "3")
