"""The process that decodes images, apart from the one that reads, fetches and writes.

    python -m media.decoder_process < requests > answers

First comes a line of JSON with the rules; then each request is a length and the bytes of an image,
each answer a length and JSON, a length and the JPEG. A crash in a decoder, endless work and too
much memory end this process and cost one image.
"""

from __future__ import annotations

import json
import resource
import signal
import struct
import sys
from dataclasses import asdict
from typing import IO, Any

from curate.media.decode import EncodedImage, decode_image
from curate.schemas.settings.filter_rules import ImageRules
from curate.schemas.settings.image_settings import Images
from curate.schemas.text.shown import ShownStream
from curate.schemas.verdict import Drop

LENGTH = struct.Struct("<I")


def main() -> None:
    sys.stderr = ShownStream(sys.stderr, masks=True)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    settings = json.loads(requests.readline())
    rules = ImageRules.model_validate(settings["rules"])
    images = Images.model_validate(settings["images"])
    memory = rules.decoder_megabytes << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while head := requests.read(LENGTH.size):
        data = requests.read(LENGTH.unpack(head)[0])
        # At the limit the default action ends the process.
        signal.setitimer(signal.ITIMER_PROF, rules.decoder_seconds)
        outcome = decode_image(data, rules, images)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _answer(answers, outcome)


def _answer(answers: IO[bytes], outcome: EncodedImage | Drop) -> None:
    told: dict[str, Any]
    if isinstance(outcome, Drop):
        told, jpeg = {"drop": [outcome.rule, outcome.value, outcome.limit]}, b""
    else:
        marks = asdict(outcome.fingerprint)
        marks["thumbnail"] = outcome.fingerprint.thumbnail.hex()
        told = {
            "width": outcome.width,
            "height": outcome.height,
            "facts": asdict(outcome.facts),
            "fingerprint": marks,
        }
        jpeg = outcome.jpeg
    text = json.dumps(told).encode()
    answers.write(LENGTH.pack(len(text)) + text + LENGTH.pack(len(jpeg)) + jpeg)
    answers.flush()


if __name__ == "__main__":
    main()
