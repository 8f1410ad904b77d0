"""SentencePiece pieces and special tokens under the ids of the released KOSMOS-2 model.

fairseq numbers its dictionary `<s>`=0 `<pad>`=1 `</s>`=2 `<unk>`=3, and SentencePiece piece i (3
and up) becomes i + 1; the special tokens follow in the order in which the released code adds them.
With the released 64,000 pieces this gives the 64,007 ids of KOSMOS-1, `<image>` = 64003.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import sentencepiece

from curate.schemas.errors import CurateError

BOS, PAD, EOS, UNK = 0, 1, 2, 3
_FIRST_PIECE = 3
"""SentencePiece's own ids: `<unk>`=0 `<s>`=1 `</s>`=2, then the pieces."""
SPECIAL_TOKENS = ("<mask>", "</doc>", "<image>", "</image>", "</chunk>", "</line>")


class VocabularyError(CurateError):
    """A SentencePiece model that can't serve; the message says why and what to do."""


class Vocabulary:
    """Text to ids and back.

    Special tokens are added outside SentencePiece, so text that spells one encodes to ordinary
    pieces and can never forge it.

    Args:
        model: bytes of a SentencePiece model.

    Raises:
        VocabularyError: not a model, or its first three pieces are not `<unk> <s> </s>`.
    """

    def __init__(self, model: bytes) -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise VocabularyError(
                f"not a SentencePiece model ({len(model)} bytes): {error}. "
                "Give the .model file that spm_train or `curate train-tokenizer` writes."
            ) from error
        first = tuple(self._processor.id_to_piece(i) for i in range(_FIRST_PIECE))
        if first != ("<unk>", "<s>", "</s>"):
            raise VocabularyError(
                f"the SentencePiece model must begin with <unk> <s> </s> (got {' '.join(first)}). "
                "Train with unk_id=0, bos_id=1, eos_id=2 and no pad_id."
            )
        self.model = model
        self.sha256 = hashlib.sha256(model).hexdigest()
        self.pieces = self._processor.get_piece_size()
        self.special = {t: self.pieces + 1 + i for i, t in enumerate(SPECIAL_TOKENS)}
        self.size = self.pieces + 1 + len(SPECIAL_TOKENS)
        self.image = self.special["<image>"]
        self.image_end = self.special["</image>"]
        self.line_end = self.special["</line>"]

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line, without any special token."""
        encoded = self._processor.encode(list(lines), out_type=int, num_threads=1)
        return [_from_pieces(ids) for ids in encoded]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids: `</line>`, `</image>` and `</s>` end lines, other special tokens vanish."""
        lines: list[list[int]] = [[]]
        for token in ids:
            if token in (self.line_end, self.image_end, EOS):
                if lines[-1]:
                    lines.append([])
            elif token == UNK:
                lines[-1].append(0)
            elif UNK < token <= self.pieces:
                lines[-1].append(int(token) - 1)
        return "\n".join(self._processor.decode(line) for line in lines).rstrip("\n")

    def normalize(self, text: str) -> str:
        """What encoding and decoding makes of a line at most: the model's own normalisation."""
        return str(self._processor.decode(self._processor.encode(text, out_type=int)))

    def name_of(self, token: int) -> str:
        """Piece or special token of an id, for people."""
        if token <= UNK:
            return ("<s>", "<pad>", "</s>", "<unk>")[token]
        if token <= self.pieces:
            return str(self._processor.id_to_piece(int(token) - 1))
        return SPECIAL_TOKENS[token - self.pieces - 1]


def _from_pieces(ids: list[int]) -> list[int]:
    shifted = np.asarray(ids, dtype=np.int64) + 1
    shifted[shifted == 1] = UNK
    tokens: list[int] = shifted.tolist()
    return tokens
