"""Rules on a page's address, before the page is parsed: block lists and words."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

import fsspec

from curate.filters.words import ADULT_SOFT_WORDS, ADULT_WORDS, ListError, shipped_words
from curate.schemas.settings.filter_rules import UrlRules
from curate.schemas.verdict import KEEP, Drop, Verdict

_WORDS = re.compile(r"[^\W_]+")


def url_rule(url: str, rules: UrlRules) -> Verdict:
    """Drop addresses that are listed, lie below a listed domain, or hold listed words.

    Raises:
        ListError: a list can't be read.
    """
    if rules.blocked_domains:
        host = (urlsplit(url).hostname or "").lower()
        listed = _entries(rules.blocked_domains)
        labels = host.split(".")
        for start in range(len(labels)):
            domain = ".".join(labels[start:])
            if domain in listed:
                return Drop("url.blocked_domain", domain)
    if rules.blocked_urls and _bare(url) in _entries(rules.blocked_urls):
        return Drop("url.blocked", _bare(url))
    if rules.banned_words or rules.soft_words or rules.banned_substrings or rules.adult_words:
        return _word_rule(unquote(url).lower(), rules)
    return KEEP


def _word_rule(url: str, rules: UrlRules) -> Verdict:
    """RefinedWeb, appendix G.1: a strict word, or two soft ones, take the page."""
    words = _WORDS.findall(url)
    banned, soft_words = frozenset(rules.banned_words), frozenset(rules.soft_words)
    if rules.adult_words:
        banned |= shipped_words(ADULT_WORDS)
        soft_words |= shipped_words(ADULT_SOFT_WORDS)
    for word in words:
        if word in banned:
            return Drop("url.banned_word", word)
    soft = sorted(soft_words.intersection(words))
    if len(soft) >= rules.max_soft_words:
        return Drop("url.soft_words", " ".join(soft), rules.max_soft_words)
    for part in rules.banned_substrings:
        if part in url:
            return Drop("url.banned_substring", part)
    return KEEP


def _bare(url: str) -> str:
    """Without scheme, `www.` and a slash at the end."""
    bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", url.strip().lower())
    return bare.removeprefix("www.").rstrip("/")


@lru_cache(maxsize=8)
def _entries(paths: tuple[str, ...]) -> frozenset[str]:
    found: set[str] = set()
    for path in paths:
        try:
            with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as stream:
                for line in stream:
                    entry = line.split("#")[0].strip()
                    if entry:
                        found.add(_bare(entry))
        except (OSError, UnicodeDecodeError) as error:
            raise ListError(f"filters.url: the list {path} can't be read: {error}") from error
    return frozenset(found)
