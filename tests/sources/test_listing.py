from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from curate.demo.server import Resource, serve
from curate.schemas.settings.source import Source
from curate.sources.archives.archive import read_archive
from curate.sources.listing import InputError, list_inputs
from tests.conftest import html_page, write_warc


def test_order_of_paths_and_places_plays_no_part(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.warc.gz").write_bytes(b"x" * 3)
    one = Source(format="text", paths=(f"{tmp_path}/*.warc.gz",))
    two = Source(format="text", paths=tuple(f"{tmp_path}/{n}.warc.gz" for n in "cabb"))
    assert [f.name for f in list_inputs("web", one)] == ["a.warc.gz", "b.warc.gz", "c.warc.gz"]
    assert list_inputs("web", one) == list_inputs("web", two)


def test_limit_takes_the_first_files(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"")
    source = Source(format="text", paths=(f"{tmp_path}/*",), limit=1)
    assert [f.name for f in list_inputs("web", source)] == ["a"]


def test_errors_name_the_source_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sources.web: no file matches .*quote a glob"):
        list_inputs("web", Source(format="text", paths=(f"{tmp_path}/none*",)))
    with pytest.raises(InputError, match="neither `paths` nor `crawl`"):
        list_inputs("web", Source(format="text"))
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.warc").write_bytes(b"")
    with pytest.raises(InputError, match="two inputs are named same.warc"):
        list_inputs("web", Source(format="text", paths=(f"{tmp_path}/*/same.warc",)))


def test_a_crawl_is_read_by_its_path_listing_over_http(tmp_path: Path) -> None:
    warc = write_warc(tmp_path / "w.warc.gz", [html_page("http://h.test/", "<p>x</p>")])
    names = [f"crawl-data/CC-MAIN-2023-06/segments/{i}/warc/w{i}.warc.gz" for i in range(3)]
    site = {f"/{name}": Resource(warc.read_bytes(), "application/gzip") for name in names}
    listing = gzip.compress("\n".join(names).encode())
    site["/crawl-data/CC-MAIN-2023-06/warc.paths.gz"] = Resource(listing, "application/gzip")
    with serve(site) as address:
        source = Source(
            format="text", crawl="CC-MAIN-2023-06", crawl_root=f"http://{address}", limit=2
        )
        files = list_inputs("web", source)
        assert [f.name for f in files] == ["w0.warc.gz", "w1.warc.gz"]
        (record,) = read_archive(files[1].path, 1 << 20)
        assert record.origin.warc_file == "w1.warc.gz"
        missing = source.model_copy(update={"crawl": "CC-MAIN-2099-01"})
        with pytest.raises(InputError, match="path listing .* can't be read"):
            list_inputs("web", missing)
