"""Addresses without their secrets: userinfo and signed query parameters are masked."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

MASK = "***"
# A password may hold a slash that should have been escaped; a port is no password.
_USERINFO = re.compile(r"(://)(?:[^/\s?#@]*@|[^/\s?#@:]+:(?!\d+(?:[/?#\s]|$))[^\s@]*@)+")
_RUN = re.compile(r"\S+")
_PARAMETER = re.compile(r"(?<=[?&;#])([^=?&;#\s]+)=([^&#\s]*)")
_NAMES = frozenset(
    "sig signature token key apikey auth authorization jwt password passwd pwd pass secret "
    "credential credentials policy session sessionid code expires awsaccesskeyid googleaccessid "
    # A shared access signature of Azure.
    "se sp sv sr st srt ss spr sip skoid sktid skt ske sks skv".split()
)
_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-cos-")
_ENDS = (
    "token",
    "secret",
    "password",
    "signature",
    "credential",
    "key",
    "keyid",
    "key-id",
    "pair-id",
)
_CLOSING = "'\"()[]{}<>.,:;"


def masked(text: str) -> str:
    """A text, or an address by itself, with the secrets of the addresses in it masked.

    Masking what is masked changes nothing, and neither does masking an address without secrets.
    """
    if "@" in text:
        text = _RUN.sub(_masked_userinfo, text)
    return _PARAMETER.sub(_masked_parameter, text)


def masked_data(data: Any) -> Any:
    """Plain data (mappings, lists, texts) with every text in it masked."""
    if isinstance(data, str):
        return masked(data)
    if isinstance(data, dict):
        return {key: masked_data(value) for key, value in data.items()}
    if isinstance(data, list):
        return [masked_data(value) for value in data]
    return data


def _masked_userinfo(found: re.Match[str]) -> str:
    """A run without spaces; only before its last `@` is looked for, or each `://` would look on."""
    before, at, behind = found[0].rpartition("@")
    return _USERINFO.sub(rf"\1{MASK}@", before + at) + behind


def _masked_parameter(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    if not value or not _is_secret(unquote(name)):
        return found[0]
    # What closes a quotation or a sentence after the address is none of it.
    closing = value[len(value.rstrip(_CLOSING)) :]
    return f"{name}={MASK}{closing}"


def _is_secret(name: str) -> bool:
    plain = name.lower().replace("_", "-")
    return plain in _NAMES or plain.startswith(_PREFIXES) or plain.endswith(_ENDS)
