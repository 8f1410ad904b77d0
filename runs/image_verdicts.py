"""What became of the images of one part's documents, by every stage that judged them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.runs.run_directory import RunDirectory
from curate.runs.stage_names import IMAGE_SCORES
from curate.schemas.identity import image_key
from curate.schemas.verdict import Drop

SCORE_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("image", pa.int32()),
        ("similarity", pa.float64()),
        ("line", pa.int32()),
        ("aesthetic", pa.float64()),
        ("nsfw", pa.float64()),
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
    ]
)
"""Of stage `image-scores`, a row per living image: `row` counts the rows of the documents file,
`image` the document's images, `line` is what the image is assigned to; `rule` is null for one that
stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFates:
    """Verdicts on images: by their address, and by the document that shows them."""

    by_key: dict[bytes, dict[str, Any]]
    scores: dict[tuple[int, int], dict[str, Any]]
    """By row of the document and number of its image."""

    def of(self, url: str) -> dict[str, Any]:
        """The image's row of `verdicts/images`: where it is stored, and what it shows."""
        return self.by_key[image_key(url)]

    def drop(self, row: int, number: int, url: str) -> Drop | None:
        """Why the image is gone, if it is."""
        rule = self.of(url)["rule"]
        if rule is not None:
            return Drop("node.image_dropped", rule)
        score = self.scores.get((row, number))
        if score is None or score["rule"] is None:
            return None
        return Drop(score["rule"], score["value"], score["limit"])

    def line(self, row: int, number: int) -> int | None:
        """The line that the image is assigned to, if it is."""
        score = self.scores.get((row, number))
        return None if score is None else score["line"]


def read_image_fates(run: RunDirectory, name: str) -> ImageFates:
    """The verdicts on the images of a part's documents."""
    with run.open(f"verdicts/images/{name}.parquet") as stream:
        by_key = {row["key"]: row for row in pq.read_table(stream).to_pylist()}
    scores: dict[tuple[int, int], dict[str, Any]] = {}
    path = f"verdicts/{IMAGE_SCORES}/{name}.parquet"
    if run.exists(path):
        with run.open(path) as stream:
            scores = {(r["row"], r["image"]): r for r in pq.read_table(stream).to_pylist()}
    return ImageFates(by_key=by_key, scores=scores)
