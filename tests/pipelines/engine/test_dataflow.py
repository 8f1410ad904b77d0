from __future__ import annotations

import pytest

from curate.pipelines.engine import dataflow
from curate.schemas.errors import UsageError

GOOD = {
    "project": "my-project",
    "region": "us-central1",
    "temp_location": "gs://bucket/tmp",
    "sdk_container_image": "registry/curate:1",
}


@pytest.fixture(autouse=True)
def _with_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of options need no package of Google's."""
    monkeypatch.setattr(dataflow, "_require_package", lambda: None)


def options(**changed: str | None) -> list[str]:
    return [f"--{k}={v}" for k, v in {**GOOD, **changed}.items() if v is not None]


def test_good_options_pass() -> None:
    dataflow.check_options(options(machine_type="n2-standard-8", job_name="crawl-1"))
    dataflow.check_options(options(num_workers="2", max_num_workers="9", region="europe-west4"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"project": None}, "--project is missing"),
        ({"region": None}, "--region is missing"),
        ({"temp_location": None}, "--temp_location is missing"),
        ({"sdk_container_image": None}, "--sdk_container_image is missing"),
        ({"temp_location": "/tmp/x"}, "must be a folder like gs://bucket/folder (got /tmp/x)"),
        ({"staging_location": "s3://b/x"}, "--staging_location must be a folder like gs://"),
        ({"project": "My Project"}, "--project must be a project's id"),
        ({"job_name": "Crawl_1"}, "--job_name must be letters a-z"),
        ({"machine_type": "large"}, "--worker_machine_type must be one like n2-standard-8"),
        ({"num_workers": "9", "max_num_workers": "2"}, "--num_workers 9 is more than"),
        ({"autoscaling_algorithm": "NONE"}, "--autoscaling_algorithm=NONE needs --num_workers"),
    ],
)
def test_bad_options_are_named(changed: dict[str, str | None], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        dataflow.check_options(options(**changed))
    assert told in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        dataflow.check_options([])
    assert str(caught.value).count("is missing") == len(GOOD)


def test_workers_must_reach_what_is_read() -> None:
    dataflow.check_places("gs://bucket/run", ["s3://commoncrawl/a.warc.gz"])
    with pytest.raises(UsageError, match=r"/data/a\.warc\.gz and 1 more is on this machine"):
        dataflow.check_places("gs://bucket/run", ["/data/a.warc.gz", "b.warc.gz"])
    with pytest.raises(UsageError, match="out is on this machine"):
        dataflow.check_places("out", [])
