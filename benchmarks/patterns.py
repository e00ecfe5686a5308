"""10,000 subscriptions: matching an event by prefixes and wildcards beside matching it exactly.

By the realm alone, which has nothing to send: PUBLISH in, what is to be done out. And as a whole, over WebSockets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from limen.core.wamp.messages import Publish, Subscribe
from limen.core.wamp.realm import Realm
from limen.core.wamp.session import Session as RealmSession
from limen.core.wamp.verdict import ALLOWED

from . import processes
from .load import Session, plain
from .measure import MICROSECONDS, Report, Turn, alternate, server_turn
from .publish import ARGS, Flight

SUBSCRIPTIONS, SESSIONS, ROUNDS = 10_000, 4, 11
TOPICS, EVENTS = 500, 2_000
"""TOPICS: so many that are published to, in turn, by so many EVENTS of a round."""


def topic(number: int) -> str:
    return f"site.{number % 100}.machine.{number // 100}.temperature"


def exact(number: int) -> tuple[str, str]:
    return "exact", topic(number)


def pattern(number: int) -> tuple[str, str]:
    """For half of them a prefix of the topic, for the others a wildcard; each topic has one that matches it."""
    if number % 2:
        return "prefix", topic(number).removesuffix("temperature")
    return "wildcard", topic(number).replace("machine", "")


# -- the realm alone --------------------------------------------------------------------------------------------
def alone(subscription: Callable[[int], tuple[str, str]], topics: int) -> Turn:
    """EVENTS events, of *topics* topics in turn."""
    realm = Realm("bench", rng=lambda: 1, procedures={}.get, authorize=lambda *_: ALLOWED)
    publisher, *subscribers = (RealmSession(number + 1) for number in range(SESSIONS + 1))
    for session in (publisher, *subscribers):
        realm.attach(session)
    for number in range(SUBSCRIPTIONS):
        match, uri = subscription(number)
        session = subscribers[number % SESSIONS]
        realm.receive(session, Subscribe(session.next_request, {"match": match}, uri))
    numbers: Iterator[int] = iter(range(10**9))

    async def turn() -> float:
        first = publisher.next_request
        messages = [Publish(first + at, {}, topic(next(numbers) % topics), ARGS) for at in range(EVENTS)]
        begun = time.process_time()
        found = [realm.receive(publisher, message) for message in messages]
        spent = time.process_time() - begun
        if any(len(effects) != 1 for effects in found):
            raise RuntimeError("an event did not have one subscription")
        return spent / EVENTS * MICROSECONDS

    return turn


# -- over WebSockets --------------------------------------------------------------------------------------------
async def whole(pid: int, port: int, subscription: Callable[[int], tuple[str, str]]) -> Turn:
    publisher, *subscribers = [await plain(port, "json") for _ in range(SESSIONS + 1)]
    for number in range(SUBSCRIPTIONS):
        await _subscribe(subscribers[number % SESSIONS], *subscription(number))

    async def work() -> None:
        first, publisher.requests = publisher.requests + 1, publisher.requests + EVENTS
        script = [publisher.pack(16, first + at, {}, topic(at % TOPICS), ARGS) for at in range(EVENTS)]
        flight = Flight(publisher.talker.say, script, 1)
        for session in subscribers:
            session.talker.hear = flight.heard
        await flight.over()
        for session in subscribers:
            session.talker.rest()

    return server_turn(pid, EVENTS, work)


async def _subscribe(session: Session, match: str, uri: str) -> None:
    session.requests += 1
    session.say(32, session.requests, {"match": match}, uri)
    await session.hears(33)


async def run(report: Report) -> None:
    report.topic(f"{SUBSCRIPTIONS:,} subscriptions: an event that one of them matches")
    with ExitStack() as stack:
        turns = {
            "realm, exact": alone(exact, TOPICS),
            "realm, prefixes and wildcards": alone(pattern, TOPICS),
            "realm, exact, topics never seen before": alone(exact, SUBSCRIPTIONS),
            "realm, patterns, topics never seen before": alone(pattern, SUBSCRIPTIONS),
        }
        for name, subscription in (("exact", exact), ("prefixes and wildcards", pattern)):
            limen = stack.enter_context(processes.router())
            turns[f"over WebSockets, {name}"] = await whole(*limen, subscription)
        cost = report.figures(await alternate(ROUNDS, turns))
    ratio = cost["realm, prefixes and wildcards"] / cost["realm, exact"]
    report.target("realm: patterns / exact", ratio, 3)
    unseen = cost["realm, patterns, topics never seen before"] / cost["realm, exact, topics never seen before"]
    report.note("realm, topics never seen before: patterns / exact", unseen)
    ratio = cost["over WebSockets, prefixes and wildcards"] / cost["over WebSockets, exact"]
    report.target("over WebSockets: patterns / exact", ratio, 3)
