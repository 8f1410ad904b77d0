"""What an input file is known again by, and that it stays what it was.

Local files: size, modification time, and a hash of head, middle and tail. Object stores: size, ETag
(or what the store has in its place), and the same hash. Files of a whole crawl, of which the
listing tells nothing, by their names alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import fsspec

from curate.schemas.errors import CurateError
from curate.schemas.text.secrets import masked

SAMPLE_BYTES = 64 << 10
"""Of the head, the middle and the tail of a file."""
_THREADS = 16
_STAMPS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "updated")


class InputChangedError(CurateError):
    """An input is not what it was; the message says which and what to do."""


def stamp_of(info: dict[str, Any]) -> str:
    """What a filesystem says of a file's state: its ETag, or when it was last changed."""
    return next((f"{name} {info[name]}" for name in _STAMPS if info.get(name)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputIdentity:
    """One input as a run knows it."""

    source: str
    name: str
    path: str
    """Without secrets."""
    size: int
    stamp: str
    """`stamp_of`; the same file elsewhere has another."""
    sample: str
    """Hex BLAKE2b of head, middle and tail; empty where the size is not known."""

    def change_since(self, before: InputIdentity) -> str | None:
        """How the input differs from what it was, in words, or None."""
        if self.size != before.size:
            return f"it has {self.size:,} bytes and had {before.size:,}"
        if self.sample != before.sample:
            return "its content changed"
        if self.path == before.path and self.stamp != before.stamp:
            return f"it was written to since: {self.stamp or 'no time'}, and was {before.stamp}"
        return None


def identify(files: Iterable[tuple[str, str, str, int, str]]) -> list[InputIdentity]:
    """The identities of files, given as (source, name, address, size, stamp); many at a time.

    Raises:
        OSError: a file can't be read.
    """

    def one(file: tuple[str, str, str, int, str]) -> InputIdentity:
        source, name, path, size, stamp = file
        return InputIdentity(
            source=source,
            name=name,
            path=masked(path),
            size=size,
            stamp=stamp,
            sample=sample_of(path, size),
        )

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(one, files))


def sample_of(path: str, size: int) -> str:
    """The hash of a file's head, middle and tail; empty for a file of unknown size."""
    if not size:
        return ""
    digest = blake2b(digest_size=16)
    places = (0, size // 2 - SAMPLE_BYTES // 2, size - SAMPLE_BYTES)
    filesystem, name = fsspec.core.url_to_fs(path)
    for start in sorted({max(place, 0) for place in places}):
        end = min(start + SAMPLE_BYTES, size)
        digest.update(filesystem.cat_file(name, start=start, end=end))
    return digest.hexdigest()


def to_rows(identities: Iterable[InputIdentity]) -> list[dict[str, Any]]:
    return [asdict(identity) for identity in identities]


def require_same(rows: Iterable[dict[str, Any]], now: Iterable[InputIdentity], run: str) -> None:
    """Compare inputs with those that a run began with, as far as both have them.

    Raises:
        InputChangedError: one changed.
    """
    before = {(row["source"], row["name"]): InputIdentity(**row) for row in rows}
    for identity in now:
        known = before.get((identity.source, identity.name))
        change = None if known is None else identity.change_since(known)
        if known is None or change is None:
            continue
        hint = ""
        if identity.sample == known.sample and known.stamp.startswith("mtime "):
            hint = (
                " If it is the same file, set its time back: "
                f"touch -d @{known.stamp.removeprefix('mtime ')} "
                f"{shlex.quote(identity.path.removeprefix('file://'))}"
            )
        raise InputChangedError(
            f"{identity.path} is not the file that {run} was begun with: {change}. Old and new "
            "parts are never mixed: put the file back, give a new --out, or delete the "
            f"directory.{hint}"
        )


@contextmanager
def unchanged(path: str, size: int, stamp: str) -> Iterator[None]:
    """Read a file that was listed with this size and stamp: it must have them before and after.

    Raises:
        InputChangedError: it has not; what was read is not to be used.
    """
    _require_listed(path, size, stamp)
    yield
    _require_listed(path, size, stamp)


def _require_listed(path: str, size: int, stamp: str) -> None:
    if not stamp:
        return
    filesystem, name = fsspec.core.url_to_fs(path, use_listings_cache=False)
    info = filesystem.info(name)
    found = (int(info.get("size") or 0), stamp_of(info))
    if found != (size, stamp):
        raise InputChangedError(
            f"{masked(path)} changed while the run reads it: {found[0]:,} bytes, {found[1]}; it "
            f"was listed with {size:,} bytes, {stamp}. Let it be whole before it is read: put back "
            "the file that the run was begun with, or give a new --out"
        )
