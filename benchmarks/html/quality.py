"""Text and image quality of every extractor on pages with known content, as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.html.gold import (
    SITE_IMAGES,
    TEXT_SETS,
    GoldPage,
    image_name,
    load_gold,
)
from benchmarks.html.rivals import IMAGES, TEXT
from benchmarks.html.scores import (
    Overlap,
    contains,
    f1,
    f1_draws,
    interval,
    score_images,
    shingle_overlap,
    token_overlap,
)
from benchmarks.html.train import fold_of, held_out_models, label_pages
from curate.extraction import extract
from curate.extraction.charset import to_utf8
from curate.extraction.model import BlockModel
from curate.schemas.document import Document
from curate.schemas.settings.recipe import Extraction

Texts = Mapping[str, str]
"""Extracted text by page id."""


def compare_quality(data: Path) -> None:
    """Print the tables for a folder of pages with truth."""
    pages = load_gold(data)
    models = held_out_models(label_pages(pages))
    ours = _documents(pages, models, Extraction())
    with_fallback = _documents(pages, models, Extraction(fallback="trafilatura"))
    texts: dict[str, Texts] = {
        "**curate**": {page.id: ours[page.id].text for page in pages},
        "curate, fallback": {page.id: with_fallback[page.id].text for page in pages},
    }
    html = {page.id: to_utf8(page.html, page.charset).decode("utf-8", "replace") for page in pages}
    for name, extractor in TEXT.items():
        texts[name] = {page.id: extractor(html[page.id]) for page in pages}
    print("\n### Text, F1 of 4-gram shingles, with the 95 % interval of the mean\n")
    _print_text_table(pages, texts, shingle_overlap)
    print("\n### Text, F1 of tokens\n")
    _print_text_table(pages, texts, token_overlap)
    print("\n### Snippets of trafilatura's evaluation\n")
    _print_snippets([page for page in pages if page.set == "trafilatura"], texts)
    print("\n### Images\n")
    found: dict[str, Mapping[str, Sequence[str]]] = {
        "**curate**": {
            page.id: [image_name(image.url) for image in ours[page.id].images] for page in pages
        }
    }
    known = [page for page in pages if page.images is not None]
    for name, images_of in IMAGES.items():
        found[name] = {page.id: images_of(html[page.id], page.url) for page in known}
    _print_images(known, found)


def _documents(
    pages: Sequence[GoldPage], models: Mapping[int, BlockModel], options: Extraction
) -> dict[str, Document]:
    documents = {}
    for page in pages:
        model = models[fold_of(page)]
        made = extract(page.html, page.url, charset=page.charset, limits=options, model=model)
        if not isinstance(made, Document):
            raise ValueError(f"{page.id} gave no document: {made}")
        documents[page.id] = made
    return documents


def _print_text_table(
    pages: Sequence[GoldPage],
    texts: Mapping[str, Texts],
    overlap: Callable[[str, str], Overlap],
) -> None:
    sets = {
        name: [page for page in pages if page.set == name and page.text is not None]
        for name in TEXT_SETS
    }
    heads = [f"{name} ({len(members)})" for name, members in sets.items()]
    print(f"| extractor | mean | {' | '.join(heads)} |")
    print(f"|---|---|{'---|' * len(sets)}")
    for name, of_page in texts.items():
        scored = [
            [overlap(of_page[page.id], page.text or "") for page in members]
            for members in sets.values()
        ]
        mean = np.mean([f1(pages) for pages in scored])
        low, high = interval(np.mean([f1_draws(pages) for pages in scored], axis=0))
        cells = [_with_interval(pages) for pages in scored]
        print(f"| {name} | {mean:.3f} ({low:.3f}–{high:.3f}) | {' | '.join(cells)} |")


def _with_interval(pages: Sequence[Overlap]) -> str:
    low, high = interval(f1_draws(pages))
    return f"{f1(pages):.3f} ±{(high - low) / 2:.3f}"


def _print_snippets(pages: Sequence[GoldPage], texts: Mapping[str, Texts]) -> None:
    print(f"| extractor ({len(pages)} pages) | must have, found | must not have, left out | both |")
    print("|---|---|---|---|")
    for name, of_page in texts.items():
        found = [contains(of_page[page.id], s) for page in pages for s in page.required]
        out = [not contains(of_page[page.id], s) for page in pages for s in page.forbidden]
        print(
            f"| {name} | {np.mean(found):.3f} | {np.mean(out):.3f} | {np.mean(found + out):.3f} |"
        )


def _print_images(
    pages: Sequence[GoldPage], found: Mapping[str, Mapping[str, Sequence[str]]]
) -> None:
    judged = [page for page in pages if page.images_are_complete]
    with_images = [page for page in judged if page.images]
    print("| extractor | pages | precision | recall | in order |")
    print("|---|---|---|---|---|")
    for name, of_page in found.items():
        for label, members in (
            ("interleaved truth, pages with images", with_images),
            ("interleaved truth, all pages", judged),
            *((site, [page for page in pages if page.set == site]) for site in SITE_IMAGES),
            ("all sites", [page for page in pages if page.set in SITE_IMAGES]),
        ):
            scores = [score_images(of_page[page.id], page.images or ()) for page in members]
            right = sum(score.right for score in scores)
            # What a site's structure does not list may be content all the same: an inline icon.
            precision = (
                f"{right / max(sum(score.found for score in scores), 1):.3f}"
                if members and members[0].images_are_complete
                else ""
            )
            recall = right / max(sum(score.gold for score in scores), 1)
            order = np.mean([score.in_order for score in scores])
            print(
                f"| {name} | {label} ({len(members)}) | {precision} | {recall:.3f} | {order:.3f} |"
            )
