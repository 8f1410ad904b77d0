"""Decoding in a process of its own, so that a hostile image costs one ledger row and no run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO, Any

from curate.filters.image import ImageFacts
from curate.media.decode import EncodedImage
from curate.media.decoder_process import LENGTH
from curate.media.fingerprint import Fingerprint
from curate.schemas.errors import CurateError
from curate.schemas.processes import python_module, safe_environment
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.verdict import Drop

_PIPE_BYTES = 1 << 20
"""Room for most images, so that neither process waits for the other halfway through one."""
_STARTED_WITH = python_module("curate.media.decoder_process")


_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that no image causes: the system that is short of memory, or a person, sent them."""
_TRIES = 3


class DecoderError(RuntimeError):
    """The decoding process ended by itself: a fault of the program, told on standard error."""


class DecoderKilledError(CurateError):
    """The decoding process was ended from outside, over and over."""


class Decoder:
    """One decoding process, started when it is first needed and again after it died.

    For one thread at a time.
    """

    def __init__(self, rules: ImageRules, images: Images) -> None:
        self._rules = rules
        self._settings = json.dumps(
            {"rules": rules.model_dump(mode="json"), "images": images.model_dump(mode="json")}
        ).encode()
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes) -> EncodedImage | Drop:
        """`media.decode.decode_image` in the other process.

        An image whose process was ended from outside is tried again: what a machine is short of
        must not decide which images are kept.

        Raises:
            DecoderError: it has a fault.
            DecoderKilledError: it was ended from outside each time.
        """
        for _ in range(_TRIES):
            outcome = self._try(data)
            if outcome is not None:
                return outcome
        raise DecoderKilledError(
            f"the process that decodes images was killed {_TRIES} times at one image; usually the "
            "system ran out of memory. Use fewer --workers, or a smaller "
            "filters.image.decoder_megabytes"
        )

    def _try(self, data: bytes) -> EncodedImage | Drop | None:
        """The outcome; None if the process was ended from outside."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(LENGTH.pack(len(data)) + data)
            process.stdin.flush()
            told = _read(process.stdout)
            jpeg = _read(process.stdout)
        except (EOFError, BrokenPipeError):
            return self._death(process)
        return _outcome(json.loads(told), jpeg)

    def close(self) -> None:
        """End the process; the next image starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                _STARTED_WITH,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
                # One thread does all there is to do; more would only take address space.
                env={
                    **safe_environment(),
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
            )
            assert self._process.stdin is not None
            self._process.stdin.write(self._settings + b"\n")
        return self._process

    def _death(self, process: subprocess.Popen[bytes]) -> Drop | None:
        process.communicate()
        self._process = None
        code = process.returncode
        if code == -signal.SIGPROF:
            seconds = self._rules.decoder_seconds
            return Drop("image.decoder_seconds", f">{seconds}", seconds)
        if -code in _FROM_OUTSIDE:
            return None
        if code >= 0:
            raise DecoderError(f"the decoding process ended with exit code {code}")
        return Drop("image.decoder_died", signal.Signals(-code).name)


def _read(stream: IO[bytes]) -> bytes:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    size = LENGTH.unpack(head)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _outcome(told: dict[str, Any], jpeg: bytes) -> EncodedImage | Drop:
    if "drop" in told:
        return Drop(*told["drop"])
    marks = told["fingerprint"]
    return EncodedImage(
        jpeg=jpeg,
        width=told["width"],
        height=told["height"],
        facts=ImageFacts(**told["facts"]),
        fingerprint=Fingerprint(**{**marks, "thumbnail": bytes.fromhex(marks["thumbnail"])}),
    )
