from __future__ import annotations

import pytest

from curate.tokenization.train import train_model
from curate.tokenization.vocabulary import EOS, SPECIAL_TOKENS, UNK, Vocabulary, VocabularyError


def test_ids_follow_the_released_layout(small_model: bytes) -> None:
    vocabulary = Vocabulary(small_model)
    assert [vocabulary.name_of(i) for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert [vocabulary.special[t] for t in SPECIAL_TOKENS] == list(
        range(vocabulary.pieces + 1, vocabulary.pieces + 7)
    )
    assert vocabulary.size == vocabulary.pieces + 7
    (ids,) = vocabulary.encode(["the harbour"])
    assert all(UNK < i <= vocabulary.pieces for i in ids)
    assert vocabulary.decode(ids) == "the harbour"


@pytest.mark.parametrize("spelled", ["<image>", "</image>", "<s>", "</s>", "<unk>", "</line>"])
def test_text_can_not_forge_a_special_token(small_model: bytes, spelled: str) -> None:
    vocabulary = Vocabulary(small_model)
    (ids,) = vocabulary.encode([f"a {spelled} b"])
    assert not {*vocabulary.special.values(), 0, 1, EOS} & set(ids)


def test_unknown_characters_are_unk(small_model: bytes) -> None:
    assert UNK in Vocabulary(small_model).encode(["𓀀"])[0]


def test_lines_survive(small_model: bytes) -> None:
    vocabulary = Vocabulary(small_model)
    one, two = vocabulary.encode(["the boat", "the lamp"])
    assert vocabulary.decode([0, *one, vocabulary.line_end, *two, EOS]) == "the boat\nthe lamp"


def test_training_gives_the_same_bytes(small_model: bytes) -> None:
    lines = [f"line {i} of the harbour log, wind {i * 7 % 13} from the north" for i in range(400)]
    assert train_model(lines, 300, 0.9999) == train_model(iter(lines), 300, 0.9999)


def test_long_lines_are_trained_on_too() -> None:
    model = train_model(["word " * 5_000 + "zebra", "zebra " * 900], 50, 1.0)
    assert UNK not in Vocabulary(model).encode(["zebra word"])[0]


def test_bad_models_are_named() -> None:
    with pytest.raises(VocabularyError, match="not a SentencePiece model"):
        Vocabulary(b"something else")
    with pytest.raises(ValueError, match="Give more documents"):
        train_model([], 100, 1.0)
