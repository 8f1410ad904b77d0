"""Web addresses as they go over the wire: one form for every spelling of the same request."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

import idna

_KEPT = "%/:=&?~+!$,;'@()*[]|"


def wire_address(url: str) -> str:
    """The address in ASCII: host in IDNA, the rest percent-encoded as UTF-8, without fragment.

    What is encoded already stays as it is. An address that can't be put so is returned unchanged:
    the fetcher tells what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
        if ":" in host:
            host = f"[{host}]"
        netloc = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return url
    path, query = quote(parts.path, safe=_KEPT), quote(parts.query, safe=_KEPT)
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def file_name(address: str) -> str:
    """The last component of a file's path or address, without the query of a web address.

    A query may hold a signature, which is no part of what a file is called.
    """
    if address.startswith(("http://", "https://")):
        address = address.split("?", 1)[0].split("#", 1)[0]
    return address.rsplit("/", 1)[-1]
