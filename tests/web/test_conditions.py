"""Preconditions and ranges, as RFC 9110 has them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from limen.web.conditions import MAX_RANGES, ranges, unchanged

ETAG = b'"a-1"'
MOMENT = 784111777
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_a_matching_tag_means_not_modified() -> None:
    assert unchanged({b"if-none-match": ETAG}, ETAG, 0) == 304


def test_a_weak_tag_matches_too_when_caches_ask() -> None:
    assert unchanged({b"if-none-match": b'"x", W/"a-1"'}, ETAG, 0) == 304


def test_a_star_matches_whatever_is_there() -> None:
    assert unchanged({b"if-none-match": b"*"}, ETAG, 0) == 304
    assert unchanged({b"if-match": b"*"}, ETAG, 0) is None


def test_another_tag_wins_over_an_equal_date() -> None:
    assert unchanged({b"if-none-match": b'"other"', b"if-modified-since": DATE}, ETAG, MOMENT) is None


def test_the_date_decides_where_no_tag_is_given() -> None:
    assert unchanged({b"if-modified-since": DATE}, ETAG, MOMENT) == 304
    assert unchanged({b"if-modified-since": DATE}, ETAG, MOMENT + 1) is None


def test_a_date_that_cannot_be_read_counts_as_absent() -> None:
    for date in (b"", b"yesterday", b"Sun, 99 Nov 1994 08:49:37 GMT", b"\xff", b"9" * 100):
        assert unchanged({b"if-modified-since": date}, ETAG, MOMENT) is None


def test_if_match_fails_on_another_or_a_weak_tag() -> None:
    assert unchanged({b"if-match": b'"other"'}, ETAG, 0) == 412
    assert unchanged({b"if-match": b'W/"a-1"'}, ETAG, 0) == 412
    assert unchanged({b"if-match": b'"other", "a-1"'}, ETAG, 0) is None


def test_if_unmodified_since_fails_on_a_newer_file() -> None:
    assert unchanged({b"if-unmodified-since": DATE}, ETAG, MOMENT + 1) == 412
    assert unchanged({b"if-unmodified-since": DATE}, ETAG, MOMENT) is None


def span(value: bytes, size: int = 10, **more: bytes) -> list[tuple[int, int]] | None:
    headers = {b"range": value, **{name.replace("_", "-").encode(): text for name, text in more.items()}}
    return ranges(headers, ETAG, MOMENT, size)


def test_ranges_are_first_to_last_inclusive() -> None:
    assert span(b"bytes=0-0") == [(0, 0)]
    assert span(b"bytes=2-") == [(2, 9)]
    assert span(b"bytes=2-99") == [(2, 9)]


def test_a_suffix_counts_from_the_end() -> None:
    assert span(b"bytes=-3") == [(7, 9)]
    assert span(b"bytes=-99") == [(0, 9)]


def test_what_lies_beyond_the_end_cannot_be_satisfied() -> None:
    assert span(b"bytes=10-") == []
    assert span(b"bytes=-0") == []
    assert span(b"bytes=0-", size=0) == []


def test_one_range_that_can_be_satisfied_is_enough() -> None:
    assert span(b"bytes=20-30, 1-2") == [(1, 2)]


def test_a_range_that_is_none_is_ignored() -> None:
    for value in (
        b"bytes=5-2",
        b"bytes=a-b",
        b"bytes=-",
        b"bytes",
        b"lines=1-2",
        b"bytes=1-2-3",
        b"bytes=+1-2",
        b"bytes=1_0-",
    ):
        assert span(value) is None, value


def test_huge_numbers_are_no_bomb() -> None:
    assert span(b"bytes=0-" + b"9" * 5000) is None


def test_many_or_overlapping_ranges_get_the_whole_file() -> None:
    assert span(b"bytes=" + b",".join([b"0-0"] * (MAX_RANGES + 1))) is None
    assert span(b"bytes=0-9,0-9") is None


def test_a_stale_if_range_gets_the_whole_file() -> None:
    assert span(b"bytes=0-1", if_range=ETAG) == [(0, 1)]
    assert span(b"bytes=0-1", if_range=b'"old"') is None
    assert span(b"bytes=0-1", if_range=b'W/"a-1"') is None
    assert span(b"bytes=0-1", if_range=DATE) == [(0, 1)]
    assert span(b"bytes=0-1", if_range=b"Sun, 06 Nov 1994 08:49:38 GMT") is None


@given(st.binary(max_size=60), st.integers(0, 50))
def test_whatever_is_asked_the_ranges_lie_in_the_file(value: bytes, size: int) -> None:
    for found in (ranges({b"range": value}, ETAG, 0, size), ranges({b"range": b"bytes=" + value}, ETAG, 0, size)):
        for first, last in found or ():
            assert 0 <= first <= last < size


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6), st.integers(1, 50))
def test_never_more_than_the_whole_is_sent(pairs: list[tuple[int, int]], size: int) -> None:
    value = b"bytes=" + b",".join(b"%d-%d" % pair for pair in pairs)
    found = ranges({b"range": value}, ETAG, 0, size)
    if found is not None and len(found) > 1:
        assert sum(last - first + 1 for first, last in found) <= size
