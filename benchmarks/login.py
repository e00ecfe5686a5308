"""What a login costs the server: from HELLO to WELCOME, the store's part included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from os import urandom

from . import processes
from .load import Session, Talker, awake, connect, hello, login
from .measure import MICROSECONDS, Report, Turn, alternate, cpu
from .memory import AT_ONCE, loopback

LOGINS, ROUNDS = 100, 9


class Logins:
    """Turns on one server."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port, self.came = pid, port, 0

    async def connected(self, subprotocol: str, count: int = LOGINS) -> list[Talker]:
        """WebSockets, each from an address that was never seen."""
        self.came += count
        addresses = map(loopback, range(self.came - count, self.came))
        return [await connect(self.port, "/ws", subprotocol, local=address) for address in addresses]

    def connecting(self) -> Turn:
        async def turn() -> float:
            before = cpu(self.pid)
            talkers = await self.connected("wamp.2.json")
            spent = cpu(self.pid) - before
            await left(talkers)
            return spent / LOGINS * MICROSECONDS

        return turn

    def greeting(self, subprotocol: str, greet: Callable[[Talker, str], Awaitable[Session]]) -> Turn:
        encoding = subprotocol.rpartition(".")[2]

        async def turn() -> float:
            talkers = await self.connected(subprotocol)
            room = asyncio.Semaphore(AT_ONCE)

            async def one(talker: Talker) -> None:
                async with room:
                    await greet(talker, encoding)

            before = cpu(self.pid)
            await awake(asyncio.gather(*map(one, talkers)))
            spent = cpu(self.pid) - before
            await left(talkers)
            return spent / LOGINS * MICROSECONDS

        return turn

    def slots(self) -> Turn:
        async def turn() -> float:
            talkers = await self.connected("limen.1.msgpack", 20)
            sessions = [await login(talker, "msgpack") for talker in talkers]
            before = cpu(self.pid)
            for session in sessions:
                await session.ask(48, 50, "limen.slot.open", [urandom(32)])
            spent = cpu(self.pid) - before
            for session in sessions:
                session.say(6, {}, "wamp.close.close_realm")  # gives the slot back
                await session.hears(6)
            await left(talkers)
            return spent / len(sessions) * MICROSECONDS

        return turn


async def left(talkers: Iterable[Talker]) -> None:
    """All hang up, and the server has time to notice: that is not to be counted in the next turn."""
    for talker in talkers:
        talker.wire.disconnect()
    await asyncio.sleep(0.3)


async def run(report: Report) -> None:
    report.topic("Login: processor time of the server from HELLO to WELCOME; the store is an SQLite file")
    processes.SCRATCH.mkdir(parents=True, exist_ok=True)
    database = processes.SCRATCH / f"login-{urandom(4).hex()}.db"
    try:
        with processes.limen("limen_app.py", "--db", f"sqlite:///{database}") as (pid, port):
            logins = Logins(pid, port)
            turns = {
                "before it: TCP, upgrade": logins.connecting(),
                "an anonymous session": logins.greeting("wamp.2.json", hello),
                "a login, json": logins.greeting("limen.1.json", login),
                "a login, msgpack": logins.greeting("limen.1.msgpack", login),
                "after it: a resume key (limen.slot.open)": logins.slots(),
            }
            cost = report.figures(await alternate(ROUNDS, turns))
    finally:
        for path in database.parent.glob(database.name + "*"):
            path.unlink(missing_ok=True)
    for encoding in ("json", "msgpack"):
        report.target(f"a login, {encoding}", cost[f"a login, {encoding}"] / 1000, 0.8, "ms")
