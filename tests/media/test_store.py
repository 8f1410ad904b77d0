from __future__ import annotations

import io
import json
import tarfile

from curate.media.store import SampleTarWriter


def test_members_are_where_their_offsets_say_and_the_bytes_repeat() -> None:
    def build() -> tuple[bytes, list[int]]:
        buffer = io.BytesIO()
        tar = SampleTarWriter(buffer)
        offsets = [
            tar.add(f"{i:032}", {"jpg": b"jpeg %d" % i * 300, "json": b'{"n": %d}' % i})
            for i in range(3)
        ]
        tar.close()
        return buffer.getvalue(), offsets

    data, offsets = build()
    assert (data, offsets) == build()
    for i, offset in enumerate(offsets):
        assert data[offset : offset + 6] == b"jpeg %d" % i
    assert len(data) % tarfile.RECORDSIZE == 0
    assert data.endswith(bytes(2 * tarfile.BLOCKSIZE))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        assert names[:2] == ["0" * 32 + ".jpg", "0" * 32 + ".json"]
        member = tar.extractfile(names[1])
        assert member is not None
        assert json.load(member) == {"n": 0}
