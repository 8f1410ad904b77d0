from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from curate.pipelines.groups import make_groups, make_ranges
from curate.schemas.identity import content_key


@given(st.lists(st.integers(0, 50)), st.integers(1, 60))
def test_groups_hold_every_number_once_and_no_more_than_fits(rows: list[int], room: int) -> None:
    groups = make_groups(rows, room)
    members = [list(groups.members(group)) for group in range(len(groups))]
    assert [number for group in members for number in group] == list(range(len(rows)))
    for group, numbers in enumerate(members):
        held = sum(rows[number] for number in numbers)
        assert held == groups.costs[group]
        assert held <= room or len(numbers) == 1
        assert {groups.of(number) for number in numbers} == {group}
    assert [task.payload for task in groups.tasks()] == list(range(len(groups)))


def test_ranges_fill_evenly() -> None:
    ranges = make_ranges(1_000_000, room=125_000)
    assert ranges.count == 8
    found = Counter(ranges.of(content_key(str(i))) for i in range(8_000))
    assert set(found) == set(range(8))
    assert max(found.values()) < 1_150
    assert make_ranges(0).of(b"\xff" * 16) == 0
