"""What tags, roles, classes and ids tell about an element."""

from __future__ import annotations

import re
from functools import lru_cache

SKIPPED = frozenset(
    "script style template svg iframe object embed applet canvas audio video map head button "
    "select option input textarea datalist dialog progress meter frameset nav footer rp rt".split()
)
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
CONTAINERS = frozenset(
    "html body main article section div center table tbody thead tfoot ul ol dl fieldset form "
    "details blockquote figure header aside address hgroup td th li".split()
)
BREAKING = (
    (CONTAINERS - {"td", "th"})
    | HEADINGS
    | frozenset(
        "p pre tr caption dt dd figcaption hr summary legend optgroup noscript listing xmp".split()
    )
)
"""Elements that begin and end a block; a table cell only parts the line of its row."""
PREFORMATTED = frozenset({"pre", "listing", "xmp", "textarea"})
LANDMARKS = frozenset(
    "navigation banner contentinfo search complementary dialog alertdialog menu menubar toolbar "
    "tablist status".split()
)
"""ARIA roles of what stands around the content."""
_UNLIKELY_WORDS = r"""
    comments? commentlist disqus discussion replies respond trackbacks? pingback
    footer foot footnav sidebar side-?bar widgets? sphinxsidebar navheader navfooter
    share sharing sharebar social sociable addthis feedback rating
    related recommend\w* suggest\w* outbrain taboola most-?popular popular trending more-?stories
    promo\w* sponsor\w* advert\w* ads? adsense adbox banner
    nav navbar navigation navi menu submenu topnav breadcrumbs? crumbs? toolbar masthead jump
    pagination pager paging prev-?next post-?nav tags? taglist tagcloud read-?more permalink
    cookies? consent gdpr newsletter subscribe\w* subscription signup sign-up login log-in register
    popup pop-up modal overlay search searchbox search-?form rss shoutbox
    skip-?link skip toc-?link headerlink editsection mw-editsection
    noprint print-?only hidden visually-?hidden sr-only screen-reader-text
    byline author-?bio authorbox meta-?data copyright legal disclaimer caption-credit
"""
_UNLIKELY = re.compile(
    rf"(?:^|[\s_-])(?:{'|'.join(_UNLIKELY_WORDS.split())})(?:$|[\s_-])", re.IGNORECASE
)
_LIKELY = re.compile(
    r"(?:article|entry|post|story|text|page|blog|main|body)[\s_-]?"
    r"(?:body|content|text|inner|area)|articlebody|storybody|mainbody|maincontent|"
    r"(?:^|[\s_-])(?:content|main|article|entry|hentry)(?:$|[\s_-])",
    re.IGNORECASE,
)
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def is_unlikely(label: str) -> bool:
    """Whether a class and id name boilerplate, and nothing says that content is meant."""
    return _UNLIKELY.search(label) is not None and _LIKELY.search(label) is None


@lru_cache(maxsize=65_536)
def is_likely(label: str) -> bool:
    """Whether a class and id name the main content."""
    return _LIKELY.search(label) is not None
