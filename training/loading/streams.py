"""The streams of a training phase: which sources stand in one, and how much of each."""

from __future__ import annotations

from curate.schemas.errors import UsageError
from curate.schemas.settings.mixture import Phase
from curate.schemas.settings.source import Format
from curate.training.loading.order import Stream, no_rows
from curate.training.loading.shard_set import ShardSet


def streams_of(shards: ShardSet, phase: Phase) -> tuple[Stream, ...]:
    """The streams of a phase, one for each format.

    A source's share of rows is its weight over its mean tokens a row, so that weights are shares of
    tokens.

    Raises:
        UsageError: the run has no shards of a format that the phase names.
    """
    streams = []
    for row_format in phase.formats:
        stream = _stream_of(shards, phase, row_format)
        if stream is None:
            raise UsageError(
                f"{shards.root} has no {row_format} shards, which every step should hold. Fill a "
                f"source of that format, or take {row_format} out of the mixture."
            )
        streams.append(stream)
    return tuple(streams)


def one_stream(shards: ShardSet, rows: int) -> Stream:
    """All sources row by row: as pretraining mixes them or, without a mixture, by their weights."""
    manifest = shards.manifest
    if manifest.mixture is None:
        names = tuple(sorted(manifest.sources))
        shares = tuple(manifest.sources[n].weight / _row_tokens(shards, n) for n in names)
        return Stream(name="all", sources=names, shares=shares, step_rows=rows)
    phase = manifest.mixture.pretraining
    found = [_stream_of(shards, phase, row_format) for row_format in phase.formats]
    mixed = {
        name: stream.step_rows * share / sum(stream.shares)
        for stream in found
        if stream is not None
        for name, share in zip(stream.sources, stream.shares, strict=True)
    }
    if not mixed:
        raise UsageError(
            f"{shards.root} has no shards of a format that its mixture names "
            f"({', '.join(phase.formats)}). Give `source`."
        )
    return Stream(name="all", sources=tuple(mixed), shares=tuple(mixed.values()), step_rows=rows)


def _stream_of(shards: ShardSet, phase: Phase, row_format: Format) -> Stream | None:
    sources = shards.manifest.sources
    names = tuple(name for name in sorted(sources) if sources[name].format == row_format)
    if not names:
        return None
    lengths = [_row_tokens(shards, name) for name in names]
    shares = [sources[n].weight / length for n, length in zip(names, lengths, strict=True)]
    rows = phase.step_rows.get(row_format)
    if rows is None:
        mean = sum(s * length for s, length in zip(shares, lengths, strict=True)) / sum(shares)
        rows = max(1, round(phase.step_tokens[row_format] / mean))
    return Stream(name=row_format, sources=names, shares=tuple(shares), step_rows=rows)


def _row_tokens(shards: ShardSet, source: str) -> float:
    """Mean tokens of a row.

    Raises:
        UsageError: the source has no rows.
    """
    files = shards.shards_of(source)
    rows = sum(file.rows for file in files)
    if rows == 0:
        raise no_rows(source)
    return sum(file.tokens for file in files) / rows
