from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from curate.schemas.identity import content_key, document_id, image_key, keyed_fraction
from curate.schemas.page import Origin


def test_parts_are_not_confused_when_joined() -> None:
    assert content_key("ab", "c") != content_key("a", "bc")


def test_ids_do_not_change_between_versions() -> None:
    origin = Origin(warc_file="a.warc.gz", offset=17, length=9)
    assert document_id(origin, "http://x/") == "9d73a9e7ad7361d37d83d4226e331632"
    shared = replace(origin, inside=5)
    assert document_id(shared, "http://x/") != document_id(origin, "http://x/")
    assert image_key("http://x/a.png#f") == image_key("http://x/a.png")


@given(st.text(), st.integers(0, 2**32))
def test_a_choice_depends_on_seed_purpose_and_id_alone(item: str, seed: int) -> None:
    share = keyed_fraction(seed, "halving", item)
    assert 0 <= share < 1
    assert share == keyed_fraction(seed, "halving", item)
    assert share != keyed_fraction(seed, "other", item)


def test_choices_are_spread_evenly() -> None:
    shares = [keyed_fraction(0, "halving", str(i)) for i in range(20_000)]
    assert abs(sum(s < 0.5 for s in shares) / 20_000 - 0.5) < 0.01
