from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.schemas.text.secrets import MASK, masked
from tests.abuse.growth import check

NAMES = ("sig", "X-Amz-Signature", "X-Goog-Credential", "access_token", "api_key", "%73ig", "se")
SECRETS = st.text(string.ascii_letters + string.digits, min_size=8).map("S3cr3t".__add__)


@given(SECRETS, st.sampled_from(NAMES), st.sampled_from(["", "#part", "&page=2", "'), why"]))
def test_no_secret_is_left_and_masking_again_changes_nothing(
    secret: str, name: str, end: str
) -> None:
    told = masked(f"can't open 'https://user:{secret}@host/a.warc.gz?page=1&{name}={secret}{end}")
    assert secret not in told
    assert "host/a.warc.gz?page=1" in told
    assert MASK in told
    assert masked(told) == told


@pytest.mark.parametrize(
    "plain",
    [
        "http://host:8080/@user/a?page=2&size=3",
        "s3://bucket/crawl/*.warc.gz",
        "https://host/a:b@c?x=y#top",
        "no address, a@b and a = b",
    ],
)
def test_what_holds_no_secret_is_left_alone(plain: str) -> None:
    assert masked(plain) == plain


def test_a_password_with_a_slash_is_masked() -> None:
    assert masked("http://user:pa/ss@host/x") == f"http://{MASK}@host/x"


def test_many_addresses_in_one_run_take_time_that_grows_with_them() -> None:
    check(masked, lambda size: "http://" * (size // 7))
    check(masked, lambda size: "@" + "http://a:" * (size // 9))
