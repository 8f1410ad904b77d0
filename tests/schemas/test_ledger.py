from __future__ import annotations

from curate.schemas.ledger import Tally


def test_imbalance_is_told_with_its_numbers() -> None:
    tally = Tally()
    tally.came_in["web", "page"] = 5
    tally.went_out["web", "page"] = 3
    tally.dropped["web", "page", "page.language"] = 1
    assert tally.imbalances() == ["web/page: 5 in, 3 out, 1 dropped"]
    tally.dropped["web", "page", "page.min_words"] = 1
    assert tally.imbalances() == []


def test_cut_lines_are_told_but_not_balanced() -> None:
    tally = Tally()
    tally.dropped["web", "line", "pack.line_too_long"] = 2
    assert tally.imbalances() == []


def test_a_tally_survives_json_and_adds_up() -> None:
    tally = Tally()
    tally.came_in["web", "page"] = 2
    tally.dropped["web", "page", "page.language"] = 2
    again = Tally.from_json(tally.to_json())
    assert again == tally
    again.add(tally)
    assert again.came_in["web", "page"] == 4
