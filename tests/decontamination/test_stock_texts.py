"""What is no item: stock phrases, in every script; and items whatever their normal form."""

from __future__ import annotations

import unicodedata

import pytest

from curate.decontamination.benchmarks import Item
from curate.decontamination.index import SHARED_BY_ITEMS, build_index
from curate.decontamination.index_file import load_index, save_index
from curate.decontamination.match import find_matches
from curate.schemas.settings.purging import Decontamination

RULES = Decontamination(benchmarks=("b",))
STEM = "Which of the following statements about the lighthouse is true"
CHINESE = "灯塔看守人每天傍晚都要爬上高塔检查灯火是否明亮干净并且记录当天的风向与潮水高度"


def items(*texts: str) -> list[Item]:
    return [Item(benchmark="b", id=str(n), text=text) for n, text in enumerate(texts)]


def found(document: str, *texts: str) -> set[int]:
    index = build_index(items(*texts))
    index = load_index(save_index(index), "i")
    return {match.item for match in find_matches(document, index, RULES)}


def test_eight_characters_are_no_item() -> None:
    index = build_index(items("下列说法正确的是"))
    assert not index.ids
    assert index.too_short == {"b": 1}


def test_an_item_of_characters_is_found_whole_and_by_its_ngrams() -> None:
    assert found(f"前言。{CHINESE}。后记。", CHINESE) == {0}
    # 26 characters are 13 words.
    assert found(f"另一篇文章里说{CHINESE[:26]}然后就没有了", CHINESE) == {0}
    assert found(f"另一篇文章里说{CHINESE[:20]}然后就没有了", CHINESE) == set()


@pytest.mark.parametrize("count", [SHARED_BY_ITEMS - 1, SHARED_BY_ITEMS])
def test_a_stem_that_many_items_share_is_none(count: int) -> None:
    texts = [
        text
        for number in range(count)
        for text in (STEM, f"{STEM}: it has {number} windows and stands {number} miles away")
    ]
    benchmark = [
        Item(benchmark="b", id=str(number // 2), text=text) for number, text in enumerate(texts)
    ]
    index = build_index(benchmark)
    matches = find_matches(f"An exercise. {STEM}? Discuss.", index, RULES)
    assert bool(matches) == (count < SHARED_BY_ITEMS)
    own = find_matches(f"So: {texts[3]}, they say.", index, RULES)
    assert {index.ids[m.item] for m in own} >= {"1"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("given", ["NFC", "NFD"])
def test_an_item_is_found_in_every_normal_form(form: str, given: str) -> None:
    text = "Người đánh cá ngồi vá lưới bên bến cảng yên tĩnh mỗi buổi sáng trước khi ra khơi"
    document = unicodedata.normalize(form, f"Chuyện kể. {text}. Hết.")
    assert found(document, unicodedata.normalize(given, text)) == {0}
