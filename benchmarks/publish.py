"""PUBLISH to 1, 10 and 100 subscribers, beside Crossbar.io, xconn's router, a router that does nothing else, and
nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice

import msgspec

from . import processes
from .environment import peers
from .load import awake, plain
from .measure import Report, Turn, alternate, server_turn
from .nats import connected, publication

ROUNDS, EVENTS = 9, 8_000
"""EVENTS: that so many reach somebody in a round, and at most MOST publications."""
MOST = 2_000
ARGS = [7, "x" * 100]
AHEAD = 4
"""Publications under way at once."""
CROWDS = (1, 10, 100)


async def contestant(pid: int, port: int, subscribers: int, encoding: str = "json") -> Turn:
    topic = f"bench.topic{subscribers}"
    publisher = await plain(port, encoding)
    heard = [await plain(port, encoding) for _ in range(subscribers)]
    for session in heard:
        await session.ask(32, 33, topic)
    count = min(EVENTS // subscribers, MOST)

    async def work() -> None:
        first, publisher.requests = publisher.requests + 1, publisher.requests + count
        script = (publisher.pack(16, number, {}, topic, ARGS) for number in range(first, first + count))
        flight = Flight(publisher.talker.say, list(script), subscribers)
        for session in heard:
            session.talker.hear = flight.heard
        await flight.over()
        for session in heard:
            session.talker.rest()

    return server_turn(pid, count, work)


async def subjects(pid: int, port: int, subscribers: int) -> Turn:
    """The same with nats-server."""
    subject = b"bench.topic%d" % subscribers
    publisher = await connected(port)
    heard = [await connected(port) for _ in range(subscribers)]
    for client in heard:
        await client.subscribe(subject)
    count = min(EVENTS // subscribers, MOST)
    script = [publication(subject, msgspec.json.encode(ARGS))] * count

    async def work() -> None:
        flight = Flight(publisher.say, script, subscribers)
        for client in heard:
            client.hear = flight.heard
        await flight.over()

    return server_turn(pid, count, work)


class Flight:
    """The publications of *script*; the next goes out when the one AHEAD of it has reached everybody."""

    def __init__(self, say: Callable[[bytes], None], script: list[bytes], subscribers: int) -> None:
        self._say, self._subscribers = say, subscribers
        self._waiting: Iterator[bytes] = iter(script)
        self._left = len(script) * subscribers
        self._done = asyncio.get_running_loop().create_future()

    def heard(self, *_: bytes) -> None:
        """An event has come to one of the subscribers."""
        self._left -= 1
        if self._left % self._subscribers == 0:
            line = next(self._waiting, None)
            if line is not None:
                self._say(line)
            elif not self._left:
                self._done.set_result(None)

    async def over(self) -> None:
        for line in islice(self._waiting, AHEAD):
            self._say(line)
        await awake(self._done)


async def run(report: Report) -> None:
    report.topic("PUBLISH: an int and 100 characters to 1, to 10 and to 100 subscribers, json")
    python, xconn = peers("crossbar"), peers("xconn")
    with ExitStack() as stack:
        crossbar = stack.enter_context(processes.crossbar(python))
        others = stack.enter_context(processes.python("xconn_router.py", python=xconn))
        least = stack.enter_context(processes.python("minimal_router.py"))
        nats = stack.enter_context(processes.nats())
        limen = stack.enter_context(processes.router())
        turns: dict[str, Turn] = {}
        for number in CROWDS:
            turns[f"limen, to {number}"] = await contestant(*limen, number)
            turns[f"crossbar, to {number}"] = await contestant(*crossbar, number)
            turns[f"xconn, to {number}"] = await contestant(*others, number)
            turns[f"minimal router, to {number}"] = await contestant(*least, number)
            if nats is not None:
                turns[f"nats-server, to {number}"] = await subjects(*nats, number)
        cost = report.figures(await alternate(ROUNDS, turns))

    def ratio(peer: str, number: int) -> float:
        return cost[f"limen, to {number}"] / cost[f"{peer}, to {number}"]

    report.note("limen / crossbar, to 1", ratio("crossbar", 1))
    report.target("limen / crossbar, to 10", ratio("crossbar", 10), 0.20)
    report.target("limen / crossbar, to 100", ratio("crossbar", 100), 0.30)
    for peer in ("xconn", "minimal router", *(["nats-server"] if nats is not None else [])):
        for number in CROWDS:
            report.note(f"limen / {peer}, to {number}", ratio(peer, number))
