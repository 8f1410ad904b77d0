"""What a fetch ends as: the bytes, or a failure whose rule goes to the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

from curate.media.transport import KINDS
from curate.schemas.verdict import Drop

STATUSES = frozenset(map(int, HTTPStatus)) | frozenset({520, 521, 522, 523, 524, 525, 526, 530})
"""Those that have a rule of their own: IANA's registry, and Cloudflare's."""
FAULT = "fetch.fault"
RULES = frozenset(
    {
        "consent.header",
        "consent.robots",
        "consent.robots_unreachable",
        "consent.tdm_reservation",
        "fetch.address",
        "fetch.blocked_address",
        "fetch.content_encoding",
        "fetch.dns",
        "fetch.http_status",
        "fetch.redirects",
        "fetch.scheme",
        "fetch.too_large",
        FAULT,
        *(f"fetch.{kind}" for kind in KINDS),
        *(f"fetch.http_{status}" for status in STATUSES),
    }
)
"""Every rule that a failure can have; no server makes another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A whole response."""

    body: bytes
    url: str
    """Where the body came from, after redirects."""
    time: str
    """ISO 8601, UTC."""
    consent: dict[str, str]
    """Evidence: what robots.txt and the headers said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no body."""

    drop: Drop
    retryable: bool
    """Whether another try can succeed now, or in a later run."""
    only_later: bool = False
    """No other try in this run: the host was given up on."""
    retry_after: float = 0.0
    status: int = 0
    """Of the response, if there was one."""
    consent: dict[str, str] = field(default_factory=dict)


def failed(
    rule: str,
    value: str | int,
    limit: str | float | int = "",
    *,
    retryable: bool = False,
    retry_after: float = 0.0,
) -> Failure:
    """A failure by a rule, which nothing of a server's had a part in naming."""
    return Failure(drop=Drop(rule, value, limit), retryable=retryable, retry_after=retry_after)
