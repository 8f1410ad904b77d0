from __future__ import annotations

import pytest

from curate.schemas.address import wire_address


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("http://h.test/a.png", "http://h.test/a.png"),
        ("http://H.test:8080/a%20b.png?x=%C3%BC#f", "http://h.test:8080/a%20b.png?x=%C3%BC"),
        ("http://h.test/Bär für dich.png", "http://h.test/B%C3%A4r%20f%C3%BCr%20dich.png"),
        ("https://münchen.test/ö?q=ä b", "https://xn--mnchen-3ya.test/%C3%B6?q=%C3%A4%20b"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://user:secret@h.test/x", "http://h.test/x"),
        ("http://h.test:port/x", "http://h.test:port/x"),
        ("http://" + "ü" * 80 + ".test/", "http://" + "ü" * 80 + ".test/"),
        ("data:,00ff", "data:,00ff"),
    ],
)
def test_wire_address(url: str, wire: str) -> None:
    assert wire_address(url) == wire
    assert wire_address(wire) == wire
