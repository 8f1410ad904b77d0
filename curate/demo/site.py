"""The demo's site: a dozen pages in several layouts and languages, pictures, and hostile pages."""

from __future__ import annotations

import base64
from html import escape

from PIL import Image

from curate.demo import pictures
from curate.demo.server import Resource
from curate.demo.texts import ARTICLES, BENCHMARK_ITEM, FOREIGN, SPAM

_NAVIGATION = (
    '<nav><ul><li><a href="/">Home</a></li><li><a href="/lighthouse.html">Lighthouse</a></li>'
    '<li><a href="/bread.html">Bread</a></li><li><a href="/about.html">About</a></li></ul></nav>'
)
_FOOTER = (
    '<footer class="site-footer"><p>Copyright the Harbour Almanac. All rights reserved. '
    '<a href="/privacy">Privacy policy</a> <a href="/terms">Terms of use</a></p></footer>'
)


def build_site() -> dict[str, Resource]:
    """Every path of the site, and what is answered there."""
    site = {path: _html(body) for path, body in _pages().items()}
    links = "".join(f'<li><a href="{path}">{path}</a></li>' for path in sorted(site))
    site["/"] = _html(
        f"<html><head><title>Harbour Almanac</title></head><body>{_NAVIGATION}<ul>{links}</ul>{_FOOTER}</body></html>"
    )
    site["/robots.txt"] = Resource(b"User-agent: *\nDisallow: /private/\n", "text/plain")
    site |= _images()
    site["/windows-1252.html"] = Resource(
        _modern("Café on the quay", "tea").encode("cp1252", "replace"),
        "text/html; charset=windows-1252",
    )
    site["/noai.html"] = Resource(
        _modern("Not for training", "bicycle").encode(),
        "text/html; charset=utf-8",
        headers={"X-Robots-Tag": "noai, noimageai"},
    )
    for path in ("/windows-1252.html", "/noai.html"):
        site["/"] = _html(
            site["/"]
            .body.decode()
            .replace("</ul><footer", f'<li><a href="{path}">x</a></li></ul><footer')
        )
    return site


def _pages() -> dict[str, str]:
    lighthouse = _modern("The lighthouse at the end of the pier", "lighthouse")
    return {
        "/lighthouse.html": lighthouse,
        # Near-duplicates: the same article under other addresses, one with a changed sentence.
        "/archive/lighthouse-2019.html": lighthouse.replace("every evening", "each evening"),
        "/print/lighthouse.html": lighthouse.replace("<h1>", "<h1>Print version: "),
        "/bread.html": _tables("A loaf from the harbour bakery", "bread"),
        "/stars.html": _responsive("Stars over the breakwater", "stars"),
        "/bees.html": _lazy("Bees on the customs house roof", "bees"),
        "/tides.html": _modern("Why there are two tides a day", "tides"),
        "/tea.html": _modern("How the tea clippers lost their race", "tea"),
        "/bicycle.html": _tables("Mending a bicycle by the sea", "bicycle"),
        "/quiz.html": _modern("A quiz night at the harbour", "quiz", extra=BENCHMARK_ITEM),
        "/de/hafen.html": _foreign("de", "Der Hafen am Morgen"),
        "/fr/port.html": _foreign("fr", "Le port au matin"),
        "/ja/minato.html": _foreign("ja", "朝の港"),
        "/spam.html": f"<html><body><h1>WIN NOW</h1><p>{escape(SPAM)}</p>"
        '<img src="/photos/boats.jpg"></body></html>',
        "/hostile/nesting.html": "<html><body>" + "<div>" * 30_000 + "deep</body></html>",
        "/hostile/script.html": _hostile(),
        "/hostile/bytes.html": "<html><body><p>\0\ufffd" + "A" * 50_000 + "</p><img src=x></body>",
        "/hostile/images.html": _hostile_images(),
    }


def _paragraphs(key: str) -> list[str]:
    return [f"<p>{escape(text)}</p>" for text in ARTICLES[key]]


def _page(title: str, body: str, lang: str = "en") -> str:
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        f"<title>{escape(title)} | Harbour Almanac</title></head><body>{_NAVIGATION}"
        f'{body}<aside class="sidebar"><h3>Related</h3><ul><li><a href="/tides.html">Tides</a></li>'
        f'<li><a href="/stars.html">Stars</a></li></ul></aside>{_FOOTER}</body></html>'
    )


def _modern(title: str, key: str, extra: str = "") -> str:
    """An article with figures and captions, pictures in the archive and on the server."""
    first, *rest = _paragraphs(key)
    name = {"lighthouse": "lighthouse", "tides": "tides", "tea": "teapot"}.get(key, "boats")
    body = (
        f'<main><article><h1>{escape(title)}</h1>{first}<figure><img src="/photos/{name}.jpg" '
        f'alt="A drawing of the {name}" width="640" height="420"><figcaption>The {name}, drawn from '
        f'the quay.</figcaption></figure>{rest[0]}<p><img src="/drawings/boats.png" alt="Five boats '
        f'under sail in the harbour"></p>{"".join(rest[1:])}{extra}</article></main>'
    )
    return _page(title, body)


def _tables(title: str, key: str) -> str:
    """A layout table of the old web, with a data table and lists in it."""
    paragraphs = _paragraphs(key)
    data = "<table><tr><th>Part</th><th>Weight</th></tr><tr><td>Flour</td><td>500 g</td></tr><tr><td>Water</td><td>350 g</td></tr></table>"
    steps = "<ol><li>Look at what you have.</li><li>Write down what is missing.</li><li>Begin early.</li></ol>"
    image = {"bread": "bread", "bicycle": "bicycle"}[key]
    cell = (
        f'<h2>{escape(title)}</h2>{paragraphs[0]}<img src="/drawings/{image}.png" alt="A drawing of a '
        f'{image}" width="520">{paragraphs[1]}{data}{steps}{"".join(paragraphs[2:])}'
    )
    return _page(
        title, f'<table><tr><td class="menu"><a href="/">home</a></td><td>{cell}</td></tr></table>'
    )


def _responsive(title: str, key: str) -> str:
    """`picture`, `srcset` and a base address."""
    first, *rest = _paragraphs(key)
    body = (
        f'<article><h1>{escape(title)}</h1>{first}<picture><source type="image/webp" srcset='
        '"/drawings/stars-small.webp 240w, /drawings/stars.webp 480w"><img src="/drawings/stars-small.webp" '
        f'alt="A crescent moon among the stars"></picture>{"".join(rest)}</article>'
    )
    return _page(title, body)


def _lazy(title: str, key: str) -> str:
    """Lazy loading with a noscript fallback, and a data: image."""
    first, *rest = _paragraphs(key)
    inline = base64.b64encode(pictures.png(pictures.tides().resize((160, 75)))).decode()
    body = (
        f'<div class="entry-content"><h1>{escape(title)}</h1>{first}<img class="lazy" '
        'src="/drawings/placeholder.gif" data-src="/photos/hive.jpg" alt="Honeycomb cells in many shades">'
        '<noscript><img src="/photos/hive.jpg" alt="Honeycomb cells in many shades"></noscript>'
        f'{rest[0]}<img src="data:image/png;base64,{inline}" alt="Hive weight over two seasons">'
        f"{''.join(rest[1:])}</div>"
    )
    return _page(title, body)


def _foreign(lang: str, title: str) -> str:
    text = "".join(f"<p>{escape(p)}</p>" for p in FOREIGN[lang])
    return _page(
        title,
        f'<article><h1>{title}</h1>{text}<img src="/photos/boats.jpg" alt=""></article>',
        lang,
    )


def _hostile() -> str:
    first, *rest = _paragraphs("quiz")
    evil = "<script>alert(1)</script>"
    body = (
        f'<article><h1>{escape(evil)}</h1>{first}<img src="/drawings/boats.png" '
        f'alt="{escape(evil)}" onerror="alert(2)"><img src="javascript:alert(3)">'
        f"{''.join(rest)}<p>Text that spells &lt;image&gt; and &lt;/s&gt; is text.</p></article>{evil}"
    )
    return _page(evil, body)


def _hostile_images() -> str:
    first, *rest = _paragraphs("tides")
    bad = ("metadata", "noai", "missing", "broken", "flat", "tiny", "text")
    tags = "".join(f'<img src="/bad/{name}.png" alt="bad {name}">' for name in bad)
    body = (
        f"<article><h1>Pictures that must not come through</h1>{first}{tags}"
        f'<img src="/private/secret.png" alt="not for robots">{"".join(rest)}'
        '<p><img src="/photos/boats.jpg" alt="The one good picture of this page"></p></article>'
    )
    return _page("Bad pictures", body)


def _images() -> dict[str, Resource]:
    drawn = {
        "/photos/lighthouse.jpg": (pictures.jpeg(pictures.lighthouse()), "image/jpeg"),
        "/photos/boats.jpg": (pictures.jpeg(pictures.boats()), "image/jpeg"),
        "/photos/tides.jpg": (pictures.jpeg(pictures.tides()), "image/jpeg"),
        "/photos/teapot.jpg": (pictures.jpeg(pictures.teapot()), "image/jpeg"),
        "/photos/hive.jpg": (pictures.jpeg(pictures.hive()), "image/jpeg"),
        "/drawings/boats.png": (pictures.png(pictures.boats()), "image/png"),
        "/drawings/bread.png": (pictures.png(pictures.bread()), "image/png"),
        "/drawings/bicycle.png": (pictures.png(pictures.bicycle()), "image/png"),
        "/drawings/stars.webp": (pictures.webp(pictures.stars()), "image/webp"),
        "/drawings/stars-small.webp": (
            pictures.webp(pictures.stars().resize((240, 240))),
            "image/webp",
        ),
        "/private/secret.png": (pictures.png(pictures.bread()), "image/png"),
        "/bad/flat.png": (pictures.png(Image.new("RGB", (300, 200), (200, 30, 30))), "image/png"),
        "/bad/tiny.png": (pictures.png(pictures.boats().resize((40, 30))), "image/png"),
        "/bad/broken.png": (pictures.png(pictures.boats())[:900], "image/png"),
        "/bad/text.png": (b"this is no picture at all", "image/png"),
    }
    site = {path: Resource(body, kind) for path, (body, kind) in drawn.items()}
    site["/bad/noai.png"] = Resource(
        pictures.png(pictures.bread()), "image/png", headers={"X-Robots-Tag": "noai"}
    )
    site["/bad/metadata.png"] = Resource(
        b"", "text/plain", 302, {"Location": "http://169.254.169.254/latest/meta-data/"}
    )
    return site


def _html(body: str) -> Resource:
    return Resource(body.encode("utf-8", "replace"), "text/html; charset=utf-8")
