from __future__ import annotations

import codecs

import pytest

from curate.extraction.charset import to_utf8

GERMAN = "Grüße aus Köln, schöne Straßen und süße Äpfel überall in der großen Stadt. " * 4
JAPANESE = "早朝の港はまだ静かです。起きているのはカモメだけです。" * 6


@pytest.mark.parametrize(
    ("html", "declared", "expected"),
    [
        pytest.param(codecs.BOM_UTF8 + "ü".encode(), "latin-1", "ü", id="BOM beats header"),
        pytest.param("ü".encode("utf-16"), None, "ü", id="UTF-16 BOM"),
        pytest.param(GERMAN.encode("cp1252"), "iso-8859-1", GERMAN, id="header"),
        pytest.param(b"\x93quoted\x94", "iso-8859-1", "“quoted”", id="latin-1 means cp1252"),
        pytest.param(
            b'<meta charset="windows-1252">' + GERMAN.encode("cp1252"),
            None,
            '<meta charset="windows-1252">' + GERMAN,
            id="meta",
        ),
        pytest.param(
            b'<meta http-equiv=Content-Type content="text/html; charset=shift_jis">'
            + JAPANESE.encode("cp932"),
            None,
            '<meta http-equiv=Content-Type content="text/html; charset=shift_jis">' + JAPANESE,
            id="http-equiv",
        ),
        pytest.param(JAPANESE.encode("euc_jp"), None, JAPANESE, id="detection"),
        pytest.param(GERMAN.encode(), "windows-1252", GERMAN, id="UTF-8 that lies about itself"),
        pytest.param(JAPANESE.encode("cp932"), "utf-8", JAPANESE, id="header that lies"),
        pytest.param(b"abc", "no-such-charset", "abc", id="unknown label"),
        pytest.param(GERMAN.encode("cp1252"), "hex", GERMAN, id="a codec that is no charset"),
    ],
)
def test_decode(html: bytes, declared: str | None, expected: str) -> None:
    assert to_utf8(html, declared).decode() == expected
