"""The character set of a page: BOM, HTTP header, meta, then detection."""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_WINDOW = 4096
_DETECTION_WINDOW = 16_384
_MAX_REPLACED = 0.002
"""Share of undecodable characters above which a declared charset is not believed."""

# The WHATWG Encoding Standard decodes these labels by the superset that browsers use.
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}


def to_utf8(html: bytes, declared: str | None) -> bytes:
    """The page in UTF-8; bytes that no charset explains become U+FFFD.

    A page that is in UTF-8 is given back as it is.

    Args:
        html: the bytes as served, after content decoding.
        declared: charset of the Content-Type header, if any.

    A page that is valid UTF-8 with at least one multi-byte character is read as UTF-8 whatever it
    declares: text in another charset practically never is, and many archives re-encoded pages
    without touching their declarations.
    """
    for bom, name in _BOMS:
        if html.startswith(bom):
            return html[len(bom) :].decode(name, "replace").encode()
    if html.isascii() and b"\x1b" not in html:
        return html
    try:
        html.decode("utf-8")
        return html
    except UnicodeDecodeError as error:
        first_fault = error.start
    meta = _META.search(html, 0, _META_WINDOW)
    for label in (declared, meta.group(1).decode("ascii", "replace") if meta else None):
        if label and (codec := _codec(label)):
            text = html.decode(codec, "replace")
            if text.count("\ufffd") <= _MAX_REPLACED * len(text):
                return text.encode()
    return html.decode(_detect(html, first_fault), "replace").encode()


def _codec(label: str) -> str | None:
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    name = _SUPERSETS.get(name, name)
    return name if codecs.lookup(name)._is_text_encoding else None


def _detect(html: bytes, first_fault: int) -> str:
    """The likeliest charset, judged from where the page stops being UTF-8."""
    window = html[max(0, first_fault - 1024) : first_fault + _DETECTION_WINDOW]
    return _codec(detect_encoding(window) or "") or "cp1252"
