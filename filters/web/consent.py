"""Consent as servers and pages express it: robots directives and the TDM reservation protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from curate.schemas.settings.image_settings import Fetch
from curate.schemas.verdict import KEEP, Drop, Verdict

# Directives whose value follows a colon; what stands before any other colon is a user agent.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})


def header_rule(headers: Mapping[str, str], rules: Fetch) -> Verdict:
    """Judge the response headers (lower-case names) of a page or an image.

    A directive counts when its line of X-Robots-Tag names no user agent before it, or ours.
    `tdm-reservation: 1` reserves the rights of text and data mining (W3C TDMRep).
    """
    for line in headers.get("x-robots-tag", "").lower().splitlines():
        scope = ""
        for directive in line.split(","):
            name, colon, rest = directive.partition(":")
            name = name.strip()
            if colon and name not in _VALUED:
                scope, name = name, rest.strip()
            if scope in ("", rules.robots_token.lower()) and name in rules.disallowed_directives:
                return Drop("consent.header", name)
    if rules.honour_tdm_reservation:
        reservation = re.match(r"\s*(\d)", headers.get("tdm-reservation", ""))
        if reservation and reservation.group(1) == "1":
            return Drop("consent.tdm_reservation", "1")
    return KEEP


def meta_rule(consent: Mapping[str, str], rules: Fetch) -> Verdict:
    """Judge what the head of a page says in `<meta>` elements, given as the headers that say it."""
    verdict = header_rule(consent, rules)
    if isinstance(verdict, Drop) and verdict.rule == "consent.header":
        return replace(verdict, rule="consent.meta")
    return verdict
