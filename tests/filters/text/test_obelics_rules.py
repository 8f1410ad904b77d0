"""OBELICS's rules on paragraphs and documents, and the lists of words that they use."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.filters.text.ccnet import ccnet_normalized
from curate.filters.text.families import apply_text_rules
from curate.filters.text.obelics import obelics_document_rule, obelics_paragraph
from curate.filters.web.address import url_rule
from curate.filters.words import ListError
from curate.schemas.document import Document, ImageSegment, TextSegment
from curate.schemas.page import Origin
from curate.schemas.settings.filter_rules import UrlRules
from curate.schemas.settings.text_rules import ObelicsRules, TextRules
from curate.schemas.verdict import Drop, Keep

PLAIN = (
    "The fishermen of the bay have to be out with the first light, and that is early in the year."
)
RULES = ObelicsRules()


def rule_of(verdict: object) -> str | None:
    return verdict.rule if isinstance(verdict, Drop) else None


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (PLAIN, None),
        ("The boats of the bay.", None),
        ("The boats of", "min_words"),
        ("( -- ) The ! boats * of", "min_words"),  # marks are no words
        ("the boat and " * 400, "max_words"),
        ("It is what it is, and it is what it is, and it is what it is.",
         "max_character_repetition"),
        ("In 1987 to 1992: 300-400 (of 12,000) at $12.50, or $9.75", "max_special_characters"),
        ("Fresh herring boats nets harbour weather report", "min_stop_words"),
        (f"{PLAIN} It is the porn of this.", "max_flagged_words"),
        (PLAIN.replace(",", "").replace(".", ""), "min_punctuation"),
        ("The fishermen of the bay have to be out", None),  # too short to ask for marks
    ],
)  # fmt: skip
def test_paragraphs(line: str, rule: str | None) -> None:
    expected = None if rule is None else f"obelics.paragraph.{rule}"
    assert rule_of(obelics_paragraph(line, RULES)) == expected


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (PLAIN, None),
        ("The boats of the bay are in.", "min_words"),
        # What a paragraph may be, a document may not: 31 to 35 % of stop words, few marks.
        ("Herring boats are out, old nets hang over the wall, winter weather brings many gales, "
         "children carry heavy baskets.", "min_stop_words"),
        (PLAIN.replace(",", "").replace(".", ""), "min_punctuation"),
    ],
)  # fmt: skip
def test_documents(text: str, rule: str | None) -> None:
    expected = None if rule is None else f"obelics.document.{rule}"
    assert rule_of(obelics_document_rule(text, RULES)) == expected


def test_words_repeat_where_characters_may() -> None:
    limits = RULES.paragraph.model_copy(update={"max_character_repetition": None})
    rules = RULES.model_copy(update={"paragraph": limits})
    verdict = obelics_paragraph("Now here we go again. And now, here we go again! So it is.", rules)
    assert isinstance(verdict, Drop)
    assert verdict.rule == "obelics.paragraph.max_word_repetition"
    assert verdict.value == pytest.approx(2 / 10)


def test_scores_are_kept() -> None:
    kept = obelics_document_rule("The boats of the bay are in. " + PLAIN, RULES)
    assert isinstance(kept, Keep)
    scores = dict(kept.scores)
    assert scores["obelics.document.words"] == 27
    assert scores["obelics.document.punctuation"] == pytest.approx(3 / 27)
    assert scores["obelics.document.flagged_words"] == 0
    assert "obelics.document.common_words" not in scores, "no list is given"


def test_lists_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "spam.txt").write_text("# sales\nBuy cheap\nnow\n")
    (tmp_path / "common.txt").write_text("the boats of bay are in and out buy it cheap now")
    spam = RULES.model_copy(update={"spam_words": str(tmp_path / "spam.txt")})
    assert obelics_paragraph("The boats of the bay are in", spam) is None
    sale = "Buy the boats of the bay cheap now and be in it"
    assert rule_of(obelics_paragraph(sale, spam)) == "obelics.paragraph.max_spam_words"
    common = RULES.model_copy(update={"common_words": str(tmp_path / "common.txt")})
    assert obelics_paragraph("The boats of the bay are in", common) is None
    rare = "The quern of the croft is in the byre"
    assert rule_of(obelics_paragraph(rare, common)) == "obelics.paragraph.min_common_words"
    flagged = RULES.model_copy(update={"flagged_words": str(tmp_path / "spam.txt")})
    assert rule_of(obelics_paragraph(sale, flagged)) == "obelics.paragraph.max_flagged_words"
    missing = RULES.model_copy(update={"stop_words": "no-such-list"})
    with pytest.raises(ListError, match=r"filters\.text\.obelics\.stop_words.*no-such-list"):
        obelics_paragraph(sale, missing)


def test_paragraphs_go_and_then_the_document_is_judged() -> None:
    image = ImageSegment(url="http://h/a.jpg")
    told: list[Drop] = []

    def judged(text: str) -> Document | Drop:
        document = Document(
            id="d",
            url="http://h/",
            source="s",
            segments=(TextSegment(text=text), image),
            origin=Origin(warc_file="", offset=0),
        )
        return apply_text_rules(document, TextRules(obelics=RULES), told.append)

    left = judged(f"Menu\n{PLAIN}\nShare on")
    assert isinstance(left, Document)
    assert left.segments == (TextSegment(text=PLAIN), image)
    assert [d.rule for d in told] == ["obelics.paragraph.min_words"] * 2
    assert rule_of(judged("Menu\nShare on")) == "obelics.nothing_left"
    assert rule_of(judged("Menu\nThe boats of the bay.")) == "obelics.document.min_words"
    assert len(told) == 2, "lines of a document that goes are not told"


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://h.test/pornography-law", None),
        ("http://h.test/essex/analysis", None),
        ("http://www.xxx.test/", "url.banned_word"),
        ("http://h.test/a?q=PORN", "url.banned_word"),
        ("http://h.test/sex-education", None),
        ("http://h.test/hot-teen", "url.soft_words"),
        ("http://h.test/webcam/harbour", None),
    ],
)
def test_adult_addresses(url: str, rule: str | None) -> None:
    assert rule_of(url_rule(url, UrlRules(adult_words=True))) == rule
    assert rule_of(url_rule(url, UrlRules())) is None


@pytest.mark.parametrize(
    ("line", "normalized"),
    [
        ("  It was 1987,  or so ", "it was 0000,  or so"),
        ("Élan Ångström naïve", "elan angstrom naive"),
        ("“Quoted” — ‘so’ … « et » 3％", '"quoted"  -  ‘so\' ... " et " 0%'),
        ("日本、東京。", "日本,東京."),
        ("tab\there\x07", "tabhere"),
    ],
)
def test_ccnet_normalization(line: str, normalized: str) -> None:
    assert ccnet_normalized(line) == normalized
