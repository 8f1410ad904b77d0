"""What a reader yields: pages, image records, and the regions of a file that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where bytes came from: file name, and the byte range of the record in that file."""

    warc_file: str
    offset: int
    length: int = 0
    inside: int = 0
    """Where several records are compressed together: `offset` and `length` name what is, and this
    is the record's place among the decompressed bytes."""

    @property
    def place(self) -> str:
        """`offset`, or `offset:inside`: one record of the file."""
        return f"{self.offset}:{self.inside}" if self.inside else str(self.offset)

    @property
    def label(self) -> str:
        """The record, for ledgers and ids."""
        return f"{self.warc_file}@{self.place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One content record (response, resource, conversion or revisit) of a WARC or ARC file."""

    origin: Origin
    kind: str
    """`response`, `resource`, `conversion`, `revisit`, `continuation` or `unknown`."""
    url: str
    date: str
    """ISO 8601 capture time from the file, or empty."""
    status: int | None
    """HTTP status, or None for a record without HTTP headers."""
    content_type: str
    """Media type, lower case, without parameters; empty when the record names none."""
    charset: str | None
    """`charset` parameter of the Content-Type header."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP headers under lower-case names; repeated headers are joined by `, `."""
    payload: bytes = b""
    """Body after transfer and content decoding."""
    fault: str | None = None
    """Name of the reader's rule that the record broke, if any: its payload is not to be used."""
    fault_value: str = ""
    fault_limit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedRegion:
    """A byte range of an input file that holds no readable record."""

    origin: Origin
    reason: str
