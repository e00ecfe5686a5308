"""What one client may cost the others: queues that nobody reads, peers that vanish, callees that sleep, and too many of
them. Over WebSockets and RawSockets, through real sockets."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import uvloop
from routing import Client, Routing, routing

from limen.core.wamp import messages as m
from limen.door.router.config import Limits, Listener, RealmLimits, anyone
from limen.testing.rawsockets import RawSocketClient, RefusedError
from limen.testing.sockets import SocketClient

loop = uvloop.new_event_loop
REALM = "realm1"
UNAVAILABLE = "wamp.error.unavailable"


@asynccontextmanager
async def both(limits: Limits | None = None, **of_realm: Any) -> AsyncIterator[Ways]:
    """A router with a port for WebSockets and one for RawSockets."""
    realm = msgspec.structs.replace(anyone(REALM), limits=RealmLimits(**of_realm))
    listeners = (Listener(port=0), Listener(type="rawsocket", port=0))
    async with routing(realm, listeners=listeners, limits=limits or Limits()) as at:
        yield Ways(at)


class Ways:
    def __init__(self, at: Routing) -> None:
        self.at, self.hub = at, at.router.hub
        self.raw_port = int(at.where[1].rsplit(":", 1)[1])

    async def join(self, way: str = "websocket", **more: Any) -> Client:
        wire: Any
        if way == "rawsocket":
            wire = await RawSocketClient.connect(self.raw_port, ["wamp.2.msgpack"], **more)
        else:
            wire = await SocketClient.connect(self.at.port, "/ws", ["wamp.2.msgpack"], **more)
        client = Client(wire, "msgpack")
        self.at.clients.append(client)
        answer = await client.hello(REALM)
        assert type(answer) is m.Welcome, answer
        return client

    async def watch(self) -> Client:
        """Somebody who hears who leaves."""
        watcher = await self.join()
        subscribed = await watcher.ask(m.Subscribe, "wamp.session.on_leave")
        assert type(subscribed) is m.Subscribed, subscribed
        return watcher


async def until_left(watcher: Client, session: int) -> None:
    while (await watcher.hear(20)).args[0] != session:  # type: ignore[union-attr]
        pass


def deafen(client: Client) -> None:
    """The kernel throws away what comes for *client*, unacknowledged: for the router it has vanished without a FIN."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # "return 0": of no packet any byte
    sock: socket.socket = client.socket.writer.get_extra_info("socket")
    so_attach_filter = 26
    sock.setsockopt(socket.SOL_SOCKET, so_attach_filter, struct.pack("HL", 1, ctypes.addressof(program)))


# -- subscribers that do not read -----------------------------------------------------------------------------------
async def hear_all(client: Client, count: int) -> list[int]:
    heard = []
    while len(heard) < count:
        event = await client.hear(20)
        assert type(event) is m.Event
        assert event.args is not None
        heard.append(event.args[0])
    return heard


@pytest.mark.parametrize("way", ["websocket", "rawsocket"])
async def test_a_subscriber_that_leaves_8_mib_unread_is_cut_and_nobody_else_loses_an_event(way: str) -> None:
    async with both(Limits(stall=60.0)) as at:
        watcher = await at.watch()
        lazy = await at.join(way, receive_buffer=4096)
        good = [await at.join(one) for one in ("websocket", "rawsocket")]
        publisher = await at.join()
        for subscriber in (lazy, *good):
            assert type(await subscriber.ask(m.Subscribe, "com.example.bulk")) is m.Subscribed
        hearing = [asyncio.ensure_future(hear_all(subscriber, 200)) for subscriber in good]
        most = 0
        (connection,) = [one for one in at.hub.connections if one.session_id == lazy.id]
        for n in range(200):
            done = await publisher.ask(m.Publish, "com.example.bulk", [n, bytes(100_000)], acknowledge=True)
            assert type(done) is m.Published
            most = max(most, connection.queued)
        assert [await one for one in hearing] == [list(range(200))] * 2
        await until_left(watcher, lazy.id)
    assert 7 * 2**20 < most < 8 * 2**20 + 200_000


@pytest.mark.parametrize("way", ["websocket", "rawsocket"])
async def test_a_subscriber_that_stalls_is_cut_however_little_waits(way: str) -> None:
    async with both(Limits(stall=0.5)) as at:
        watcher = await at.watch()
        lazy, good = await at.join(way, receive_buffer=4096), await at.join()
        publisher = await at.join()
        for subscriber in (lazy, good):
            await subscriber.ask(m.Subscribe, "com.example.bulk")
        hearing = asyncio.ensure_future(hear_all(good, 60))
        for n in range(60):
            await publisher.ask(m.Publish, "com.example.bulk", [n, bytes(100_000)], acknowledge=True)
        assert await hearing == list(range(60))
        await until_left(watcher, lazy.id)


# -- peers that vanish ----------------------------------------------------------------------------------------------
def test_who_vanishes_is_noticed_within_30_seconds() -> None:
    limits = Limits()
    assert limits.ping + limits.pong <= 30


@pytest.mark.parametrize("way", ["websocket", "rawsocket"])
@pytest.mark.parametrize("pinging", [False, True], ids=["idle", "with events on their way"])
async def test_who_vanishes_without_a_word_is_noticed_and_leaves_nothing_behind(way: str, pinging: bool) -> None:
    async with both(Limits(ping=1.0, pong=1.0)) as at:
        watcher, other = await at.watch(), await at.join()
        gone = await at.join(way)
        await gone.ask(m.Register, "com.example.gone")
        await gone.ask(m.Subscribe, "com.example.news")
        deafen(gone)
        staying = asyncio.ensure_future(other.hear(60))  # who answers pings stays
        if pinging:
            publisher = await at.join("rawsocket")
            await publisher.ask(m.Publish, "com.example.news", [1], acknowledge=True)
        await until_left(watcher, gone.id)
        assert not staying.done()
        await other.say(m.Call(1, {}, "com.example.gone"))
        answer = await staying
        assert type(answer) is m.Error
        assert answer.error == "wamp.error.no_such_procedure"


# -- callees that do not keep up --------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["websocket", "rawsocket"])
async def test_a_callee_that_does_not_read_is_heard_of_by_its_callers_until_it_reads_again(way: str) -> None:
    async with both(Limits(stall=60.0)) as at:
        callee, caller = await at.join(way, receive_buffer=4096), await at.join()
        await callee.ask(m.Register, "com.example.slow")
        sent = 0
        answer: Any = None
        answering = asyncio.ensure_future(caller.hear(20))
        while not answering.done():
            sent += 1
            assert sent < 100
            await caller.say(m.Call(next(caller.numbers), {}, "com.example.slow", [bytes(100_000)]))
            await asyncio.wait({answering}, timeout=0.01)
        answer = await answering
        assert (type(answer), answer.request, answer.error) == (m.Error, sent, UNAVAILABLE)
        assert "does not read" in answer.args[0]

        for _ in range(sent - 1):
            invocation = await callee.hear(20)
            assert type(invocation) is m.Invocation
            await callee.say(m.Yield(invocation.request, {}, [1]))
        assert {(await caller.hear(20)).request for _ in range(sent - 1)} == set(range(1, sent))  # type: ignore[union-attr]
        await caller.say(m.Call(next(caller.numbers), {}, "com.example.slow", [2]))
        invocation = await callee.hear(20)
        assert type(invocation) is m.Invocation
        await callee.say(m.Yield(invocation.request, {}, [3]))
        result = await caller.hear(20)
        assert type(result) is m.Result
        assert result.args == [3]


async def test_20_000_calls_that_wait_for_a_callee_that_sleeps_keep_nobody_from_being_answered() -> None:
    async with both() as at:
        sleeper, callee, caller = await at.join("rawsocket"), await at.join(), await at.join()
        await sleeper.ask(m.Register, "com.example.sleep")
        await callee.ask(m.Register, "com.example.awake")
        crowd = [await at.join("rawsocket") for _ in range(5)]
        data = [m.Call(n, {}, "com.example.sleep", [n]) for n in range(1, 4001)]
        await asyncio.gather(*(_say_all(one, data) for one in crowd))
        for _ in range(20_000):
            assert type(await sleeper.hear(20)) is m.Invocation

        for n in range(1, 101):  # each is answered while all of the others still wait
            await caller.say(m.Call(n, {}, "com.example.awake", [n]))
            invocation = await callee.hear()
            assert type(invocation) is m.Invocation
            await callee.say(m.Yield(invocation.request, {}, [n]))
            result = await caller.hear()
            assert (type(result), result.args) == (m.Result, [n])  # type: ignore[union-attr]
        (session,) = [one.session for one in at.hub.connections if one.session_id == sleeper.id]
        assert session is not None
        assert len(session.invocations) == 20_000

        await sleeper.gone()
        for one in crowd:
            answers = [await one.hear(20) for _ in range(4000)]
            assert {type(answer) for answer in answers} == {m.Error}
            assert sorted(answer.request for answer in answers) == list(range(1, 4001))  # type: ignore[union-attr]


async def _say_all(client: Client, said: list[m.Call]) -> None:
    for message in said:
        await client.say(message)


# -- too many -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["websocket", "rawsocket"])
async def test_a_realm_has_only_so_many_sessions(way: str) -> None:
    async with both(sessions=2) as at:
        first, _ = await at.join(), await at.join("rawsocket")
        with pytest.raises(AssertionError) as refused:
            await at.join(way)
        assert UNAVAILABLE in str(refused.value)
        assert "as many sessions as it may" in str(refused.value)
        await first.say(m.Goodbye({}, "wamp.close.close_realm"))
        assert type(await first.hear()) is m.Goodbye
        await at.join(way)


async def test_a_server_has_only_so_many_connections() -> None:
    async with both(Limits(connections=2)) as at:
        await at.join()
        await at.join("rawsocket")
        with pytest.raises(RefusedError) as refused:
            await at.join()
        assert refused.value.status == 503
        with pytest.raises(RefusedError) as refused:
            await at.join("rawsocket")
        assert refused.value.status == 4


# -- what a RawSocket does not take -----------------------------------------------------------------------------------
async def test_what_a_callee_or_caller_does_not_take_is_its_callers_error() -> None:
    async with both() as at:
        small = await at.join("rawsocket", largest=2**12)
        large = await at.join()
        await small.ask(m.Register, "com.example.small")
        await large.ask(m.Register, "com.example.large")
        await large.say(m.Call(2, {}, "com.example.small", [bytes(5000)]))
        answer = await large.hear()
        assert (type(answer), answer.request) == (m.Error, 2)  # type: ignore[union-attr]
        assert "4096" in str(answer)
        await small.say(m.Call(2, {}, "com.example.large"))
        invocation = await large.hear()
        assert type(invocation) is m.Invocation
        await large.say(m.Yield(invocation.request, {}, [bytes(5000)]))
        answer = await small.hear()
        assert (type(answer), answer.request) == (m.Error, 2)  # type: ignore[union-attr]


async def test_an_event_that_one_subscriber_does_not_take_reaches_the_others() -> None:
    async with both() as at:
        small, large = await at.join("rawsocket", largest=2**12), await at.join("rawsocket")
        publisher = await at.join()
        for one in (small, large):
            await one.ask(m.Subscribe, "com.example.news")
        await publisher.ask(m.Publish, "com.example.news", [1, bytes(5000)], acknowledge=True)
        await publisher.ask(m.Publish, "com.example.news", [2], acknowledge=True)
        assert [(await large.hear()).args[0] for _ in range(2)] == [1, 2]  # type: ignore[union-attr]
        assert (await small.hear()).args == [2]  # type: ignore[union-attr]


async def test_who_takes_no_welcome_is_told_so() -> None:
    async with both() as at:
        with pytest.raises(AssertionError) as refused:
            await at.join("rawsocket", largest=512)
        assert "ask for larger messages" in str(refused.value)
        await at.join("rawsocket", largest=2048)
