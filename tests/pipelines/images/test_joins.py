"""The decisions around the exchanges."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.pipelines.images.image_plan import (
    ARCHIVED,
    HTTP,
    INLINE,
    WANTED,
    Reference,
    Resolution,
    bucket_of,
    host_key,
    resolve,
)
from curate.pipelines.images.image_verdicts import Fate, send_back
from curate.pipelines.shards.shards import plan_shards
from curate.runs.plan import InputPart, RunPlan
from curate.schemas.identity import content_key
from curate.schemas.settings.recipe_file import parse_recipe

KEY = b"k" * 16
URL = "http://h.test/i.png"
FATE = Fate(KEY, "", 3, 512, 9, 224, 224, KEY)


def wanted(part: int, documents: int = 1) -> Reference:
    return Reference(WANTED, part, 0, 0, 0, documents, URL)


def archived(part: int, offset: int) -> Reference:
    return Reference(ARCHIVED, part, offset, 50, 0, 0, "")


def test_every_image_is_resolved_once() -> None:
    mentions = {
        KEY: [wanted(0), wanted(1, 2), archived(1, 900), archived(1, 40)],
        b"u" * 16: [archived(0, 7)],
        b"i" * 16: [Reference(INLINE, 2, 0, 0, 0, 0, ""), wanted(2)],
        b"h" * 16: [wanted(3)],
    }
    assert [resolve(group) for group in mentions.items()] == [
        (1, Resolution(KEY, URL, ARCHIVED, 40, 50, 0, 3)),
        None,
        (2, Resolution(b"i" * 16, URL, INLINE, 0, 0, 0, 1)),
        (None, Resolution(b"h" * 16, URL, HTTP, 0, 0, 0, 1)),
    ]


@given(st.permutations([wanted(0), wanted(2), archived(2, 9), archived(1, 5), archived(2, 1)]))
def test_the_order_of_mentions_plays_no_part(mentions: list[Reference]) -> None:
    assert resolve((KEY, mentions)) == (1, Resolution(KEY, URL, ARCHIVED, 5, 50, 0, 2))


def test_one_host_is_one_bucket() -> None:
    assert host_key("http://h.test/1") == host_key("https://H.test/x?y")
    keys = [content_key(str(i)) for i in range(200)]
    assert len({bucket_of(host_key("http://h.test/"), key, 10_000, 5) for key in keys}) == 1
    others = {bucket_of(host_key(f"http://{i}.test/"), KEY, 1, 5) for i in range(99)}
    assert others == set(range(5))


def test_a_host_with_many_images_is_several_buckets() -> None:
    host = host_key("http://h.test/")
    keys = [content_key(str(i)) for i in range(3_000)]
    found = Counter(bucket_of(host, key, 95_000, 1_000) for key in keys)
    assert len(found) == 10
    assert max(found.values()) < 400


def test_fates_go_back_to_every_part_that_wants_the_image() -> None:
    assert list(send_back((KEY, [2, FATE, 5]))) == [(2, FATE), (5, FATE)]


@pytest.mark.parametrize("values", [[1], [1, FATE, FATE]])
def test_a_lost_or_doubled_image_is_a_fault(values: list[int | Fate]) -> None:
    with pytest.raises(ValueError, match="must have 1"):
        list(send_back((KEY, values)))


def test_shards_join_parts_by_their_documents_alone() -> None:
    recipe = parse_recipe(
        {
            "name": "r",
            "sources": {"a": {"format": "text"}, "b": {"format": "text"}},
            "tokenization": {"shard_documents": 10},
        },
        "",
    )
    counts = {"a": [4, 7, 0, 3, 30, 2], "b": [0, 0]}
    parts = tuple(
        InputPart(number=0, source=source, index=i, path="", file_name="", size=0)
        for source, sizes in counts.items()
        for i in range(len(sizes))
    )
    plan = RunPlan(recipe=recipe, fingerprint="", parts=parts)
    documents = {p.name: counts[p.source][p.index] for p in parts}
    tasks = plan_shards(plan, documents)
    assert [([p.index for p in t.parts], t.documents, t.name) for t in tasks] == [
        ([0, 1], 11, "a/shard-00000-of-00003"),
        ([3, 4], 33, "a/shard-00001-of-00003"),
        ([5], 2, "a/shard-00002-of-00003"),
    ]
