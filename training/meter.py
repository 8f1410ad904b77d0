"""Speed of a training step: tokens, time spent waiting for data, share of the device's peak."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from curate.training.loading.batches import Batch
from curate.training.phases import TrainingJob
from curate.training.schedule import flops_of, peak_flops


class StepMeter:
    """Measures one step on one rank, from its making on."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job
        self._started = time.perf_counter()
        self._waited = 0.0
        self._tokens = 0
        self._flops = 0.0

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches, noting what they cost and how long each was waited for."""
        manifest = self._job.shards.manifest
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            rows, length = batch.input_ids.shape
            self._tokens += int((batch.segments >= 0).sum())
            self._flops += flops_of(
                self._job.config.model,
                manifest.vocabulary,
                manifest.image_slots,
                tokens=rows * length,
                attended=rows * length * length / 2,
                images=len(batch.images),
            )
            yield batch

    def speed(self, ranks: int, device_name: str) -> dict[str, Any]:
        """Numbers for the log, once the step is done; MFU where the device's peak is known."""
        seconds = time.perf_counter() - self._started
        told = {
            "seconds": round(seconds, 4),
            "waiting": round(self._waited / seconds, 4),
            "tokens_per_second": round(self._tokens * ranks / seconds, 1),
        }
        peak = peak_flops(device_name)
        if peak is not None:
            told["mfu"] = round(self._flops / seconds / peak, 4)
        return told
