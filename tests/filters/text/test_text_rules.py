"""Published families of quality rules: what passes, what fails, and by which rule.

The values are those of the papers and of datatrove's filters, document by document in
`python -m benchmarks.quality`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.filters.text.c4 import c4_line
from curate.filters.text.families import apply_text_rules
from curate.filters.text.fineweb import fineweb_rule
from curate.filters.text.gopher import gopher_quality_rule, gopher_repetition_rule
from curate.filters.text.private import ADDRESS, EMAIL, PHONE, mask
from curate.filters.text.reading import Reading, count_sentences
from curate.filters.text.refinedweb import refinedweb_line
from curate.filters.web.address import url_rule
from curate.filters.words import ListError
from curate.schemas.document import Document, Heading, ImageSegment, Segment, TextSegment
from curate.schemas.page import Origin
from curate.schemas.settings.filter_rules import UrlRules
from curate.schemas.settings.text_rules import (
    C4Rules,
    FineWebRules,
    GopherQuality,
    GopherRepetition,
    Masking,
    RefinedWebLines,
    TextRules,
)
from curate.schemas.verdict import Drop, Keep
from tests.texts import prose

ENGLISH = (
    "The fishermen of the bay have to be out with the first light, and that is early. "
    "They come home with the tide when the nets are full, or when the weather turns. "
    "In winter the boats lie on the beach, and nobody goes out to the banks for weeks. "
)


def rule_of(verdict: object) -> str | None:
    return verdict.rule if isinstance(verdict, Drop) else None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't know.", ["I", "do", "n't", "know", "."]),
        ("It's Mr. Smith's e-mail...", "It 's Mr. Smith 's e - mail ...".split()),
        ("$5.00, 10% at 9am", "$ 5.00 , 10 % at 9 am".split()),
        ("the U.S. in 2010-2012: F-16", "the U.S. in 2010 - 2012 : F-16".split()),
        ("see https://h.test/a?b, x@y.org", "see https://h.test/a?b , x@y.org".split()),
        ("you cannot use foo_bar or C++", "you can not use foo_bar or C++".split()),
        ("Smith's -23 /tmp", "Smith 's -23 /tmp".split()),
        ("AT&T #tag ___", "AT&T # tag _ _ _".split()),
    ],
)
def test_words_are_those_of_spacy(text: str, words: list[str]) -> None:
    assert Reading(text).tokens == words


def test_words_may_begin_with_a_mark() -> None:
    assert Reading("Smith's -23 /tmp , --").words == ["Smith", "'s", "-23", "/tmp"]


@pytest.mark.parametrize(
    "judge",
    [
        lambda count: Reading("a-" * count).tokens,
        lambda count: Reading("1," * count + "1a").tokens,
        lambda count: count_sentences("." * count + "a"),
        lambda count: count_sentences("It is so. " * count),
        lambda count: refinedweb_line("1" + " " * count + "x", RefinedWebLines()),
        lambda count: mask("a-" * count + "@", Masking(phone_numbers=True)),
    ],
)
def test_no_text_takes_more_than_linear_time(judge: Callable[[int], object]) -> None:
    """A quadratic pattern takes minutes for each of these."""
    started = time.process_time()
    judge(200_000)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (ENGLISH * 2, None),
        (ENGLISH[:200], "gopher.min_words"),
        (ENGLISH * 2_500, "gopher.max_words"),
        ("a b to of " * 20, "gopher.min_mean_word_length"),
        ("the incomprehensibilities of internationalization " * 20, "gopher.max_mean_word_length"),
        (ENGLISH * 2 + "# " * 15, "gopher.max_hash_ratio"),
        (ENGLISH * 2 + "so ... and " * 30, "gopher.max_ellipsis_ratio"),
        (ENGLISH.replace("The", "• The").replace(". ", ".\n- ") * 2, "gopher.max_bullet_lines"),
        ((ENGLISH.strip() + "\n") * 2 + "and so on...\n", "gopher.max_ellipsis_lines"),
        (ENGLISH * 2 + "100 200 300 " * 15, "gopher.min_alpha_words"),
        ("Los pescadores salen muy temprano cuando hay buen tiempo. " * 8, "gopher.min_stop_words"),
    ],
)
def test_gopher_quality(text: str, rule: str | None) -> None:
    assert rule_of(gopher_quality_rule(Reading(text), GopherQuality())) == rule


def test_stop_words_are_counted_once_or_each_as_asked() -> None:
    reading = Reading("La casa the mar y the sol brillan siempre juntos. " * 6)
    once, each = GopherQuality(), GopherQuality(different_stop_words=False)
    assert rule_of(gopher_quality_rule(reading, once)) == "gopher.min_stop_words"
    assert rule_of(gopher_quality_rule(reading, each)) is None


LINES = [prose(f"line {n}", 12).replace("\n", " ") for n in range(20)]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n".join(LINES), None),
        ("\n\n".join(LINES[:6] + LINES[:4]), "gopher.duplicate_paragraphs"),
        (
            "\n\n".join([*LINES[:6], LINES[7] * 4, LINES[7] * 4]),
            "gopher.duplicate_paragraph_characters",
        ),
        ("\n".join(LINES[:6] + LINES[:4]), "gopher.duplicate_lines"),
        ("\n".join([*LINES[:6], LINES[7] * 4, LINES[7] * 4]), "gopher.duplicate_line_characters"),
        (" ".join(f"{word} spam eggs" for word in LINES[0].split()), "gopher.top_2_gram"),
        (" ".join(LINES[:10] + LINES[3:5] * 2), "gopher.duplicate_5_grams"),
    ],
)
def test_gopher_repetition(text: str, rule: str | None) -> None:
    assert rule_of(gopher_repetition_rule(Reading(text), GopherRepetition())) == rule


@given(st.lists(st.sampled_from("a bb ccc dddd".split()), min_size=2, max_size=60))
def test_repetition_is_what_the_definition_says(words: list[str]) -> None:
    """As datatrove's find_top_duplicate and find_all_duplicate count it."""
    text = " ".join(words)
    unlimited = GopherRepetition(
        duplicate_lines=None,
        duplicate_line_characters=None,
        duplicate_paragraphs=None,
        duplicate_paragraph_characters=None,
        top_ngrams=dict.fromkeys((2, 3, 4), 1.0),
        duplicate_ngrams=dict.fromkeys(range(5, 11), 1.0),
    )
    expected = {
        "gopher.duplicate_paragraphs": 0.0,
        "gopher.duplicate_paragraph_characters": 0.0,
        "gopher.duplicate_lines": 0.0,
        "gopher.duplicate_line_characters": 0.0,
    }
    for length in (2, 3, 4):
        grams = Counter(" ".join(words[i : i + length]) for i in range(len(words) - length + 1))
        if grams:
            gram, count = grams.most_common(1)[0]
            expected[f"gopher.top_{length}_gram"] = len(gram) * count / len(text)
    for length in range(5, min(10, len(words)) + 1):
        seen, characters, at = set(), 0, 0
        while at <= len(words) - length:
            gram = " ".join(words[at : at + length])
            if gram in seen:
                characters += len(gram) - length + 1
                at += length
            else:
                seen.add(gram)
                at += 1
        expected[f"gopher.duplicate_{length}_grams"] = characters / len(text)
    verdict = gopher_repetition_rule(Reading(text), unlimited)
    if isinstance(verdict, Keep):
        assert dict(verdict.scores) == expected
    else:
        # n-grams that overlap can hold more characters than the text.
        assert isinstance(verdict, Drop)
        assert expected[verdict.rule] == verdict.value > 1


def test_repetition_takes_time_linear_in_the_text() -> None:
    generator = random.Random(0)
    seconds = []
    for words in (20_000, 200_000):
        text = " ".join(generator.choices(LINES, k=words // 12))
        started = time.process_time()
        gopher_repetition_rule(
            Reading(text), GopherRepetition(top_ngrams={}, duplicate_ngrams={10: 1})
        )
        seconds.append(time.process_time() - started)
    assert seconds[1] < 30 * seconds[0]


CODE, PAPER = C4Rules(), C4Rules(variant="paper")


@pytest.mark.parametrize(
    ("line", "rules", "outcome"),
    [
        ("The nets are full today.", CODE, "The nets are full today."),
        ("The nets are full.", CODE, "c4.line_words"),
        ("The nets are full.", PAPER, "The nets are full."),
        ("Nets full.", PAPER, "c4.line_words"),
        ("The nets are full today", CODE, "c4.end_mark"),
        ("The nets are full today", C4Rules(require_end_mark=False), "The nets are full today"),
        ("The nets are full today...", CODE, "c4.end_mark"),
        ("He said the nets are 'full'", CODE, "c4.end_mark"),
        ("He said the nets are 'full'", PAPER, "He said the nets are 'full'"),
        ('He said: "The nets are full."', CODE, 'He said: "The nets are full."'),
        ("The nets[1] are full today.[citation needed]", CODE, "The nets are full today."),
        ("Please enable Javascript in your browser.", CODE, "c4.javascript"),
        ("We make use of cookies on this site.", CODE, "c4.policy"),
        ("This is lorem ipsum as ever.", CODE, "c4.page_lorem_ipsum"),
        ("Then if (x) { return y; } else stop.", CODE, "c4.page_curly_bracket"),
        (f"The {'n' * 1001} are full today.", CODE, "c4.long_word"),
    ],
)
def test_c4_lines(line: str, rules: C4Rules, outcome: str) -> None:
    found = c4_line(line, rules)
    assert (found.rule if isinstance(found, Drop) else found) == outcome


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("", 0),
        ("No end", 1),
        ("One. Two! Three?", 3),
        ("Mr. Smith came at 3.15 p.m. sharp.", 1),
        ('"Go!" he said. "Now."', 3),
    ],
)
def test_sentences_are_counted(line: str, count: int) -> None:
    assert count_sentences(line) == count


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n".join(LINES), None),
        ("", "fineweb.empty"),
        (
            "\n".join(line.rstrip(".").replace(".", ",") for line in LINES),
            "fineweb.min_ended_lines",
        ),
        ("\n".join(["Home.", "News.", "Contact.", LINES[0]]), "fineweb.max_short_lines"),
        ("\n".join([*LINES, LINES[0]]), "fineweb.max_duplicate_characters"),
        ("\n".join(f"{'n' * n} {'m' * 30}." for n in range(1, 21)), "fineweb.max_line_breaks"),
    ],
)
def test_fineweb(text: str, rule: str | None) -> None:
    assert rule_of(fineweb_rule(Reading(text), FineWebRules())) == rule


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("The nets are full.", None),
        ("SALE ENDS TODAY now", "refinedweb.uppercase"),
        ("12 34 56", "refinedweb.numeric"),
        ("12 34 fish", None),
        ("3,412 likes", "refinedweb.counter"),
        ("12 comments", "refinedweb.counter"),
        ("12 comments were made on the paper", None),
        ("Next", "refinedweb.words"),
        ("Sign in to continue", "refinedweb.boilerplate"),
        ("The boats go out. Read more...", "refinedweb.boilerplate"),
        ("3 items in cart today", "refinedweb.boilerplate"),
        ("Sign in to the book at the door and take a seat in the hall", None),
    ],
)
def test_refinedweb_lines(line: str, rule: str | None) -> None:
    assert rule_of(refinedweb_line(line, RefinedWebLines())) == rule


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to Jane.Doe+x@mail.example.co.uk today.", f"Write to {EMAIL} today."),
        ("an @handle and a@b", "an @handle and a@b"),
        ("Server 8.8.8.8 answered.", f"Server {ADDRESS} answered."),
        ("1.1.1.1, 10.0.0.1, 8.8.4.4!", f"{ADDRESS}, 10.0.0.1, {ADDRESS}!"),
        ("Router 192.168.0.1, loop 127.0.0.1", "Router 192.168.0.1, loop 127.0.0.1"),
        ("Version 1.2.3.4.5 and 300.1.1.1", "Version 1.2.3.4.5 and 300.1.1.1"),
        ("Call +44 20 7946 0958 or (212) 555-0123.", f"Call {PHONE} or {PHONE}."),
        ("In 2010-2012, ISBN 978-3-16-148410-0, 1,000,000", None),
    ],
)
def test_private_data_is_masked(text: str, masked: str | None) -> None:
    assert mask(text, Masking(phone_numbers=True))[0] == (masked or text)


def test_what_is_masked_is_masked_once() -> None:
    text = mask("a.b@c.org at 8.8.4.4 or 212-555-0123", Masking(phone_numbers=True))[0]
    assert mask(text, Masking(phone_numbers=False))[0] == text


@pytest.fixture
def lists(tmp_path: Path) -> UrlRules:
    (tmp_path / "domains.txt").write_text("# adult\nbad.test\nwww.worse.test\n")
    (tmp_path / "urls.txt").write_text("http://good.test/bad-page/\n")
    return UrlRules(
        blocked_domains=(str(tmp_path / "domains.txt"),),
        blocked_urls=(str(tmp_path / "urls.txt"),),
        banned_words=("porn",),
        soft_words=("casino", "poker", "slots"),
        banned_substrings=("xxx",),
    )


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://good.test/", None),
        ("https://bad.test/a", "url.blocked_domain"),
        ("https://a.b.BAD.test:8080/a", "url.blocked_domain"),
        ("https://notbad.test/a", None),
        ("https://worse.test/", "url.blocked_domain"),
        ("https://www.good.test/bad-page", "url.blocked"),
        ("https://good.test/bad-page/2", None),
        ("http://good.test/free-porn/1", "url.banned_word"),
        ("http://good.test/pornichet", None),
        ("http://good.test/casino-royale", None),
        ("http://good.test/casino%20poker", "url.soft_words"),
        ("http://goodxxxgood.test/", "url.banned_substring"),
    ],
)
def test_addresses(lists: UrlRules, url: str, rule: str | None) -> None:
    assert rule_of(url_rule(url, lists)) == rule


def test_a_missing_block_list_is_named() -> None:
    with pytest.raises(ListError, match="no-such-list"):
        url_rule("http://h.test/", UrlRules(blocked_domains=("no-such-list",)))


def document(*segments: Segment) -> Document:
    origin = Origin(warc_file="", offset=0)
    return Document(id="d", url="http://h/", source="s", segments=segments, origin=origin)


def test_lines_go_and_images_and_headings_keep_their_place() -> None:
    told: list[Drop] = []
    text = TextSegment(
        text="MENU\nThe boats\nThey come home today.\n12 likes\nThe nets are full.",
        headings=(Heading(line=1, level=2),),
    )
    image = ImageSegment(url="http://h/a.jpg", alt="boats")
    rules = TextRules(refinedweb_lines=RefinedWebLines(max_removed_words=None))
    cut = apply_text_rules(document(text, image, text), rules, told.append)
    assert isinstance(cut, Document)
    left = TextSegment(
        text="The boats\nThey come home today.\nThe nets are full.",
        headings=(Heading(line=0, level=2),),
    )
    assert cut.segments == (left, image, left)
    assert [d.rule for d in told] == ["refinedweb.uppercase", "refinedweb.counter"] * 2


def test_a_document_that_loses_too_many_words_goes() -> None:
    text = TextSegment(text=f"{LINES[0]}\nSIGN UP NOW FOR MORE")
    rules = TextRules(refinedweb_lines=RefinedWebLines())
    told: list[Drop] = []
    judged = apply_text_rules(document(text), rules, told.append)
    assert rule_of(judged) == "refinedweb.max_removed_words"
    assert not told, "its lines go with it"


def test_scores_are_kept_and_what_c4_left_is_judged_by_the_next_rule() -> None:
    rules = TextRules(
        gopher_quality=GopherQuality(), c4=C4Rules(variant="paper"), fineweb=FineWebRules()
    )
    lines = [f"{line}." for line in (ENGLISH * 2).split(". ") if line]
    text = TextSegment(text="\n".join([*lines[:3], "Home | News | Contact", *lines[:3]]))
    judged = apply_text_rules(document(text), rules, lambda drop: None)
    assert rule_of(judged) == "fineweb.max_duplicate_characters"
    rules = rules.model_copy(update={"fineweb": None})
    kept = apply_text_rules(document(text), rules, lambda drop: None)
    assert isinstance(kept, Document)
    assert "Home" not in kept.text
    assert kept.scores["gopher.stop_words"] == 8.0
