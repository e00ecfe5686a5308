"""Pings, peers that are gone, goodbyes that nobody answers, and memory that is given back."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from uvicorn_here import uvicorn_serving

from limen.base.config import Config
from limen.testing.sockets import ClosedError, SocketClient, frame
from limen.testing.transports import Door, ending
from limen.transport.connection import BULKY, Connection
from limen.transport.http_server import HttpServer
from limen.transport.picows_ws import PicowsServer

loop = uvloop.new_event_loop


def quick() -> Config:
    config = Config()
    config.PING_INTERVAL = 0.1
    config.PING_TIMEOUT = 0.3
    config.MAX_STALL = 0.5
    return config


@asynccontextmanager
async def serving(door: Door, config: Config) -> AsyncIterator[tuple[PicowsServer, int]]:
    server = PicowsServer(door.accept, config)
    async with uvicorn_serving(ws=server.protocol, http=HttpServer(config).protocol) as port:
        yield server, port


async def read_for(client: SocketClient, seconds: float) -> ClosedError | None:
    try:
        async with asyncio.timeout(seconds):
            while True:
                await client.receive()
    except TimeoutError:
        return None
    except ClosedError as end:
        return end


async def test_a_peer_that_answers_pings_stays() -> None:
    door = Door(echo=True)
    async with serving(door, quick()) as (_, port):
        client = await SocketClient.connect(port)
        assert await read_for(client, 1.0) is None
        assert 5 <= client.pings <= 11


async def test_a_peer_that_answers_no_ping_is_cut() -> None:
    door = Door()
    async with serving(door, quick()) as (_, port):
        client = await SocketClient.connect(port)
        client.pongs = False
        begin = asyncio.get_running_loop().time()
        assert (await ending(client)).code == 1006
        assert 0.3 < asyncio.get_running_loop().time() - begin < 0.9
        assert "ping" in await door.peers[0].until_lost()


async def test_a_long_message_on_a_slow_line_is_not_taken_for_a_dead_peer() -> None:
    door = Door()
    async with serving(door, quick()) as (_, port):
        client = await SocketClient.connect(port)
        client.pongs = False
        message = frame(2, b"x" * 40_000)
        for at in range(0, len(message), 2000):  # 20 pieces in a second; no pong can come in between
            await client.raw(message[at : at + 2000])
            await read_for(client, 0.05)
        await door.peers[0].until(lambda: len(door.peers[0].log) > 1)
        assert door.peers[0].log[1] == (b"x" * 40_000, False)


async def test_a_goodbye_that_nobody_answers_ends_in_time() -> None:
    door = Door()
    server = PicowsServer(door.accept, quick(), close_timeout=0.2)
    async with uvicorn_serving(ws=server.protocol) as port:
        client = await SocketClient.connect(port)
        await door.peers[0].until(lambda: bool(door.peers[0].log))
        begin = asyncio.get_running_loop().time()
        door.peers[0].wire.close(1000, "bye")
        assert "bye" in await door.peers[0].until_lost()
        assert 0.15 < asyncio.get_running_loop().time() - begin < 1.0
        del client


async def test_pings_that_flood_are_answered_by_the_latest_once_there_is_room() -> None:
    door = Door()
    async with serving(door, quick()) as (server, port):
        client = await SocketClient.connect(port, receive_buffer=4096)
        client.pongs = False
        flood = asyncio.ensure_future(
            client.raw(b"".join(frame(9, b"%0125d" % n) for n in range(50_000)))  # 6 MB of pings, none read
        )
        await asyncio.wait({flood}, timeout=0.4)
        (member,) = server.pulse.members
        assert isinstance(member, Connection)
        assert member.queued < 2**20
        received = asyncio.ensure_future(read_for(client, 8.0))
        async with asyncio.timeout(8):
            while b"%0125d" % 49_999 not in client.got_pongs:
                await asyncio.wait({received}, timeout=0.05)
        assert len(client.got_pongs) < 50_000
        received.cancel()
        flood.cancel()


async def test_a_grown_read_buffer_is_given_back() -> None:
    door = Door(echo=True)
    async with serving(door, quick()) as (server, port):
        client = await SocketClient.connect(port)
        data = b"x" * 1_000_000
        await client.send(data, False)
        assert await client.receive() == (data, False)
        (member,) = server.pulse.members
        assert isinstance(member, Connection)
        protocol = member.link.transport.get_protocol()
        assert len(protocol.get_buffer(-1)) > BULKY
        assert await read_for(client, 0.5) is None
        renewed = member.link.transport.get_protocol()
        assert renewed is not protocol
        assert len(renewed.get_buffer(-1)) < 2048
        for size in (10, 100_000, 10):
            await client.send(b"y" * size, True)
            assert await client.receive() == (b"y" * size, True)
        await client.close(1000)
        assert (await ending(client)).code == 1000
        await door.peers[0].until_lost()
    assert door.peers[0].log.count("lost") == 1


@pytest.fixture
def files() -> Iterator[None]:
    """As many as a thousand connections need, at both ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("files")
async def test_a_thousand_idle_connections_need_no_tasks_and_no_timers_of_their_own() -> None:
    door = Door()
    async with serving(door, Config()) as (server, port):
        clients = [await SocketClient.connect(port) for _ in range(1000)]
        assert len(server.pulse.members) == 1000
        assert len(asyncio.all_tasks()) < 10
        for client in clients:
            client.abort()


async def test_the_end_of_the_server_says_1001() -> None:
    door = Door()
    async with serving(door, Config()) as (_, port):
        client = await SocketClient.connect(port)
        waiting = asyncio.ensure_future(ending(client))
        await door.peers[0].until(lambda: bool(door.peers[0].log))
    assert (await waiting).code == 1001
