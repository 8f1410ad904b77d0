"""Text from outside, made fit for a terminal: what would steer it is written as an escape."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

from curate.schemas.text.secrets import masked

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""C0 but newline and tab, DEL, C1; bidirectional marks, overrides and isolates; what has no width;
line and paragraph separators; tags; lone surrogates."""
_BREAKS = re.compile("[\t\n]")


def visible(text: str) -> str:
    r"""The text with every character that steers a terminal, or hides, as `\x1b` or `\u202e`."""
    return _STEERING.sub(_escape, text)


def visible_line(text: str) -> str:
    """As `visible`, and on one line: line ends and tabs are escapes, too."""
    return _BREAKS.sub(_escape, visible(text))


def one_line(text: str, limit: int = 200) -> str:
    """As `visible_line`, and of at most `limit` characters: for values that a stranger chose."""
    shown = visible_line(text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\u2026"


def json_text(data: Any, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """JSON that any terminal can be shown: the same data, with what would steer it as escapes."""
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    return _STEERING.sub(lambda found: _json_escape(found[0]), text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json_escape(character: str) -> str:
    # json.dumps leaves DEL as it is.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


class ShownStream:
    """A text stream that escapes whatever is written to it, and masks secrets where asked to."""

    def __init__(self, stream: TextIO, *, masks: bool) -> None:
        self.raw_stream = stream
        """The stream itself, for what draws on a terminal by intent."""
        self._masks = masks

    def write(self, text: str) -> int:
        self.raw_stream.write(visible(masked(text) if self._masks else text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw_stream, name)
