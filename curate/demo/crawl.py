"""A small crawler: follows the links of one host and writes a WARC with warcio."""

from __future__ import annotations

import http.client
import io
from collections import deque
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

CAPTURED_PREFIX = "/photos/"
"""Images below this path go into the archive; the others are left for the build to fetch."""
_MAX_RECORDS = 1_000


def crawl(address: str, archive: Path) -> tuple[int, int]:
    """Crawl `http://ADDRESS/` to its end; the number of pages and of images written."""
    start = f"http://{address}/"
    queue, seen = deque([start]), {start}
    pages = images = 0
    with archive.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        info = {"software": "curate demo", "format": "WARC File Format 1.0"}
        writer.write_record(writer.create_warcinfo_record(archive.name, info))
        while queue and pages + images < _MAX_RECORDS:
            url = queue.popleft()
            status, headers, body = _get(url)
            http_headers = StatusAndHeaders(str(status), headers, protocol="HTTP/1.1")
            record = writer.create_warc_record(
                url, "response", payload=io.BytesIO(body), http_headers=http_headers
            )
            writer.write_record(record)
            if dict(headers).get("Content-Type", "").startswith("text/html"):
                pages += 1
                for found in _links(url, body):
                    if found not in seen:
                        seen.add(found)
                        queue.append(found)
            else:
                images += 1
    return pages, images


def _get(url: str) -> tuple[int, list[tuple[str, str]], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


def _links(url: str, body: bytes) -> list[str]:
    tree = LexborHTMLParser(body)
    found = [urljoin(url, n.attributes.get("href") or "") for n in tree.css("a[href]")]
    shown = [urljoin(url, n.attributes.get("src") or "") for n in tree.css("img[src]")]
    found += [s for s in shown if urlsplit(s).path.startswith(CAPTURED_PREFIX)]
    host = urlsplit(url).netloc
    return [f.split("#")[0] for f in found if urlsplit(f).netloc == host]
