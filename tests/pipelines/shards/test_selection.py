from __future__ import annotations

import pytest

from curate.pipelines.shards import selection
from curate.pipelines.shards.selection import PictureVerdict, judge_reference
from curate.runs.image_verdicts import ImageFates
from curate.schemas.document import Document, ImageSegment, Segment, StoredImage, TextSegment
from curate.schemas.identity import image_key, keyed_fraction
from curate.schemas.page import Origin
from curate.schemas.settings.image_settings import Images, Pictures
from curate.schemas.settings.recipe import Recipe
from curate.schemas.settings.recipe_file import parse_recipe
from curate.schemas.verdict import Drop

PICTURE = b"p" * 16
FATE = {
    "rule": None, "tar": 1, "offset": 512, "size": 9, "width": 224, "height": 224,
    "picture": PICTURE,
}  # fmt: skip
NOTHING = PictureVerdict()
COPIES = Images(duplicates=Pictures(max_documents=10))
IMAGE = ImageSegment(url="http://h/i.png")


def recipe(**images: float) -> Recipe:
    return parse_recipe(
        {
            "name": "r",
            "sources": {"web": {"format": "interleaved"}, "captions": {"format": "pairs"}},
            "images": images,
        },
        "",
    )


def document(images: int, source: str = "web", identity: str = "d") -> Document:
    segments: list[Segment] = [TextSegment(text="six words of text are here")]
    return Document(
        id=identity,
        source=source,
        url="u",
        segments=(*segments, *[IMAGE] * images),
        origin=Origin(warc_file="w", offset=0),
    )


def judge_document(document: Document, recipe: Recipe) -> Drop | None:
    return selection.judge_document(document, recipe, NOTHING)


def test_a_stored_image_gets_its_place() -> None:
    kept = judge_reference(IMAGE, FATE, [b"other"] * 4, NOTHING, Images())
    assert isinstance(kept, ImageSegment)
    assert kept.stored == StoredImage(tar=1, offset=512, size=9, width=224, height=224)


@pytest.mark.parametrize(
    ("shown", "pictured", "rules", "expected"),
    [
        ([b"other"] * 5, NOTHING, Images(), Drop("node.max_per_document", 6, 5)),
        ([PICTURE], NOTHING, COPIES, Drop("node.repeated_picture", PICTURE.hex())),
        (
            [], PictureVerdict(furniture=frozenset({PICTURE})), COPIES,
            Drop("node.max_documents", PICTURE.hex(), 10),
        ),
    ],
)  # fmt: skip
def test_references_that_go(
    shown: list[bytes],
    pictured: PictureVerdict,
    rules: Images,
    expected: Drop,
) -> None:
    assert judge_reference(IMAGE, FATE, shown, pictured, rules) == expected


@pytest.mark.parametrize(
    ("rule", "score", "expected"),
    [
        (None, None, None),
        ("image.min_side", None, Drop("node.image_dropped", "image.min_side")),
        (None, {"rule": "clip.max_nsfw", "value": 0.9, "limit": 0.1, "line": 2},
         Drop("clip.max_nsfw", 0.9, 0.1)),
        (None, {"rule": None, "value": None, "limit": None, "line": 2}, None),
    ],
)  # fmt: skip
def test_verdicts_on_an_image(
    rule: str | None, score: dict[str, object] | None, expected: Drop | None
) -> None:
    scores = {} if score is None else {(7, 1): score}
    fates = ImageFates(by_key={image_key(IMAGE.url): {**FATE, "rule": rule}}, scores=scores)
    assert fates.drop(7, 1, IMAGE.url) == expected
    assert fates.line(7, 1) == (None if score is None else 2)
    assert fates.line(7, 0) is None


def test_the_same_picture_may_stay_where_the_recipe_says_so() -> None:
    kept = judge_reference(IMAGE, FATE, [PICTURE], NOTHING, Images())
    assert isinstance(kept, ImageSegment)


def test_a_document_that_shows_what_another_shows_goes() -> None:
    pictured = PictureVerdict(kept_id="k", kept_url="http://h/kept")
    verdict = selection.judge_document(document(2), recipe(), pictured)
    assert verdict == Drop("document.same_pictures", "http://h/kept", match="k")


def test_documents_without_an_image_go_and_those_with_two_stay() -> None:
    assert judge_document(document(0), recipe()) == Drop("document.no_image", 0, 1)
    assert judge_document(document(2), recipe()) is None


def test_half_of_the_single_image_documents_go_by_keyed_hash() -> None:
    verdicts = [judge_document(document(1, identity=str(i)), recipe()) for i in range(4_000)]
    gone = [v for v in verdicts if v is not None]
    assert {v.rule for v in gone} == {"document.single_image"}
    assert abs(len(gone) / 4_000 - 0.5) < 0.03
    again = [judge_document(document(1, identity=str(i)), recipe()) for i in range(4_000)]
    assert verdicts == again


@pytest.mark.parametrize(("keep", "gone"), [(1.0, False), (0.0, True)])
def test_the_share_is_the_recipe_s(keep: float, gone: bool) -> None:
    verdict = judge_document(document(1), recipe(single_image_keep=keep))
    assert (verdict is not None) == gone


def test_a_document_at_the_share_goes() -> None:
    """Kept are those below it: with a share of 0 nothing is, whatever the hash."""
    share = keyed_fraction(recipe().seed, "single_image", "d")
    gone = judge_document(document(1), recipe(single_image_keep=share))
    assert gone == Drop("document.single_image", share, share)
    assert judge_document(document(1), recipe(single_image_keep=share + 1e-9)) is None


def test_another_seed_keeps_others() -> None:
    names = [str(i) for i in range(200)]
    kept = []
    for seed in (1, 2):
        seeded = recipe().model_copy(update={"seed": seed})
        kept.append([n for n in names if judge_document(document(1, identity=n), seeded) is None])
    assert kept[0] != kept[1]
    assert 60 < len(set(kept[0]) ^ set(kept[1])) < 140


def test_pairs_are_not_halved() -> None:
    assert judge_document(document(1, "captions"), recipe(single_image_keep=0.0)) is None
