"""Paths, headers, bodies, and who asks: the reading of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.door.http.crosssite import Caller, is_own, who_asks
from limen.door.http.request import MAX_PATH, Gone, Refused, Request, header_map, path_segments


# -- paths ------------------------------------------------------------------------------------------------------
def test_a_path_is_decoded_once() -> None:
    assert path_segments(b"/a%252e/%41") == ("a%2e", "A")


def test_a_slash_at_the_end_is_kept() -> None:
    assert path_segments(b"/a/") == ("a", "")


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"a",
        b"*",
        b"http://evil.example/a",
        b"//evil.example",
        b"/a//b",
        b"/a/../b",
        b"/a/%2e%2E/b",
        b"/./a",
        b"/..",
        b"/a%2fb",
        b"/a%2Fb",
        b"/a%5cb",
        b"/a\\b",
        b"/a%00",
        b"/a%0d%0aX-Evil:1",
        b"/a%7f",
        b"/a%c2%85",
        b"/a%c0%ae%c0%ae/",
        b"/a%ff",
        b"/a%ed%a0%80",
        b"/a%zz",
        b"/a%4",
        b"/a%",
        b"/a b",
        b"/a\x01",
        b"/a\n",
        b"/\xc3\xa4",
    ],
)
def test_what_is_no_path_is_refused(path: bytes) -> None:
    with pytest.raises(exc.InvalidAddress):
        path_segments(path)


def test_a_path_over_8_kib_is_414() -> None:
    with pytest.raises(Refused) as caught:
        path_segments(b"/" + b"a" * MAX_PATH)
    assert caught.value.status == 414


@given(st.binary(max_size=40))
def test_no_segment_leads_elsewhere(path: bytes) -> None:
    try:
        segments = path_segments(b"/" + path)
    except exc.InvalidAddress:
        return
    for part in segments:
        assert part not in (".", "..")
        assert not set(part) & set("/\\\0\r\n")
    assert "" not in segments[:-1]


# -- headers ----------------------------------------------------------------------------------------------------
def test_lists_are_joined_and_single_headers_may_not_repeat() -> None:
    assert header_map([(b"accept", b"a"), (b"x", b"1"), (b"accept", b"b")]) == {b"accept": b"a, b", b"x": b"1"}
    for name in (b"host", b"origin", b"content-type", b"content-length", b"sec-fetch-site"):
        with pytest.raises(exc.InvalidCall):
            header_map([(name, b"a"), (name, b"b")])


# -- bodies -----------------------------------------------------------------------------------------------------
def request(messages: Iterable[dict[str, Any]], *headers: tuple[bytes, bytes]) -> Request:
    left = iter(messages)

    async def receive() -> Any:
        return next(left)

    return Request("POST", b"/", b"", headers, "", False, receive)


def pieces(*bodies: bytes) -> list[dict[str, Any]]:
    last = len(bodies) - 1
    return [{"type": "http.request", "body": body, "more_body": at < last} for at, body in enumerate(bodies)]


CHUNKED = (b"transfer-encoding", b"chunked")


async def test_a_body_is_put_together() -> None:
    asked = request(pieces(b"ab", b"", b"c"), CHUNKED)
    assert await asked.body(3, 5) == b"abc"
    assert not asked.unread


async def test_without_an_announced_body_nothing_is_read() -> None:
    assert await request([]).body(10, 5) == b""


async def test_an_announced_length_over_the_limit_is_refused_unread() -> None:
    asked = request([], (b"content-length", b"11"))
    with pytest.raises(exc.TooLarge):
        await asked.body(10, 5)
    assert asked.unread


async def test_a_length_of_thousands_of_digits_is_no_bomb() -> None:
    with pytest.raises(exc.TooLarge):
        await request([], (b"content-length", b"9" * 100_000)).body(10, 5)


async def test_a_body_over_the_limit_is_given_up_where_it_passes_it() -> None:
    asked = request(pieces(b"aaaaaa", b"aaaaaa", b"never read"), CHUNKED)
    with pytest.raises(exc.TooLarge):
        await asked.body(10, 5)
    assert asked.unread
    with pytest.raises(exc.TooLarge):
        await request(pieces(b"a" * 11), CHUNKED).body(10, 5)


async def test_a_length_that_is_no_number_is_refused() -> None:
    for length in (b"1_2", b"-1", b"+1", b"", "١".encode()):
        with pytest.raises(exc.InvalidCall):
            await request(pieces(b"a"), (b"content-length", length)).body(10, 5)


async def test_a_client_that_goes_away_in_its_body_is_gone() -> None:
    with pytest.raises(Gone):
        await request([{"type": "http.disconnect"}], CHUNKED).body(10, 5)
    with pytest.raises(Gone):
        await request([*pieces(b"a", b"b")[:1], {"type": "http.disconnect"}], CHUNKED).body(10, 5)


async def test_a_client_that_goes_away_cancels_what_is_done_for_it() -> None:
    left = asyncio.Event()
    told = []

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    asked = Request("GET", b"/", b"", [], "", False, receive)

    async def work() -> None:
        asked.watch(lambda: told.append(1))
        await asyncio.sleep(60)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    left.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (asked.gone, told) == (True, [1])


# -- who asks ---------------------------------------------------------------------------------------------------
HOST = (b"host", b"a.example:8000")


def asks(method: str = "POST", tls: bool = False, **headers: bytes) -> Caller:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return who_asks(method, dict([HOST]) | named, tls)


def test_what_is_no_browser_is_taken_at_its_word() -> None:
    assert asks() is Caller.OWN


def test_the_own_page_and_the_user_are_own() -> None:
    assert asks(origin=b"http://a.example:8000") is Caller.OWN
    assert asks(origin=b"http://a.example:8000", sec_fetch_site=b"same-origin") is Caller.OWN
    assert asks("GET", sec_fetch_site=b"none", sec_fetch_mode=b"navigate") is Caller.OWN


@pytest.mark.parametrize(
    "origin",
    [
        b"null",
        b"",
        b"http://evil.example",
        b"http://a.example",
        b"http://a.example:80000",
        b"http://a.example:8000.evil.example",
        b"http://evil.example/a.example:8000",
        b"http://b.a.example:8000",
        b"ftp://a.example:8000",
        b"a.example:8000",
        b"http://a.example:8000/",
    ],
)
def test_every_other_origin_is_foreign(origin: bytes) -> None:
    assert asks(origin=origin) is Caller.FOREIGN
    assert asks(origin=origin, sec_fetch_site=b"same-origin") is Caller.FOREIGN


def test_a_sibling_site_is_foreign() -> None:
    assert asks(sec_fetch_site=b"same-site") is Caller.FOREIGN
    assert asks(sec_fetch_site=b"cross-site") is Caller.FOREIGN
    assert asks(sec_fetch_site=b"anything") is Caller.FOREIGN


def test_only_a_link_that_opens_as_a_page_is_a_link() -> None:
    link = {"sec_fetch_site": b"cross-site", "sec_fetch_mode": b"navigate", "sec_fetch_dest": b"document"}
    assert asks("GET", **link) is Caller.LINK
    assert asks("POST", **link) is Caller.FOREIGN
    assert asks("GET", **{**link, "sec_fetch_dest": b"iframe"}) is Caller.FOREIGN
    assert asks("GET", **{**link, "sec_fetch_mode": b"no-cors"}) is Caller.FOREIGN


def test_https_pages_are_own_behind_a_proxy_but_http_pages_not_over_tls() -> None:
    assert is_own(b"https://a.example", b"a.example", tls=False)
    assert not is_own(b"http://a.example", b"a.example", tls=True)
    assert is_own(b"https://a.example", b"A.example:443", tls=True)
