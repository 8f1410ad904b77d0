"""URL duplicates, of which the latest stays, and documents of equal text."""

from __future__ import annotations

import numpy as np

from curate.dedup.nodes import Columns, is_of_this_run, least, locator
from curate.pipelines.exchange import Outbox, Task
from curate.pipelines.similarity.job import Dropped, Job, chosen, columns_of, pair_up


def send_urls(job: Job, task: Task) -> None:
    """Every document with a URL to the partition of the URL."""
    exchange = job.by_partition("send-urls", "documents")
    nothing = Dropped(job, task.payload, ())
    with exchange.outbox(task.name) as outbox:
        for columns in columns_of(job, task.payload, ["url_key", "captured"], nothing):
            # Earlier runs first, then the latest capture.
            later = np.uint64((1 << 63) - 1) - columns["captured"]
            later |= is_of_this_run(columns["high"]).astype(np.uint64) << np.uint64(63)
            rows = {
                "key": columns["url_key"],
                "later": later,
                "high": columns["high"],
                "low": columns["low"],
            }
            rows = chosen(rows, columns["url_key"] != 0)
            outbox.send(rows, job.partition_of(rows["key"], "documents"))


def find_same_urls(job: Job, task: Task) -> None:
    received = job.by_partition("send-urls", "documents")
    first = least("key", ("later", "high", "low"), received.receive_numbers(task.payload))
    with job.by_group("urls").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            kept = chosen(first.rows, first.index(chunk["key"]))
            _send_dropped(job, outbox, chunk, kept)


def send_contents(job: Job, task: Task) -> None:
    """Every document with text to the partition of the text's hash."""
    exchange = job.by_partition("send-exact", "documents")
    before = Dropped(job, task.payload, job.steps_before("exact"))
    with exchange.outbox(task.name) as outbox:
        for columns in columns_of(job, task.payload, ["content_key", "content_key_2"], before):
            rows = {
                "key": columns["content_key"],
                "key_2": columns["content_key_2"],
                "high": columns["high"],
                "low": columns["low"],
            }
            rows = chosen(rows, (rows["key"] != 0) | (rows["key_2"] != 0))
            outbox.send(rows, job.partition_of(rows["key"], "documents"))


def find_same_contents(job: Job, task: Task) -> None:
    received = job.by_partition("send-exact", "documents")
    first = least("key", ("key_2", "high", "low"), received.receive_numbers(task.payload))
    with job.by_group("exact").outbox(task.name) as outbox:
        for chunk in received.receive_numbers(task.payload):
            kept = chosen(first.rows, first.index(chunk["key"]))
            same = chunk["key_2"] == kept["key_2"]
            _send_dropped(job, outbox, chosen(chunk, same), chosen(kept, same))


def _send_dropped(job: Job, outbox: Outbox, documents: Columns, kept: Columns) -> None:
    """Tell the groups of documents that are not the ones kept; earlier runs lose nothing."""
    lost = locator(documents["low"]) != locator(kept["low"])
    lost &= is_of_this_run(documents["high"])
    pairs = chosen(pair_up(documents, kept), lost)
    outbox.send(pairs, job.group_of(pairs["low"]))
