from __future__ import annotations

import pytest

from curate.schemas.http_headers import add_header, headers_of


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("Content-Type", " text/html ")], {"content-type": "text/html"}),
        ([("Vary", "Accept"), ("VARY", "Cookie")], {"vary": "Accept, Cookie"}),
        (
            [("X-Robots-Tag", "otherbot: noindex"), ("x-robots-tag", "noai, noml")],
            {"x-robots-tag": "otherbot: noindex\nnoai, noml"},
        ),
    ],
)
def test_lines_of_one_name(lines: list[tuple[str, str]], expected: dict[str, str]) -> None:
    headers: dict[str, str] = {}
    for name, value in lines:
        add_header(headers, name, value)
    assert headers == headers_of(lines) == expected
