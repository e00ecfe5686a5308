"""Connections that are cut in the middle of calls, signals and changes: each call ends once, mirrors agree at the end,
and nothing is left bound. On real sockets, by a server of Limen's."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest_asyncio

from limen import Connection, Node, Signal, call, exc, handler, when_connected

sys.path.append(str(Path(__file__).parent.parent / "client"))
from between import Between
from house import House, until

CALLS, LANES = 10_000, 20
NOT_RUN = (exc.NotFound, exc.ConnectionLost)
UNKNOWN = (exc.OutcomeUnknown, exc.Canceled)


class Books(Node):
    """What is called: each key is to run at most once."""

    on_ran = Signal()

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    @call
    async def work(self, key: str) -> str:
        self.ran[key] += 1
        self["last"] = key
        self[f"lane {key.partition('.')[0]}"] = key
        number = len(self.ran)
        if number % 50 == 0:
            await self.on_ran.notify(number)
        elif number % 7 == 0:
            await asyncio.sleep(0)
        return key


class Listener(Node):
    def __init__(self) -> None:
        self.heard: list[int] = []

    @handler("@books.on_ran")
    def ran(self, number: int) -> None:
        self.heard.append(number)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "keys")
    await house.start()
    house.app.open_realms = True
    yield house
    await house.stop()


async def lane(
    number: int, root: Node, callee: Connection, ended: Counter[tuple[str, str]], progress: asyncio.Semaphore
) -> None:
    """CALLS / LANES calls, one after the other; how each of them ended."""
    books = root.remote("@books")
    for n in range(CALLS // LANES):
        key = f"{number}.{n}"
        try:
            assert await asyncio.wait_for(books.work(key), 30) == key
            ended[key, "ok"] += 1
        except NOT_RUN:
            ended[key, "not run"] += 1
            await when_connected(callee)
        except UNKNOWN:
            ended[key, "unknown"] += 1
        progress.release()


async def test_connections_cut_in_the_middle_of_calls_signals_and_changes(house: House) -> None:
    chance = random.Random(7)
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(Between(house.port)) for _ in range(2)]
        callee, caller = [await stack.enter_async_context(Connection(way.url, "localhost")) for way in ways]
        books, listener, root = Books(), Listener(), Node()
        await books.node_bind("base.books", callee.new_context())
        await root.node_bind("base", caller.new_context())
        await root.node_add("listener", listener)
        mirror = await root.remote("@books").stream()
        ended: Counter[tuple[str, str]] = Counter()
        progress = asyncio.Semaphore(0)
        lanes = asyncio.gather(*(lane(number, root, callee, ended, progress) for number in range(LANES)))
        cuts = 0
        while (more := chance.randrange(100, 300)) < CALLS - sum(ended.values()):
            for _ in range(more):
                await progress.acquire()
            chance.choice(ways).cut()
            cuts += 1
            await asyncio.gather(when_connected(callee), when_connected(caller))
        await lanes
        assert cuts > 5
        assert len(ended) == sum(ended.values()) == CALLS  # each has ended, once
        fates = {key: fate for key, fate in ended}
        assert max(books.ran.values()) == 1
        assert all(books.ran[key] == 1 for key, fate in fates.items() if fate == "ok")
        assert all(books.ran[key] == 0 for key, fate in fates.items() if fate == "not run")
        assert Counter(fates.values())["ok"] > CALLS / 2

        await asyncio.gather(when_connected(callee), when_connected(caller))
        await until(lambda: dict(mirror) == dict(books))  # it is asked for anew where something was missed
        assert listener.heard == sorted(set(listener.heard))
        heard = len(listener.heard)
        await books.on_ran.notify(10**9)
        await until(lambda: len(listener.heard) > heard)
        mirror.close()
        await root.node_unbind()
        await books.node_unbind()
        realm = house.app.open().realm("localhost")
        assert [left(session) for session in realm.sessions.values()] == [NOTHING, NOTHING]
    await until(lambda: not realm.sessions)


def left(session: Any) -> list[int]:
    return [len(session.registrations), len(session.subscriptions), len(session.calls), len(session.invocations)]


NOTHING = [0, 0, 0, 0]
