"""Rules on records, references, images, captions and consent."""

from __future__ import annotations

import pytest

from curate.filters.image import ImageFacts, picture_rule, shape_rule, spread_rule
from curate.filters.node import node_rule
from curate.filters.pair import caption_rule, table_score_rule, table_size_rule
from curate.filters.web.consent import header_rule, meta_rule
from curate.filters.web.record import classify_record
from curate.schemas.document import ImageSegment
from curate.schemas.page import Origin, Record
from curate.schemas.settings.filter_rules import ImageRules, NodeRules, PairRules
from curate.schemas.settings.image_settings import Fetch
from curate.schemas.verdict import Drop, Keep
from tests.conftest import picture

OBELICS = NodeRules(
    banned_url_words=("logo", "icon"),
    formats=("jpg", "jpeg", "png", "webp"),
    min_rendered_side=150,
    max_rendered_aspect=2,
)


def rule_of(verdict: object) -> str | None:
    return verdict.rule if isinstance(verdict, Drop) else None


@pytest.mark.parametrize(
    ("url", "size", "rule"),
    [
        ("http://h/a.jpg", (None, None), None),
        ("http://h/img/logo.png", (None, None), "node.url_word"),
        ("http://h/icons/x.png", (None, None), "node.url_word"),
        ("http://h/iconic.png", (None, None), None),
        ("http://logo.test/a.png", (None, None), None),
        ("http://h/a.gif", (None, None), "node.format"),
        ("http://h/a.php?x=1", (None, None), None),
        ("http://h/a.jpg", (149, 300), "node.min_rendered_side"),
        ("http://h/a.jpg", (150, 301), "node.max_rendered_aspect"),
        ("http://h/a.jpg", (150, 300), None),
        ("data:,00ff", (100, 100), "node.min_rendered_side"),
    ],
)
def test_node(url: str, size: tuple[int | None, int | None], rule: str | None) -> None:
    assert rule_of(node_rule(ImageSegment(url=url, width=size[0], height=size[1]), OBELICS)) == rule


def test_mmc4_wants_an_extension() -> None:
    rules = NodeRules(formats=("png", "jpeg", "jpg"), require_extension=True)
    assert rule_of(node_rule(ImageSegment(url="http://h/a.php"), rules)) == "node.no_extension"
    assert rule_of(node_rule(ImageSegment(url="http://h/a.PNG?w=3"), rules)) is None


def facts(width: int = 100, height: int = 100, **changes: float) -> ImageFacts:
    given = {
        "format": "png",
        "encoded_bytes": 9_000,
        "frames": 1,
        "channel_spread": 90,
        "blank_share": 0.2,
        "sharpness": 400.0,
    }
    return ImageFacts(width=width, height=height, **{**given, **changes})


@pytest.mark.parametrize(
    ("image", "rules", "rule"),
    [
        (facts(64, 64), ImageRules(), None),
        (facts(63, 500), ImageRules(), "image.min_side"),
        (facts(channel_spread=2), ImageRules(), "image.single_color"),
        (facts(channel_spread=2), ImageRules(drop_single_color=False), None),
        (facts(200, 100), ImageRules(max_aspect=2), None),
        (facts(201, 100), ImageRules(max_aspect=2), "image.max_aspect"),
        (facts(201, 100), ImageRules(max_side=200), "image.max_side"),
        (facts(encoded_bytes=5_119), ImageRules(min_bytes=5_120), "image.min_bytes"),
        (facts(), ImageRules(formats=("jpeg",)), "image.format"),
        (facts(100, 101), ImageRules(max_pixels=10_000), "image.max_pixels"),
        (facts(frames=11), ImageRules(max_frames=10), "image.max_frames"),
        (facts(frames=2), ImageRules(), None),
        (facts(frames=2), ImageRules(drop_animated=True), "image.animated"),
        (facts(blank_share=0.99), ImageRules(max_blank_share=0.98), "image.max_blank_share"),
        (facts(sharpness=99.0), ImageRules(min_sharpness=100), "image.min_sharpness"),
        (
            facts(sharpness=100.0, blank_share=0.98),
            ImageRules(min_sharpness=100, max_blank_share=0.98),
            None,
        ),
    ],
)
def test_image(image: ImageFacts, rules: ImageRules, rule: str | None) -> None:
    assert (rule_of(shape_rule(image, rules)) or rule_of(picture_rule(image, rules))) == rule


def test_an_image_on_too_many_pages_is_a_logo() -> None:
    assert spread_rule(10, ImageRules(max_documents=10)) == Keep()
    assert spread_rule(11, ImageRules(max_documents=10)) == Drop("image.max_documents", 11, 10)


@pytest.mark.parametrize(
    ("caption", "rule"),
    [
        ("A cat on a mat", None),
        ("cat", "pair.min_caption_chars"),
        ("x" * 1_001, "pair.max_caption_chars"),
        ("<PERSON> walks by the sea", "pair.tagged_caption"),
        ("a < b and c > d", None),
    ],
)
def test_caption(caption: str, rule: str | None) -> None:
    assert rule_of(caption_rule(caption, PairRules())) == rule


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ({}, None),
        ({"x-robots-tag": "nofollow, max-snippet: 3"}, None),
        ({"x-robots-tag": "noai"}, "consent.header"),
        ({"x-robots-tag": "nofollow, NoImageAI"}, "consent.header"),
        ({"x-robots-tag": "otherbot: noai"}, None),
        ({"x-robots-tag": "otherbot: noindex, curate: noai"}, "consent.header"),
        ({"x-robots-tag": "otherbot: noindex, noai"}, None),
        ({"x-robots-tag": "otherbot: noindex\nnoai"}, "consent.header"),
        ({"x-robots-tag": "unavailable_after: 25 Jun 2030 15:00:00 PST, noml"}, "consent.header"),
        ({"tdm-reservation": "1"}, "consent.tdm_reservation"),
        ({"tdm-reservation": "0"}, None),
    ],
)
def test_consent(headers: dict[str, str], rule: str | None) -> None:
    assert rule_of(header_rule(headers, Fetch())) == rule
    of_page = "consent.meta" if rule == "consent.header" else rule
    assert rule_of(meta_rule(headers, Fetch())) == of_page


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "page"),
        ({"content_type": "application/xhtml+xml"}, "page"),
        ({"content_type": "image/png"}, "image"),
        ({"content_type": "", "payload": b"<!DOCTYPE html><p>x"}, "page"),
        ({"content_type": "application/octet-stream", "payload": picture()}, "image"),
        ({"content_type": "application/octet-stream"}, "record.media_type"),
        ({"content_type": "text/css"}, "record.media_type"),
        ({"status": 404}, "record.http_status"),
        ({"status": None}, "page"),
        ({"kind": "revisit"}, "record.type"),
        ({"url": "dns:h.test"}, "record.scheme"),
        ({"payload": b""}, "record.empty"),
        ({"fault": "record.truncated", "fault_value": "1"}, "record.truncated"),
    ],
)
def test_record(change: dict[str, object], expected: str) -> None:
    fields: dict[str, object] = {
        "origin": Origin(warc_file="w", offset=0),
        "kind": "response",
        "url": "http://h.test/",
        "date": "",
        "status": 200,
        "content_type": "text/html",
        "charset": None,
        "payload": b"<p>text",
    }
    verdict = classify_record(Record(**{**fields, **change}))
    assert (verdict.rule if isinstance(verdict, Drop) else verdict) == expected


@pytest.mark.parametrize(
    ("caption", "rule"),
    [
        ("a ship", "pair.min_caption_words"),
        ("a ship at sea", None),
        ("a ship at sea in May", "pair.max_caption_words"),
    ],
)
def test_words_of_a_caption(caption: str, rule: str | None) -> None:
    rules = PairRules(min_caption_words=3, max_caption_words=5)
    assert rule_of(caption_rule(caption, rules)) == rule


@pytest.mark.parametrize(
    ("size", "tells", "rule"),
    [
        ((200, 600), True, None),
        ((199, 600), True, "pair.min_side"),
        ((600, 199), True, "pair.min_side"),
        ((200, 601), True, "pair.max_aspect"),
        ((None, 600), True, "pair.unknown_size"),
        ((None, None), False, None),
        ((100, 100), False, "pair.min_side"),
    ],
)
def test_sizes_in_a_table(
    size: tuple[int | None, int | None], tells: bool, rule: str | None
) -> None:
    image = ImageSegment(url="http://h/a.jpg", width=size[0], height=size[1])
    rules = PairRules(min_side=200, max_aspect=3)
    assert rule_of(table_size_rule(image, rules, tells)) == rule
    assert rule_of(table_size_rule(image, PairRules(), tells)) is None


@pytest.mark.parametrize(
    ("scores", "rule"),
    [
        ({}, None),
        ({"similarity": 0.3, "nsfw": 0.5, "watermark": 0.8, "aesthetic": 4.5}, None),
        ({"similarity": 0.29}, "pair.min_similarity"),
        ({"nsfw": 0.51}, "pair.max_nsfw"),
        ({"watermark": 0.81}, "pair.max_watermark"),
        ({"aesthetic": 4.4}, "pair.min_aesthetic"),
    ],
)
def test_scores_in_a_table(scores: dict[str, float], rule: str | None) -> None:
    rules = PairRules(min_similarity=0.3, max_nsfw=0.5, max_watermark=0.8, min_aesthetic=4.5)
    named = {f"pair.{name}": value for name, value in scores.items()}
    assert rule_of(table_score_rule(named, rules)) == rule
    assert rule_of(table_score_rule(named, PairRules())) is None
