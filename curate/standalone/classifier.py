"""`curate train-classifier`: a fastText classifier of quality, as DCLM's (section 4.4).

floret trains it: it is fastText's own code, kept up. Its file format has two more numbers in its
header, which are taken out so that fastText, and the rule `filters.text.classifier`, can read it.
"""

from __future__ import annotations

import importlib.util
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.filters.text.models import quality_score
from curate.schemas.document import Document
from curate.schemas.errors import CurateError, UsageError
from curate.schemas.identity import keyed_fraction
from curate.schemas.settings.source import Source
from curate.schemas.settings.text_rules import ClassifierRules
from curate.sources.corpus import read_corpus
from curate.sources.first_rows import require_readable
from curate.sources.listing import list_inputs
from curate.standalone.document_files import kind_of

HIGH, LOW = "__label__hq", "__label__lq"
HELD_OUT = 0.1
"""Share of the documents, by a keyed hash of their text, that the classifier is measured on."""

SHARES_KEPT = (0.05, 0.1, 0.2, 0.5)
_MAGIC = 793712314
_FLORETS_OWN = slice(52, 60)
"""Bytes of the header that hold floret's mode and number of hashes."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a classifier learned from and how it does on the documents held out."""

    high: int
    low: int
    held_out: int
    accuracy: float
    thresholds: dict[float, float]
    """`min_score` that keeps a share of the low documents held out: DCLM kept a tenth of the web
    pages that it took as low."""


def train_classifier(
    high: tuple[str, ...], low: tuple[str, ...], model: Path, *, word_ngrams: int, epochs: int
) -> Trained:
    """Train on two sets of documents, and write the model.

    The same documents give the same bytes: one thread trains, in the order of the files.

    Raises:
        CurateError: floret is missing.
        InputError: the documents can't be listed.
        UsageError: there are too few documents to train on and to measure.
    """
    if importlib.util.find_spec("floret") is None:
        raise CurateError(
            "train-classifier needs the package floret. Install the extra `classifier` of "
            "curate-pretraining."
        )
    held: list[tuple[bool, str]] = []
    counts = {HIGH: 0, LOW: 0}
    with tempfile.TemporaryDirectory() as folder:
        texts, trained = Path(folder) / "texts.txt", Path(folder) / "floret.bin"
        with texts.open("w", encoding="utf-8") as stream:
            for label, paths in ((HIGH, high), (LOW, low)):
                for text in _texts(paths):
                    if keyed_fraction(0, "held-out", text) < HELD_OUT:
                        held.append((label == HIGH, text))
                    else:
                        stream.write(f"{label} {text}\n")
                        counts[label] += 1
        _check(counts, held)
        _floret(texts, trained, word_ngrams, epochs)
        model.write_bytes(as_fasttext(trained.read_bytes()))
    return _measure(model, counts, held)


def as_fasttext(model: bytes) -> bytes:
    """A model that floret saved in its mode `fasttext`, in fastText's format (version 12)."""
    magic, version = struct.unpack_from("<2i", model)
    mode, hashes = struct.unpack("<2i", model[_FLORETS_OWN])
    if (magic, version, mode, hashes) != (_MAGIC, 12, 1, 1):
        raise CurateError(
            "floret wrote a model of an unknown format "
            f"(magic {magic}, version {version}, mode {mode}, hashes {hashes})"
        )
    return model[: _FLORETS_OWN.start] + model[_FLORETS_OWN.stop :]


def _floret(texts: Path, model: Path, word_ngrams: int, epochs: int) -> None:
    import floret

    trained = floret.train_supervised(
        str(texts), wordNgrams=word_ngrams, epoch=epochs, thread=1, verbose=0
    )
    trained.save_model(str(model))


def _texts(paths: tuple[str, ...]) -> Iterator[str]:
    """Every document's text in one line."""
    source = Source(kind=kind_of(paths), format="text", paths=paths)
    files = list_inputs("documents", source)
    require_readable("documents", source, ((file.path, file.name) for file in files))
    for file in files:
        for item in read_corpus(file.path, source, file.name, "documents"):
            if isinstance(item, Document):
                yield " ".join(item.text.split())
            else:
                raise UsageError(
                    f"{file.path}, row {item.origin.offset}: no document ({item.drop.rule}, "
                    f"got {item.drop.value_text!r})"
                )


def _check(counts: dict[str, int], held: list[tuple[bool, str]]) -> None:
    measured = {HIGH: sum(h for h, _ in held), LOW: sum(not h for h, _ in held)}
    for label, name in ((HIGH, "--high"), (LOW, "--low")):
        if not counts[label] or not measured[label]:
            total = counts[label] + measured[label]
            raise UsageError(
                f"{name} has too few documents to train on and to measure (got {total}). "
                "DCLM took 200,000 of each; give some hundreds at least."
            )


def _measure(model: Path, counts: dict[str, int], held: list[tuple[bool, str]]) -> Trained:
    rules = ClassifierRules(model=str(model), label=HIGH, min_score=0.0)
    scores: dict[bool, list[float]] = {True: [], False: []}
    for is_high, text in held:
        scores[is_high].append(quality_score(text, rules))
    right = sum(s >= 0.5 for s in scores[True]) + sum(s < 0.5 for s in scores[False])
    descending = sorted(scores[False], reverse=True)
    return Trained(
        high=counts[HIGH],
        low=counts[LOW],
        held_out=len(held),
        accuracy=right / len(held),
        thresholds={s: descending[max(round(s * len(descending)), 1) - 1] for s in SHARES_KEPT},
    )
