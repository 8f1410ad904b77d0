"""Masking of what names a person: e-mail addresses, public IP addresses, phone numbers."""

from __future__ import annotations

import ipaddress
import re

from curate.schemas.settings.text_rules import Masking

EMAIL, ADDRESS, PHONE = "email@example.com", "192.0.2.1", "+0 000 000 0000"
"""What stands in their place: addresses reserved for examples (RFC 2606, RFC 5737)."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_PHONE = re.compile(
    r"(?<![\w+./-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]\d{2,4}){2,4}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?![\w/-]|\.\d)"
)


def mask(text: str, rules: Masking) -> tuple[str, int]:
    """The text with what the rules name replaced, and the number of replacements."""
    count = 0
    if rules.emails and "@" in text:
        text, found = _EMAIL.subn(EMAIL, text)
        count += found
    if rules.ip_addresses:
        parts: list[str] = []
        end = 0
        for address in _IP.finditer(text):
            if _is_public(address.group()):
                parts += [text[end : address.start()], ADDRESS]
                end = address.end()
        text = "".join([*parts, text[end:]])
        count += len(parts) // 2
    if rules.phone_numbers:
        text, found = _PHONE.subn(PHONE, text)
        count += found
    return text, count


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
