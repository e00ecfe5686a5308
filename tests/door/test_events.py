"""Topics as Server-Sent Events: who hears what, and that nothing of a reader stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from signed import Site, header, program, serving
from waiting import until

from limen import exc
from limen.door.bridge.events import Events
from limen.door.http.request import Request


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(program()) as site:
        yield site


class Reader:
    """One GET that goes on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status, self.headers = 0, ""
        self._text = b""

    async def head(self) -> None:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        self.status, self.headers = int(head.split(" ")[1]), head.lower()

    async def block(self) -> dict[str, str]:
        """The next block of the stream (the framing of the chunks taken away)."""
        while b"\n\n" not in self._text:
            size = int(await asyncio.wait_for(self.reader.readline(), 10), 16)
            if size == 0:
                raise EOFError
            self._text += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        text, _, self._text = self._text.partition(b"\n\n")
        return dict(re.findall(r"^(\w*): ?(.*)$", text.decode(), re.MULTILINE))


@contextlib.asynccontextmanager
async def reading(site: Site, topics: str, *, origin: str = "127.0.0.1", **headers: str) -> AsyncIterator[Reader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, local_addr=(origin, 0), limit=2**16)
    lines = [f"GET /limen/events/{topics} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "\r\n"]).encode())
    found = Reader(reader, writer)
    await found.head()
    try:
        yield found
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def blocks_until_the_end(reader: Reader) -> int:
    count = 0
    with contextlib.suppress(EOFError, asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.block()
            count += 1
    return count


def say(site: Site, topic: str, *args: Any, **kwargs: Any) -> None:
    site.app.registry.topics[topic].publish_to("localhost", *args, **kwargs)


async def test_events_come_with_their_topic_their_id_and_their_values(site: Site) -> None:
    async with reading(site, "news/alarm") as reader:
        assert reader.status == 200
        assert "content-type: text/event-stream\r\n" in reader.headers
        assert "cache-control: no-store" in reader.headers
        assert await reader.block() == {"retry": "3000", "id": "0"}
        say(site, "news", "milk\nand <b>honey</b>", by="ada")
        say(site, "alarm", 7)
        first, second = await reader.block(), await reader.block()
        assert (first["event"], second["event"]) == ("news", "alarm")
        assert json.loads(first["data"]) == {"args": ["milk\nand <b>honey</b>"], "kwargs": {"by": "ada"}}
        assert json.loads(second["data"]) == {"args": [7], "kwargs": {}}
        assert first["id"] != second["id"]


async def test_who_comes_back_hears_that_something_may_be_missing(site: Site) -> None:
    async with reading(site, "news", last_event_id="0") as reader:
        await reader.block()
        assert await reader.block() == {"event": "missed", "data": "{}"}


@pytest.mark.parametrize(
    ("topics", "status"),
    [("orders", 401), ("sealed.news", 401), ("nothing", 401), ("news/orders", 401), ("", 400), ("a//b", 400)],
)
async def test_what_is_not_for_everybody_is_told_to_nobody(site: Site, topics: str, status: int) -> None:
    async with reading(site, topics) as reader:
        assert reader.status == status
    assert not site.hub.guests
    assert not site.hub.realm("localhost").sessions


async def test_a_signed_request_hears_what_its_role_may(site: Site) -> None:
    key, visitor = site.key(), site.key("visitor", ("user",))
    target = "/limen/events/orders"
    async with reading(site, "orders", authorization=header(key, "GET", target)) as reader:
        assert reader.status == 200
        await reader.block()
        say(site, "orders", "halt")
        assert (await reader.block())["event"] == "orders"
    async with reading(site, "orders", authorization=header(visitor, "GET", target)) as reader:
        assert reader.status == 401
    async with reading(site, "sealed.news", authorization=header(key, "GET", "/limen/events/sealed.news")) as reader:
        assert reader.status == 401


async def test_what_clients_publish_is_heard_where_a_rule_allows_it(site: Site) -> None:
    async with reading(site, "device.news") as reader:
        await reader.block()
        status, told = await site.bridge(site.key(), "publish", {"topic": "device.news", "args": ["hot"]})
        heard = await reader.block()
        assert (status, heard["id"], heard["event"]) == (200, str(told["id"]), "device.news")
        assert json.loads(heard["data"])["args"] == ["hot"]


async def test_a_stream_ends_with_the_key_that_signed_for_it(site: Site) -> None:
    key = site.key()
    async with reading(site, "orders", authorization=header(key, "GET", "/limen/events/orders")) as reader:
        await reader.block()
        await asyncio.to_thread(site.app.auth.remove_key, key.id)
        with pytest.raises(EOFError):
            await reader.block()
    assert not site.hub.guests


async def test_of_a_reader_that_has_left_nothing_stays(site: Site) -> None:
    async with reading(site, "news") as reader:
        await reader.block()
        assert len(site.hub.guests) == 1
    await until(lambda: not site.hub.guests and not site.hub.realm("localhost").sessions)


async def test_streams_end_when_the_server_stops(site: Site) -> None:
    async with reading(site, "news") as reader:
        await reader.block()
        await site.hub.drain()
        with pytest.raises(EOFError):
            await reader.block()


async def test_a_reader_that_does_not_read_is_cut_and_costs_no_more_than_its_queue(site: Site) -> None:
    site.app.config.MAX_QUEUE_SIZE = 200_000
    async with reading(site, "news") as slow, reading(site, "news") as quick:
        await slow.block()
        await quick.block()
        for number in range(400):
            say(site, "news", number, "x" * 50_000)
            assert json.loads((await quick.block())["data"])["args"][0] == number
        await until(lambda: len(site.hub.guests) == 1)
        got = await blocks_until_the_end(slow)
        assert 0 < got < 400
        say(site, "news", "still here")
        assert json.loads((await quick.block())["data"])["args"] == ["still here"]


async def test_an_address_has_so_many_streams_and_no_more(site: Site) -> None:
    site.app.config.MAX_ORIGIN_CONNECTIONS = 2
    async with reading(site, "news"), reading(site, "news"):
        async with reading(site, "news") as third:
            assert (third.status, "retry-after: 60" in third.headers) == (503, True)
        async with reading(site, "news", origin="127.0.0.2") as other:
            assert other.status == 200
        key = site.key()
        async with reading(site, "orders", authorization=header(key, "GET", "/limen/events/orders")) as signed:
            assert signed.status == 200


async def test_a_key_has_so_many_streams_and_no_more(site: Site) -> None:
    site.app.config.MAX_USER_SESSIONS = 1
    keys, target = [site.key(), site.key("other")], "/limen/events/orders"
    async with reading(site, "orders", authorization=header(keys[0], "GET", target)) as first:
        await first.block()
        async with reading(site, "orders", authorization=header(keys[0], "GET", target)) as second:
            assert second.status == exc.MaxActiveSessions.status
        async with reading(site, "orders", authorization=header(keys[1], "GET", target)) as other:
            assert other.status == 200


async def test_pages_of_other_sites_hear_nothing(site: Site) -> None:
    async with reading(site, "news", sec_fetch_site="cross-site") as reader:
        assert reader.status == 403


async def test_head_tells_what_get_would_and_keeps_nothing(site: Site) -> None:
    answer = await site.ask("HEAD", "/limen/events/news")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert (await site.ask("POST", "/limen/events/news", b"{}")).status == 405
    assert not site.hub.guests


async def test_a_quiet_stream_says_that_it_lives(site: Site) -> None:
    events = Events(site.hub, heartbeat=0.01)

    async def receive() -> Any:
        raise AssertionError

    response = await events(
        Request("GET", b"/limen/events/news", b"", [], "127.0.0.1", False, receive),
        site.app.local(origin="127.0.0.1"),
        ("news",),
    )
    assert response.stream is not None
    assert [await anext(response.stream) for _ in range(3)][1:] == [b": \n\n", b": \n\n"]
    await response.stream.aclose()
    assert not site.hub.guests
