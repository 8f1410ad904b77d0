"""Items are found in documents whatever was done to them, and nothing else is."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.decontamination.benchmarks import Item
from curate.decontamination.index import BenchmarkIndex, HashTable, build_index, run_hashes
from curate.decontamination.index_file import IndexFileError, join_indexes, load_index, save_index
from curate.decontamination.match import ITEM, NGRAM, find_matches
from curate.dedup.words import word_spans
from curate.schemas.settings.purging import Decontamination
from tests.texts import prose, with_words_replaced

RULES = Decontamination(benchmarks=("items.jsonl",))
LENGTHS = (8, 9, 12, 13, 15, 20, 30, 60, 150)
TEXTS = [prose(f"item {n}", n).replace("\n", " ") for n in LENGTHS for _ in (0,)]
ITEMS = [Item(benchmark="b", id=f"{n}", text=t) for n, t in zip(LENGTHS, TEXTS, strict=True)]
INDEX = build_index(ITEMS)
EDITS: dict[str, Callable[[str], str]] = {
    "verbatim": str,
    "wrapped": lambda t: "\n".join(t.split(" ")),
    "upper": str.upper,
    "title": str.title,
    "without punctuation": lambda t: re.sub(r"[^\w\s]", "", t),
    "other punctuation": lambda t: t.replace(".", " — ").replace(" ", ", "),
    "joined words": lambda t: t.replace(" ", "-", 3).replace("-", ""),
}


def found_in(text: str, index: BenchmarkIndex = INDEX) -> set[str]:
    return {index.ids[m.item] for m in find_matches(text, index, RULES)}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("number", range(len(LENGTHS)), ids=map(str, LENGTHS))
def test_items_of_eight_words_or_more_are_found(number: int, edit: Callable[[str], str]) -> None:
    document = f"{prose('before', 90)}\n{edit(TEXTS[number])}\n{prose('after', 90)}"
    assert found_in(document) == {ITEMS[number].id}


@pytest.mark.parametrize(("share", "least"), [(0.1, 0.98), (0.2, 0.9)])
def test_items_with_words_replaced_are_found(share: float, least: float) -> None:
    texts = [prose(f"r{n}", 20 + n % 40).replace("\n", " ") for n in range(200)]
    index = build_index(Item(benchmark="b", id=t, text=t) for t in texts)
    found = sum(
        text in found_in(f"{prose('b', 60)}\n{with_words_replaced(text, share, text)}", index)
        for text in texts
    )
    assert found >= least * len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        prose("clean", 3_000),
        " ".join(TEXTS[0].split()[:7]),
        # half of an item of 20 words, and an item in another order
        " ".join(TEXTS[5].split()[:10]) + " " + prose("x", 40),
        " ".join(sorted(TEXTS[6].split())),
    ],
    ids=["empty", "clean", "seven words", "half", "sorted"],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert find_matches(text, INDEX, RULES) == []


def test_a_part_of_a_long_item_is_found_by_its_ngrams() -> None:
    part = " ".join(TEXTS[-1].split()[20:40])
    document = f"{prose('b', 50)} {part} {prose('c', 50)}"
    matches = find_matches(document, INDEX, RULES)
    assert {m.rule for m in matches} == {NGRAM}
    assert len(matches) == 20 - 13 + 1
    spans = word_spans(document)
    assert document[spans[matches[0].start][0] : spans[matches[-1].end - 1][1]] == part.rstrip(".")


@pytest.mark.parametrize(
    ("settings", "rules"),
    [({"items": None}, {NGRAM}), ({"ngrams": None}, {ITEM}), ({}, {NGRAM, ITEM})],
)
def test_methods_are_chosen(settings: dict, rules: set[str]) -> None:
    chosen = Decontamination.model_validate({"benchmarks": ("items.jsonl",), **settings})
    matches = find_matches(f"{prose('b', 30)} {TEXTS[7]}", INDEX, chosen)
    assert {m.rule for m in matches} == rules


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_an_item_is_found_in_every_form_and_at_its_place(form: str) -> None:
    item = "ガードレールの上でギターを弾くパン屋は、毎朝どの駅で電車に乗りますか"
    index = build_index([Item(benchmark="b", id="x", text=item)])
    half = "ｶﾞｰﾄﾞﾚｰﾙの上でｷﾞﾀｰを弾くﾊﾟﾝ屋は､毎朝どの駅で電車に乗りますか"
    for written in (item, half):
        written = unicodedata.normalize(form, written)
        document = f"½ ｶﾞの前 ㍿ {written}。ｶﾞの後"
        spans = word_spans(document)
        found = {
            document[spans[m.start][0] : spans[m.end - 1][1]]
            for m in find_matches(document, index, RULES)
            if m.rule == ITEM and m.similarity == 1
        }
        assert written in found


def test_contractions_count_as_megatron_counts_them() -> None:
    index = build_index([Item(benchmark="b", id="c", text="Has the keeper's lamp burnt all day?")])
    assert found_in("But has the KEEPERS lamp burnt all day", index) == {"c"}
    assert build_index([Item(benchmark="b", id="c", text="Too short to count")]).too_short == {
        "b": 1
    }


def test_an_index_file_holds_the_same_and_no_text() -> None:
    data = save_index(INDEX)
    assert data == save_index(build_index(ITEMS))
    held = load_index(data, "x")
    document = f"{prose('b', 30)} {TEXTS[6]} {with_words_replaced(TEXTS[8], 0.1, 'e')}"
    assert find_matches(document, held, RULES) == find_matches(document, INDEX, RULES)
    for text in TEXTS:
        assert not any(word.encode() in data for word in text.split() if len(word) > 5)
    with pytest.raises(IndexFileError, match=r"f\.index: is no benchmark index"):
        load_index(b"PK nothing", "f.index")


def test_indexes_are_joined() -> None:
    halves = [
        build_index(ITEMS[:4]),
        build_index([*ITEMS[4:], Item(benchmark="a", id="z", text="No.")]),
    ]
    joined = join_indexes(halves)
    document = "\n".join([prose("b", 30), *TEXTS, prose("c", 30)])
    assert found_in(document, joined) == found_in(document) == {str(n) for n in LENGTHS}
    assert joined.too_short == {"a": 1}
    with pytest.raises(IndexFileError, match="--max-words"):
        join_indexes([INDEX, build_index(ITEMS, max_words=12)])


@given(
    st.lists(st.integers(0, 50), max_size=40),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=40),
)
def test_the_hash_table_finds_all_that_is_in_it(wanted: list[int], held: list[tuple]) -> None:
    scale = 1 << 57
    table = HashTable(
        np.array([h * scale for h, _ in held], np.uint64), np.array([v for _, v in held], np.int64)
    )
    places, entries = table.find(np.array([w * scale for w in wanted], np.uint64))
    got = sorted((int(p), int(table.values[e])) for p, e in zip(places, entries, strict=True))
    assert got == sorted((p, v) for p, w in enumerate(wanted) for h, v in held if h == w)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 60))
def test_equal_runs_hash_equal(letters: bytes, length: int) -> None:
    values = np.frombuffer(letters, np.uint8).astype(np.uint64)
    hashes = run_hashes(values, length)
    runs = [letters[i : i + length] for i in range(len(letters) - length + 1)]
    assert hashes.size == len(runs)
    assert len(set(hashes.tolist())) == len(set(runs))


def test_replaced_words_keep_their_share() -> None:
    random.seed(0)
    edited = with_words_replaced(TEXTS[-1], 0.1, "k").split()
    assert sum(a != b for a, b in zip(edited, TEXTS[-1].split(), strict=True)) == 15
