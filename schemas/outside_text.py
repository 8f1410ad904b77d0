"""Text that came from outside, made safe to show: on terminals, in messages, in the ledger."""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline: ESC, CSI, OSC and the like
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # unseen, or turn the line
    "\ufff9-\ufffb\ud800-\udfff"  # annotations, surrogates that stand alone
    "\U000e0000-\U000e007f"  # tags
    "]"
)
_LINES = re.compile("[\t\n]")


def visible(text: str) -> str:
    r"""The text with every character escaped that acts on a terminal or hides: `\x1b`, `\u202e`.

    Tabs and newlines stay. What the text itself spells `\x1b` stays, too: the function is for
    people to read, not to be undone.
    """
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str, limit: int = 200) -> str:
    """As `visible`, on one line and of at most `limit` characters: for values and messages."""
    shown = _LINES.sub(_escaped, visible(text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + "\u2026"


def _escaped(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape", "surrogatepass").decode("ascii")
