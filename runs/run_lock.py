"""One command at a time in a run directory; the other is told who holds it.

On this machine the system's lock on a file ends with the process that holds it, however that is.
An object store has no locks, but creates an object for one of those who ask. So a command holds
the directory by the highest number of `lease/NUMBER.json`, which it writes anew as long as it
lives. One whose signs of life stop is followed by the next number.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from curate.runs.run_directory import RunDirectory
from curate.schemas.errors import CurateError, outside_errors

_SIGN_SECONDS = 15.0
_SILENCE_SECONDS = 60.0
"""Without a sign of life for so long, who held an object store's directory is taken for gone."""
_LOOK_SECONDS = 1.0
_FOLDER = "lease"
_LOG = logging.getLogger(__name__)


class RunInUseError(CurateError):
    """Another command works in the run directory; the message says which."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a run directory."""

    host: str
    pid: int
    since: str
    """Date and time, UTC."""
    place: str
    """Of its process number: the machine since its start, and the container."""
    token: str
    """Of this hold alone."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    def has_ended(self) -> bool:
        """Whether it is known to be gone: where its process number means something here."""
        if self.place != _place():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


@contextmanager
def only_one(run: RunDirectory) -> Iterator[Hold]:
    """Hold the run directory while the block lasts.

    Raises:
        RunInUseError: another command holds it.
        CurateError: it can't be written.
    """
    holder = _this_process()
    if not run.is_local:
        with _leased(run, holder) as lease:
            yield lease
        return
    try:
        Path(run.path()).mkdir(parents=True, exist_ok=True)
        lock = open(run.path(".lock"), "a+", encoding="utf-8")  # noqa: SIM115  # held open
    except OSError as error:
        raise CurateError(f"--out {run.root} can't be written: {error}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise _in_use(run, _holder_in(lock.read())) from error
        lock.truncate(0)
        json.dump(asdict(holder), lock)
        lock.flush()
        try:
            yield Hold()
        finally:
            lock.truncate(0)


class Hold:
    """A run directory that is held; the system keeps it from others."""

    def require_held(self) -> None:
        """See that it still is."""


class _Lease(Hold):
    """A run directory on an object store that is held, and the thread that gives signs of life."""

    def __init__(self, run: RunDirectory, number: int, holder: Holder) -> None:
        self._run = run
        self._number = number
        self._holder = holder
        self._signs = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def require_held(self) -> None:
        """As of every hold.

        Raises:
            RunInUseError: another command has taken this one for gone, as its signs did not come.
        """
        try:
            found = _latest(self._run)
        except outside_errors() as error:
            # The work that follows sees it as well, and tells.
            _LOG.info("who holds %s can't be seen: %s", self._run.root, error)
            return
        if found is not None and found[0] > self._number:
            raise _in_use(self._run, _holder_in(found[1]))

    def end(self) -> None:
        """Let the directory go; where the store is away, others see so by the silence."""
        self._ended.set()
        self._thread.join()
        try:
            self._run.remove(_path(self._number))
        except outside_errors() as error:
            _LOG.info("%s can't be let go: %s", self._run.root, error)

    def _live(self) -> None:
        while not self._ended.wait(_SIGN_SECONDS):
            self._signs += 1
            try:
                self._run.write_bytes(_lease_bytes(self._holder, self._signs), _path(self._number))
            except outside_errors() as error:
                # The work sees it as well and tells; the next sign may come through.
                _LOG.info("no sign of life in %s: %s", self._run.root, error)


@contextmanager
def _leased(run: RunDirectory, holder: Holder) -> Iterator[Hold]:
    lease = _Lease(run, _take(run, holder), holder)
    try:
        yield lease
    finally:
        lease.end()


def _take(run: RunDirectory, holder: Holder) -> int:
    """Number of the lease that was created for this holder.

    Raises:
        RunInUseError: another command lives in the directory.
    """
    while True:
        found = _latest(run)
        if found is not None:
            _wait_for_its_end(run, *found)
        number = 1 if found is None else found[0] + 1
        if _create(run, number, holder):
            if found is not None:
                run.remove(_path(found[0]))
            return number


def _create(run: RunDirectory, number: int, holder: Holder) -> bool:
    """Whether this lease is the holder's now; another may have been faster."""
    try:
        run.create(_lease_bytes(holder, 0), _path(number))
    except outside_errors():
        # Of a request that was sent twice the second is refused, though the first was ours.
        if not run.exists(_path(number)):
            raise
        return _holder_in(run.read_bytes(_path(number))) == holder
    return True


def _wait_for_its_end(run: RunDirectory, number: int, seen: bytes) -> None:
    """Return once the holder of a lease is gone, which takes a while to see from elsewhere.

    Raises:
        RunInUseError: it gave a sign of life.
    """
    holder = _holder_in(seen)
    if holder is None or not holder.has_ended():
        _LOG.warning(
            "%s was left or is held by %s: seeing for up to %.0f seconds whether it lives.",
            run.root, holder or "another command", _SILENCE_SECONDS,
        )  # fmt: skip
    deadline = time.monotonic() + _SILENCE_SECONDS
    while time.monotonic() < deadline:
        if holder is not None and holder.has_ended():
            return
        found = _latest(run)
        if found is None or found[0] != number:
            return
        if found[1] != seen:
            raise _in_use(run, holder)
        time.sleep(_LOOK_SECONDS)


def _latest(run: RunDirectory) -> tuple[int, bytes] | None:
    """Number and content of the lease that holds the directory."""
    for path in reversed(run.files(_FOLDER, suffix=".json")):
        try:
            return int(Path(path).stem), run.read_bytes(path)
        except FileNotFoundError:  # ended between the two looks
            continue
    return None


def _path(number: int) -> str:
    return f"{_FOLDER}/{number:08d}.json"


def _lease_bytes(holder: Holder, signs: int) -> bytes:
    return json.dumps({**asdict(holder), "signs_of_life": signs}).encode()


def _holder_in(data: str | bytes) -> Holder | None:
    """The holder that a file names; None while it is being written."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    found.pop("signs_of_life", None)
    return Holder(**found)


def _in_use(run: RunDirectory, holder: Holder | None) -> RunInUseError:
    who = "another command" if holder is None else f"another command ({holder})"
    return RunInUseError(
        f"{run.root} is in use by {who}. Wait for it, or end it and run this command again."
    )


def _this_process() -> Holder:
    return Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        place=_place(),
        token=uuid.uuid4().hex,
    )


def _place() -> str:
    """Where this process' number means something."""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{machine} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode():x}"
