"""COYO-700M's rules on the words of captions: profanity, language, nouns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nltk.tag.perceptron import PerceptronTagger

from curate.filters.pair import caption_rule
from curate.filters.words import ListError
from curate.schemas.errors import UsageError
from curate.schemas.settings.filter_rules import NOUN_TAGGER_FILES, PairRules
from curate.schemas.verdict import Drop

TAGGED = (
    "the/DT ship/NN sails/VBZ slowly/RB",
    "red/JJ apples/NNS and/CC green/JJ pears/NNS",
    "she/PRP runs/VBZ very/RB fast/RB",
    "come/VB here/RB and/CC look/VB closely/RB",
    "it/PRP is/VBZ so/RB very/RB beautiful/JJ",
)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained here on a few sentences, and laid out as NLTK's own."""
    folder = tmp_path_factory.mktemp("averaged_perceptron_tagger_eng")
    trained = PerceptronTagger(load=False)
    sentences = [[tuple(word.split("/")) for word in line.split()] for line in TAGGED]
    trained.train(sentences * 25)
    for name, part in zip(NOUN_TAGGER_FILES, trained.encode_json_obj(), strict=True):
        (folder / name).write_text(json.dumps(part))
    return str(folder)


def rule_of(caption: str, rules: PairRules) -> str | None:
    verdict = caption_rule(caption, rules)
    return verdict.rule if isinstance(verdict, Drop) else None


@pytest.mark.parametrize(
    ("caption", "rule"),
    [
        ("the ship sails slowly", None),
        ("Green pears, and red apples.", None),
        ("she runs very fast", "pair.no_noun"),
        ("come here and look closely", "pair.no_noun"),
        ("it is so very beautiful", "pair.no_noun"),
    ],
)
def test_a_caption_names_something(tagger: str, caption: str, rule: str | None) -> None:
    assert rule_of(caption, PairRules(noun_tagger=tagger)) == rule


def test_a_tagger_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"filters\.pair\.noun_tagger: .* can't be read"):
        caption_rule("a ship at sea", PairRules(noun_tagger=str(tmp_path)))


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("What a darn  shame this is", "darn shame"),
        ("A DRAT, of all things", "drat"),
        ("It is c++ again", "c++"),
        ("Darned socks in a drawer", None),
        ("A shame, darn it", None),
        ("Hydrate well", None),
    ],
)
def test_banned_words_and_phrases(tmp_path: Path, caption: str, found: str | None) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("# mild ones\ndarn   shame\nDrat  # a comment\n\n")
    second.write_text("c++\n")
    verdict = caption_rule(caption, PairRules(banned_word_lists=(str(first), str(second))))
    assert (verdict.value if isinstance(verdict, Drop) else None) == found
    assert rule_of(caption, PairRules()) is None


def test_lists_that_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ListError, match="there is no word in"):
        caption_rule("a ship", PairRules(banned_word_lists=(str(tmp_path / "empty.txt"),)))
    with pytest.raises(ListError, match=r"banned_word_lists: the list .* can't be read"):
        caption_rule("a ship", PairRules(banned_word_lists=(str(tmp_path / "absent.txt"),)))


@pytest.mark.parametrize(
    ("caption", "rule"),
    [
        ("A small boat on the lake in the evening sun", None),
        ("Ein kleines Boot auf dem See in der Abendsonne", "pair.language"),
    ],
)
def test_the_language_of_captions(caption: str, rule: str | None) -> None:
    assert rule_of(caption, PairRules(language="en")) == rule
