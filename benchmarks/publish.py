"""PUBLISH to 10 and to 100 subscribers."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from . import processes
from .environment import peers
from .load import Session, Talker, awake, plain
from .measure import Report, Turn, alternate, server_turn

ROUNDS, EVENTS = 9, 8_000
"""EVENTS: that so many reach somebody in a round."""
TEXT = "x" * 100
AHEAD = 4
"""Publications under way at once."""


async def contestant(pid: int, port: int, subscribers: int) -> Turn:
    topic = f"bench.topic{subscribers}"
    publisher = await plain(port, "json")
    heard = [await plain(port, "json") for _ in range(subscribers)]
    for session in heard:
        await session.ask(32, 33, topic)
    count = EVENTS // subscribers

    async def work() -> None:
        await published(publisher, [session.talker for session in heard], topic, count)

    return server_turn(pid, count, work)


async def published(publisher: Session, subscribers: list[Talker], topic: str, count: int) -> None:
    """*count* publications; the next goes out when the one AHEAD of it has reached everybody."""
    done = asyncio.get_running_loop().create_future()
    first, publisher.requests = publisher.requests + 1, publisher.requests + count
    script = [publisher.pack(16, number, {}, topic, [7, TEXT]) for number in range(first, first + count)]
    say = publisher.talker.say
    arrived, all_of_them = 0, len(subscribers)
    waiting = iter(script[AHEAD:])

    def hear(_: bytes) -> None:
        nonlocal arrived
        arrived += 1
        if arrived % all_of_them == 0:
            line = next(waiting, None)
            if line is not None:
                say(line)
            elif arrived == count * all_of_them:
                done.set_result(None)

    for talker in subscribers:
        talker.hear = hear
    for line in script[:AHEAD]:
        say(line)
    await awake(done)
    for talker in subscribers:
        talker.rest()


async def run(report: Report) -> None:
    report.topic("PUBLISH: an int and 100 characters to 10 and to 100 subscribers, json")
    crossbar = peers("crossbar")
    with ExitStack() as stack:
        router = stack.enter_context(processes.crossbar(crossbar))
        limen = stack.enter_context(processes.limen("limen_app.py", "--realm-rules", "open"))
        turns = {}
        for number in (10, 100):
            turns[f"limen, to {number}"] = await contestant(*limen, number)
            turns[f"crossbar, to {number}"] = await contestant(*router, number)
        cost = report.figures(await alternate(ROUNDS, turns))
    for number, most in ((10, 0.25), (100, 0.40)):
        ratio = cost[f"limen, to {number}"] / cost[f"crossbar, to {number}"]
        report.target(f"limen / crossbar, to {number}", ratio, most)
