"""Records of an archive by their places, as lineage names them."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import IO

import zstandard

from curate.schemas.page import Origin, Record
from curate.sources.archives.members import MemberReader, codec_of
from curate.sources.archives.records import READ_ERRORS, arc_blocks, content_of, warc_blocks

_MAX_HEADER_BYTES = 64 << 10


class RecordReader:
    """Records of an open archive by their places; in the order of the file it reads on."""

    def __init__(self, stream: IO[bytes], max_record_bytes: int) -> None:
        self._stream = stream
        self._limit = max_record_bytes
        self._codec = codec_of(stream)
        self._offset = -1
        self._member: MemberReader | None = None

    def read(self, origin: Origin) -> Record | None:
        """The record that lies at `origin`, or None where none can be read."""
        try:
            data = self._plain(origin) if self._codec is None else self._decompressed(origin)
            if data is None:
                return None
            blocks = warc_blocks if data.startswith(b"WARC/") else arc_blocks
            block = next(blocks(io.BytesIO(data), self._limit), None)
        except (*READ_ERRORS, zstandard.ZstdError):
            self._member = None
            return None
        if block is None:
            return None
        content = content_of(block, len(data), origin.warc_file, self._limit)
        return next((replace(record, origin=origin) for record in content), None)

    def _plain(self, origin: Origin) -> bytes:
        self._stream.seek(origin.offset)
        return self._stream.read(min(origin.length, self._limit + _MAX_HEADER_BYTES))

    def _decompressed(self, origin: Origin) -> bytes | None:
        member = self._member
        if member is None or self._offset != origin.offset or member.position > origin.inside:
            assert self._codec is not None
            member = MemberReader(self._stream, self._codec, origin.offset)
            self._member, self._offset = member, origin.offset
        member.skip_to(origin.inside)
        head = member.read(_MAX_HEADER_BYTES)
        size = _record_size(head)
        if size is None or size > self._limit + _MAX_HEADER_BYTES:
            return None
        if size <= len(head):
            member.put_back(head[size:])
            return head[:size]
        return head + member.read(size - len(head))


def _record_size(head: bytes) -> int | None:
    """Bytes of header and content of the record that begins here, as it declares them."""
    if head.startswith(b"WARC/"):
        end = re.search(rb"\r?\n\r?\n", head)
        declared = (
            re.search(rb"(?im)^content-length:[ \t]*(\d{1,18})", head[: end.end()])
            if (end)
            else None
        )
    else:
        end = re.search(rb"\n", head)
        declared = re.search(rb" (\d{1,18})\r?\n", head[: end.end()]) if end else None
    return end.end() + int(declared.group(1)) if end and declared else None


def read_record_at(stream: IO[bytes], origin: Origin, max_record_bytes: int) -> Record | None:
    """One record of an open archive; many are read by a `RecordReader`."""
    return RecordReader(stream, max_record_bytes).read(origin)
