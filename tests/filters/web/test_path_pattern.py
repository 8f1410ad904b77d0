from __future__ import annotations

import time

import pytest

from curate.filters.web.path_pattern import normal_path, path_pattern
from curate.filters.web.robots_file import parse_robots_file
from curate.filters.web.tdm_file import parse_tdm_file


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/", "/anything", True),
        ("", "/anything", True),
        ("/fish", "/fish.html", True),
        ("/fish", "/Fish.asp", False),
        ("/fish*", "/fishheads/yummy.html", True),
        ("/fish/", "/fish", False),
        ("/*.php", "/folder/any.php.file.html", True),
        ("/*.php", "/", False),
        ("/*.php$", "/filename.php", True),
        ("/*.php$", "/filename.php?parameters", False),
        ("/*.php$", "/filename.php/x.php", True),
        ("/fish*.php", "/fishheads/catfish.php?x", True),
        ("/$", "/", True),
        ("/$", "/x", False),
        ("*", "/x", True),
        ("/a*b*c$", "/aXbYc", True),
        ("/ab*ba$", "/aba", False),
        ("***/x", "/y/x", True),
        # RFC 9309, section 2.2.2.
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", False),
        ("/foo/bar/\u30c4", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%e3%83%84", "/foo/bar/\u30c4", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
        ("/path/foo-%24", "/path/foo-$", True),
        ("/a$b", "/a$b", True),
        ("/a.c", "/abc", False),
        ("/(a+)+$", "/(a+)+", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert path_pattern(pattern).matches(normal_path(path)) == matches


@pytest.mark.parametrize("stars", [12, 400])
def test_stars_cost_no_more_than_their_number(stars: int) -> None:
    location = "/" + "*a" * stars + "b"
    path = "/" + "a" * 20_000
    started = time.process_time()
    assert not path_pattern(location).matches(normal_path(path))
    assert parse_robots_file(f"User-agent: *\nDisallow: {location}", "curate").allows(path)
    tdm = parse_tdm_file(f'[{{"location": "{location}", "tdm-reservation": 1}}]')
    assert not tdm.reserves(path)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("robots", "path", "allowed"),
    [
        ("", "/x", True),
        ("User-agent: *\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow: /", "/robots.txt", True),
        ("User-agent: *\nDisallow:", "/x", True),
        ("\ufeffUSER-AGENT : *\r\nDISALLOW: /x # why", "/x", False),
        ("Disallow: /", "/x", True),
        ("User-agent: other\nDisallow: /", "/x", True),
        ("User-agent: Curate/2.0\nDisallow: /", "/x", False),
        ("User-agent: curated\nDisallow: /", "/x", True),
        ("User-agent: other\nUser-agent: curate\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: curate\nAllow: /", "/x", True),
        ("User-agent: curate\nDisallow: /a\nUser-agent: *\nDisallow: /\n"
         "User-agent: curate\nDisallow: /x", "/x", False),
        ("User-agent: *\nDisallow: /x\nAllow: /x/y", "/x/y/z", True),
        ("User-agent: *\nAllow: /x/y\nDisallow: /x/y", "/x/y", True),
        ("User-agent: *\nAllow: /\nDisallow: /*.gif$", "/a.gif", False),
        ("User-agent: *\nDisalow: /x", "/x", False),
        ("User-agent: *\nSitemap: http://h/s\nDisallow: /x", "/x", False),
        ("User-agent: *\nDisallow: /x?q=1", "/x?q=12", False),
        ("\x00\xff:::\n\n:\nUser-agent", "/x", True),
    ],
)  # fmt: skip
def test_robots_files(robots: str, path: str, allowed: bool) -> None:
    assert parse_robots_file(robots, "curate").allows(path) == allowed


@pytest.mark.parametrize("text", ["[" * 200_000, "{", "null", '{"location": "/"}', "\ud800"])
def test_a_tdm_file_that_is_none_reserves_nothing(text: str) -> None:
    assert not parse_tdm_file(text).reserves("/")
