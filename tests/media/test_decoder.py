"""Decoding in another process, and images that end it."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from curate.media import decoder as decoder_module
from curate.media.decode import decode_image
from curate.media.decoder import Decoder, DecoderError, DecoderKilledError
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.verdict import Drop
from tests.conftest import flat_picture, picture

IMAGES = Images(size=32)


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(ImageRules(), IMAGES)
    yield made
    made.close()


def slow_image() -> bytes:
    """60 million pixels that don't compress."""
    noise = np.random.RandomState(0).randint(0, 256, (1_000, 7_500), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.tile(noise, (8, 1))).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def test_it_decodes_as_this_process_does(decoder: Decoder) -> None:
    for data in (picture(format="JPEG"), b"no image", flat_picture(), picture(200, 90), b""):
        assert decoder.decode(data) == decode_image(data, ImageRules(), IMAGES)


def test_endless_work_is_given_up() -> None:
    decoder = Decoder(ImageRules(decoder_seconds=1), Images(size=7_000))
    started = time.monotonic()
    assert decoder.decode(slow_image()) == Drop("image.decoder_seconds", ">1", 1)
    assert time.monotonic() - started < 20
    assert decoder.decode(picture(63, 63)) == Drop("image.min_side", 63, 64), "it goes on"
    decoder.close()


def test_memory_is_bounded() -> None:
    decoder = Decoder(ImageRules(decoder_megabytes=300), IMAGES)
    outcome = decoder.decode(slow_image())
    assert isinstance(outcome, Drop)
    assert outcome.rule == "image.undecodable"
    assert "MemoryError" in str(outcome.value)
    assert not isinstance(decoder.decode(picture()), Drop)
    decoder.close()


def test_a_crash_costs_one_image(decoder: Decoder) -> None:
    decoder.decode(picture())
    process = decoder._process
    assert process is not None
    crash = threading.Timer(0.2, os.kill, (process.pid, signal.SIGSEGV))
    crash.start()
    assert decoder.decode(slow_image()) == Drop("image.decoder_died", "SIGSEGV")
    assert not isinstance(decoder.decode(picture()), Drop)


def kill_after(decoder: Decoder, seconds: float, times: int) -> threading.Thread:
    """Kill each of so many decoding processes a while after it was seen."""

    def kill() -> None:
        seen: set[int] = set()
        while len(seen) < times:
            process = decoder._process
            if process is not None and process.pid not in seen:
                seen.add(process.pid)
                time.sleep(seconds)
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_an_image_whose_process_is_killed_is_tried_again(decoder: Decoder) -> None:
    killer = kill_after(decoder, 0.05, 2)  # before it is up
    data = picture()
    assert decoder.decode(data) == decode_image(data, ImageRules(), IMAGES)
    killer.join()


def test_a_process_that_is_killed_each_time_is_told(decoder: Decoder) -> None:
    killer = kill_after(decoder, 0.05, 3)
    with pytest.raises(DecoderKilledError, match="was killed 3 times at one image"):
        decoder.decode(picture())
    killer.join()


def test_a_fault_of_the_program_is_raised(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*decoder_module._STARTED_WITH[:-1], "media.no_such_module"]
    monkeypatch.setattr(decoder_module, "_STARTED_WITH", command)
    with pytest.raises(DecoderError, match="exit code 1"):
        decoder.decode(picture())


def test_it_ends_with_its_owner(decoder: Decoder) -> None:
    decoder.decode(picture())
    process = decoder._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    decoder._process = None
