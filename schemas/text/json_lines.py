"""A line of JSON, as files of documents have them."""

from __future__ import annotations

import json
import re
from typing import Any

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def json_line(data: Any) -> bytes:
    r"""One object in UTF-8, with its line end.

    A surrogate that stands alone is no character: it stays the escape (`\udc80`) that it came as.
    """
    text = json.dumps(data, ensure_ascii=False)
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode() + b"\n"
