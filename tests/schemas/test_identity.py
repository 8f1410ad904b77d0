from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import content_key, document_id, image_key, keyed_fraction


def test_parts_are_not_confused_when_joined() -> None:
    assert content_key("ab", "c") != content_key("a", "bc")


def test_ids_do_not_change_between_versions() -> None:
    assert document_id("a.warc.gz", 17, "http://x/") == "9d73a9e7ad7361d37d83d4226e331632"
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
