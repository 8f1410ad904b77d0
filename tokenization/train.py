"""Training a SentencePiece model: KOSMOS-1's settings, the same bytes on any machine."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import sentencepiece

_LINE_BYTES = 4_000
"""SentencePiece skips longer lines; they are cut into pieces of this size instead."""
_THREADS = 8
"""Part of the result: the trainer sums its statistics by thread. Not the number of cores."""


def train_model(lines: Iterable[str], vocabulary: int, character_coverage: float) -> bytes:
    """A unigram model with the normalisation and layout of the released one.

    Args:
        lines: training text; their order is part of the input.
        vocabulary: pieces, an upper bound: a small text gives fewer.
        character_coverage: share of characters that get a piece of their own.

    Raises:
        ValueError: the text is too small for any model.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_pieces_of(lines),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary,
            hard_vocab_limit=False,
            character_coverage=character_coverage,
            normalization_rule_name="nmt_nfkc",
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            shuffle_input_sentence=False,
            max_sentence_length=_LINE_BYTES + 200,
            num_threads=_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"no tokenizer can be trained on this text: {error}. "
            "Give more documents, or a model file as tokenization.model."
        ) from error
    return model.getvalue()


def _pieces_of(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        # SentencePiece reserves these; text must not hold them while training.
        rest = line.replace("\u2581", " ").replace("\0", "").replace("\t", " ").strip()
        while len(encoded := rest.encode()) > _LINE_BYTES:
            head = encoded[:_LINE_BYTES].decode("utf-8", "ignore")
            head = head[: head.rfind(" ")] if " " in head[1:] else head
            yield head
            rest = rest[len(head) :].strip()
        if rest:
            yield rest
