"""A site, corpora, benchmarks and tables whose every string is hostile, and a run built of them."""

from __future__ import annotations

import json
import subprocess
import sys
from html import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.conftest import ENGLISH, html_page, picture, write_warc
from tests.texts import prose

CURATE = [str(Path(sys.executable).with_name("curate"))]
PAGE = "http://h.test/page"
ITEM = "Which of the keepers climbs the lighthouse every evening to see that the lamp burns well?"
TRAINING = {
    "model": {
        "layers": 1,
        "width": 32,
        "ffn_width": 64,
        "heads": 2,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "vision": {
            "image_size": 64,
            "patch_size": 16,
            "width": 32,
            "layers": 1,
            "heads": 2,
            "quick_gelu": False,
        },
    },
    "training": {
        "precision": "float32",
        "micro_rows": {"interleaved": 1, "text": 1, "all": 1},
        "held_out_rows": 1,
        "evaluate_every": 1,
        "checkpoint_every": 1,
        "pretraining": {
            "steps": 2,
            "step_rows": {"interleaved": 1, "text": 1},
            "peak_rate": 0.001,
            "warmup_steps": 1,
        },
    },
}


def make_site(folder: Path, evil: str, file_name: str) -> None:
    """Write inputs, recipe and all that the commands take.

    Args:
        evil: stands in texts, addresses, identifiers, headers and names.
        file_name: a hostile part of names of files.
    """
    shown = escape(evil)
    pages = []
    for number in range(4):
        url = PAGE if number == 0 else f"http://h.test/{number}/{evil}"
        parts = "".join(
            f"<p>{prose(f'{number} {i}', 30)} {shown}</p>"
            f'<img src="/{number}-{i}.png?{shown}" alt="{shown}">'
            for i in range(3)
        )
        head = f'<title>{shown}</title><meta name="author" content="{shown}">'
        pages.append(
            html_page(url, f"{head}<article>{parts}</article>", **{"X-Robots-Tag": _header(evil)})
        )
    refused = [(f"http://h.test/{evil}", b"x", {"Content-Type": _header(evil)})]
    images = [
        (
            f"http://h.test/{n}-{i}.png?{evil}",
            picture(seed=4 * n + i),
            {"Content-Type": "image/png"},
        )
        for n in range(4)
        for i in range(3)
    ]
    write_warc(folder / f"h{file_name}.warc.gz", [*pages, *refused, *images])
    texts = [f"{prose(f'text {i}', 60)} {evil}" for i in range(12)]
    texts += [texts[0], f"{texts[1]} And once more.", f"{prose('item', 90)} {ITEM} {evil}"]
    rows = [
        {"id": f"{evil} {i}", "url": f"http://h.test/{i}{evil}", "text": text, "meta": {evil: evil}}
        for i, text in enumerate(texts)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"good{file_name}.jsonl").write_text(lines)
    # With a row that has no text, and one that is no JSON.
    (folder / f"docs{file_name}.jsonl").write_text(lines + '{"no": "text"}\n' + f"{evil}\n")
    items = [{"id": evil, "text": ITEM}, {"id": f"{evil} too", "text": "Too short."}]
    (folder / f"bench{file_name}.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items))
    captions = [f"{line} {evil}" for line in ENGLISH]
    urls = [f"http://127.0.0.1:1/{i}{evil}" for i in range(len(captions))]
    pq.write_table(pa.table({"url": urls, "caption": captions}), folder / f"t{file_name}.parquet")
    recipe = {
        "name": evil,
        "sources": {
            "web": {"format": "interleaved", "paths": [f"h{file_name}.warc.gz"], "weight": 0.5},
            "books": {
                "kind": "jsonl",
                "format": "text",
                "paths": [f"docs{file_name}.jsonl"],
                "weight": 0.5,
            },
        },
        "filters": {"page": {"language": None, "max_url_ratio": None}},
        "dedup": {},
        "decontamination": {"benchmarks": [f"bench{file_name}.jsonl"]},
        "images": {"size": 64, "fetch": {"enabled": False}},
        "tokenization": {"vocabulary": 150, "block": 256, "image_slots": 16},
        "mixture": {"pretraining": {"steps": 2, "step_tokens": {"text": 256, "interleaved": 256}}},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "mini.yaml").write_text(yaml.safe_dump(TRAINING))


def _header(evil: str) -> str:
    return evil.encode("ascii", "ignore").decode()


def curate(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*CURATE, *command], cwd=folder, capture_output=True)
