"""What tags, roles, classes and ids tell about an element."""

from __future__ import annotations

import re
from functools import lru_cache

SKIP, BREAK, LOOK, LEAF, SPECIAL = 1, 2, 4, 8, 16
"""Traits of a tag: its subtree is left out; it begins and ends a line; its attributes are looked
at; it is not descended into; the walk has something of its own to do for it."""

_SKIPPED = (
    "style template iframe object embed applet canvas audio video map head button svg "
    "select option input textarea datalist dialog progress meter frameset nav rp rt"
)
_BREAKING = (
    "html body main article section div center table tbody thead tfoot ul ol dl fieldset form "
    "details blockquote figure header footer aside address hgroup li p pre tr caption dt dd "
    "figcaption hr summary legend optgroup noscript listing xmp td th h1 h2 h3 h4 h5 h6"
)
_LOOKED_AT = "span mjx-container"
_LEAVES = "br img amp-img image source math script"
_SPECIAL = "a td th tr ul ol li pre listing xmp noscript picture figure figcaption"


def _traits() -> dict[str, int]:
    traits: dict[str, int] = {}
    for tags, trait in (
        (_SKIPPED, SKIP),
        (_BREAKING, BREAK | LOOK),
        (_LOOKED_AT, LOOK),
        (_LEAVES, LEAF),
        (_SPECIAL, SPECIAL),
    ):
        for tag in tags.split():
            traits[tag] = traits.get(tag, 0) | trait
    return traits


TRAITS = _traits()
"""Traits by tag; an inline element that needs no care has none."""
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
LANDMARK_BITS = {"table": 1, "aside": 2, "main": 4, "article": 8}
"""Tags that tell something of all that is inside them, as bits."""
PREFORMATTED = frozenset({"pre", "listing", "xmp"})

_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HIDDEN_CLASS = re.compile(
    r"(?:^|\s)(?:visually-?hidden|sr-only|screen-reader-text|mw-editsection|headerlink|"
    r"MathJax(?:_\w+)?|katex-html|line-?num(?:ber)?s?|linenos?|gutter)(?:$|\s)"
)
_LANDMARKS = frozenset(
    "navigation banner contentinfo search dialog alertdialog menu menubar toolbar tablist".split()
)
"""ARIA roles of what stands around the content."""
VISIBILITY = frozenset({"hidden", "role", "style"})
"""Attributes, beside the class and `aria-hidden`, by which an element may be hidden."""


def hides(name: str, value: str) -> bool:
    """Whether an attribute of `VISIBILITY` takes the element from the reader's sight.

    Elements whose role says that they stand around the content count as hidden.
    """
    if name == "style":
        return _HIDDEN_STYLE.search(value) is not None
    if name == "role":
        return value in _LANDMARKS
    return True


# What the words of a class or id say, by topic. A word in /slashes/ counts as a whole word only,
# any other as the beginning or the end of one.
_TOPICS = {
    "comment": "comment disqus discuss /respond/ /reply/ /replies/ trackback pingback",
    "footer": "footer /foot/ bottom colophon",
    "sidebar": "sidebar /side/ aside /rail/ widget /right/ rightcol /secondary/",
    "header": "header masthead /top/ banner /head/",
    "navigation": "navi /nav/ navbar menu breadcrumb crumb /tab/ /tabs/ toolbar sitemap toctree",
    "share": "share sharing social addthis tweet facebook twitter /follow/ /like/ whatsapp",
    "related": "related recommend popular trending /more/ outbrain taboola teaser recirc "
    "readnext suggest similar mostread",
    "advert": "advert /ad/ /ads/ adsense adbox sponsor promo commercial /dfp/ /gpt/",
    "paging": "pagina /pager/ /paging/ /prev/ /next/ previous",
    "tags": "/tag/ /tags/ tagcloud categor taxonomy keyword topics",
    "form": "login search subscri newsletter signup register cookie consent gdpr modal popup "
    "overlay paywall",
    "byline": "byline author /meta/ metadata /date/ /time/ timestamp publish posted dateline "
    "contributor",
    "caption": "caption credit",
    "media": "photo image gallery slide video media carousel player thumb",
    "legal": "copyright legal disclaim license",
    "title": "title headline",
    "summary": "summary /lead/ /lede/ intro standfirst /deck/ excerpt descri abstract",
    "content": "content article story /entry/ /post/ body /text/ /main/ prose hentry",
    "list": "/list/ listing /item/ /items/ /link/ /links/ /feed/",
    "print": "/print/ noprint /email/ /tool/ /tools/ feedback rating /vote/ permalink",
    "quote": "quote",
    "avatar": "avatar /icon/ /icons/ /logo/ emoji badge sprite",
}
TOPICS = tuple(_TOPICS)
TOPIC_BITS = {topic: 1 << index for index, topic in enumerate(TOPICS)}
HIDDEN = 1 << len(TOPICS)
"""Bit of a class by which sites hide what is read out, or add what is no text, as line numbers."""
_WHOLE_WORDS: dict[str, int] = {}
_STEMS: dict[str, int] = {}
for _topic, _words in _TOPICS.items():
    for _word in _words.split():
        (_WHOLE_WORDS if _word.startswith("/") else _STEMS)[_word.strip("/")] = TOPIC_BITS[_topic]
_SHORTEST_STEM = min(map(len, _STEMS))
_LONGEST_STEM = max(map(len, _STEMS))
_LONGEST_WORD = 40
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=65_536)
def topics_of(label: str) -> int:
    """The topics that the words of a class and id name, as bits of `TOPIC_BITS`.

    `sideBar`, `side-bar` and `sidebar` are the same.
    """
    bits = HIDDEN if _HIDDEN_CLASS.search(label) else 0
    for word in _WORD.findall(label):
        bits |= _topics_of_word(word.lower())
    return bits


@lru_cache(maxsize=262_144)
def _topics_of_word(word: str) -> int:
    bits = _WHOLE_WORDS.get(word, 0)
    if len(word) > _LONGEST_WORD:
        return bits
    for size in range(_SHORTEST_STEM, min(len(word), _LONGEST_STEM) + 1):
        bits |= _STEMS.get(word[:size], 0) | _STEMS.get(word[-size:], 0)
    return bits
