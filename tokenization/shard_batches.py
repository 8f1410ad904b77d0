"""The record batches of a shard file, sealed when they are written and checked when they are read.

Every batch carries a CRC-32 in its message's metadata, of the schema, of its buffers and of the
batches before it. So a damaged byte, a batch that is gone and one that stands in another's place
are seen without reading the whole file, and the last seal stands for all of the shard.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from curate.schemas.errors import CurateError
from curate.schemas.packed import SCHEMA_VERSION
from curate.tokenization.row_checks import problem_of_rows

ROWS_PER_BATCH = 64
"""Rows of every record batch but the last: small enough to read one row alone, large enough for
sequential reads."""

_SEAL = b"crc32"
_ROWS = b"rows"


class CorruptShardError(CurateError):
    """Shards that are not as they were written; the message names each."""


def corrupt(path: str, problem: str) -> CorruptShardError:
    """What to raise for a shard that is not as it was written."""
    return CorruptShardError(
        f"{path} {problem}. Run the same `curate build-shards` again: it makes damaged shards anew."
    )


class BatchWriter:
    """Writes record batches with their seals; the bytes depend on batches and schema alone."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(path, schema)
        self._schema = schema
        self._crc = _schema_crc(schema)
        self._rows = 0

    def write(self, batch: pa.RecordBatch, *, last: bool) -> None:
        """Write one batch. The last of a file says so; without rows, there is one that is empty."""
        # As a reader will get its buffers: none longer than what is used of it.
        batch = pa.ipc.read_record_batch(batch.serialize(), self._schema)
        self._rows += batch.num_rows
        self._crc = _batch_crc(batch, self._crc)
        metadata = {_SEAL: self.seal.encode()}
        if last:
            metadata[_ROWS] = str(self._rows).encode()
        self._writer.write_batch(batch, custom_metadata=metadata)

    @property
    def seal(self) -> str:
        """The seal of all batches so far, eight hexadecimal digits."""
        return f"{self._crc:08x}"

    def close(self) -> None:
        self._writer.close()


class ShardBatches:
    """The record batches of a shard, each checked when it is read.

    Args:
        source: a path on this machine, which is memory-mapped, or an open file.
        name: for messages; the path unless it is given.
        seal: of the whole shard, as its manifest has it; None for a shard that is known by its
            file alone.

    Raises:
        CorruptShardError: the file is no shard, is cut, or is another than the manifest's.
    """

    def __init__(
        self, source: str | pa.NativeFile, name: str | None = None, seal: str | None = None
    ) -> None:
        self.name = name or str(source)
        with self._reading():
            stream = pa.memory_map(source, "r") if isinstance(source, str) else source
            self._reader = pa.ipc.open_file(stream)
            self.schema: pa.Schema = self._reader.schema
            found = self.schema.metadata or {}
            self.metadata = {key.decode(): value.decode() for key, value in found.items()}
            self._seals = {-1: _schema_crc(self.schema)}
            """By record batch, of those whose messages were read; -1 comes before the first."""
        version = self.metadata.get("schema_version")
        if version != SCHEMA_VERSION:
            raise CorruptShardError(
                f"{self.name} has schema version {version!r}, where {SCHEMA_VERSION!r} is read. "
                "If another version of curate wrote it, build its run into a new --out; if not, "
                "it is damaged: run the same `curate build-shards` again."
            )
        if not len(self):
            raise corrupt(self.name, "has no record batch")
        end, metadata = self._message(len(self) - 1)
        self.rows = (len(self) - 1) * ROWS_PER_BATCH + end.num_rows
        written, own = (
            metadata.get(key, b"none").decode("ascii", "replace") for key in (_ROWS, _SEAL)
        )
        if written != str(self.rows):
            raise corrupt(self.name, f"has {self.rows} rows, {written} were written")
        if seal is not None and own != seal:
            raise corrupt(
                self.name, f"has the seal {own}, its manifest has {seal}: it is another shard"
            )

    def __len__(self) -> int:
        return int(self._reader.num_record_batches)

    def read(self, index: int) -> pa.RecordBatch:
        """A record batch whose bytes are those that were written.

        Raises:
            CorruptShardError: they are not.
        """
        if index - 1 not in self._seals:
            self._message(index - 1)
        batch, _ = self._message(index)
        last = index == len(self) - 1
        if not last and batch.num_rows != ROWS_PER_BATCH:
            raise corrupt(self.name, f"has {batch.num_rows} rows {self._where(index)}")
        with self._reading():
            batch.validate(full=True)
            crc = _batch_crc(batch, self._seals[index - 1])
        if crc != self._seals[index]:
            raise corrupt(self.name, f"is damaged {self._where(index)}: the checksum differs")
        problem = problem_of_rows(batch, int(self.metadata["vocabulary"]))
        if problem is not None:
            raise corrupt(self.name, f"has {problem} {self._where(index)}")
        return batch

    def _where(self, index: int) -> str:
        first = index * ROWS_PER_BATCH
        return f"in record batch {index}, from row {first} on"

    def _message(self, index: int) -> tuple[pa.RecordBatch, dict[bytes, bytes]]:
        with self._reading():
            batch, metadata = self._reader.get_batch_with_custom_metadata(index)
        try:
            self._seals[index] = int(metadata[_SEAL], 16)
        except (TypeError, KeyError, ValueError):
            raise corrupt(self.name, f"has no seal {self._where(index)}") from None
        return batch, dict(metadata)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What Arrow says of a file that it can't read is said of this shard."""
        try:
            yield
        except FileNotFoundError:
            raise corrupt(self.name, "is missing") from None
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise corrupt(self.name, f"can't be read: {' '.join(str(error).split())}") from error


def _schema_crc(schema: pa.Schema) -> int:
    """Of names, types and metadata; not of their encoding, which is the Arrow version's choice."""
    lines = [f"{field.name}: {field.type}" for field in schema]
    lines += [f"{key!r}={value!r}" for key, value in sorted((schema.metadata or {}).items())]
    return zlib.crc32("\n".join(lines).encode())


def _batch_crc(batch: pa.RecordBatch, before: int) -> int:
    """Of the number of rows and all buffers, each with its length."""
    crc = zlib.crc32(f"{batch.num_rows} rows".encode(), before)
    for column in batch.columns:
        for buffer in column.buffers():
            data = memoryview(buffer) if buffer is not None else b""
            crc = zlib.crc32(data, zlib.crc32(f"{len(data)} bytes".encode(), crc))
    return crc
