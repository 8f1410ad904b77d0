"""Which archive records are pages, which are images, and which are neither."""

from __future__ import annotations

from typing import Literal

from curate.schemas.page import Record
from curate.schemas.verdict import Drop

_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_VAGUE_TYPES = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "unknown", "no-type"}
)
_IMAGE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_PAYLOAD_KINDS = ("response", "resource")


def classify_record(record: Record) -> Literal["page", "image"] | Drop:
    """Tell what a record holds, from its status, its type and, where that is vague, its bytes."""
    if record.fault is not None:
        return Drop(record.fault, record.fault_value, record.fault_limit)
    if record.kind not in _PAYLOAD_KINDS:
        return Drop("record.type", record.kind, "response resource")
    if record.status is not None and record.status != 200:
        return Drop("record.http_status", record.status, 200)
    if not record.url.lower().startswith(("http://", "https://")):
        return Drop("record.scheme", record.url.split(":", 1)[0][:32], "http https")
    if not record.payload:
        return Drop("record.empty", 0, 1)
    if record.content_type in _PAGE_TYPES:
        return "page"
    if record.content_type.startswith("image/"):
        return "image"
    if record.content_type in _VAGUE_TYPES:
        if _sniff_image(record.payload):
            return "image"
        if _sniff_html(record.payload):
            return "page"
    return Drop("record.media_type", record.content_type or "none", "text/html image/*")


def _sniff_html(payload: bytes) -> bool:
    head = payload[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def _sniff_image(payload: bytes) -> bool:
    return payload.startswith(_IMAGE_MAGIC) or (payload[:4] == b"RIFF" and payload[8:12] == b"WEBP")
