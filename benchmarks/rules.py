"""What rules, a session that listens to all meta events, and metrics cost: `limen router` with them, and without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.request import urlopen

from . import processes
from .load import Session, plain
from .measure import Report, Turn, alternate
from .publish import contestant as published
from .routed import contestant as routed

ROUNDS, RULES = 15, 100
META = ("wamp.session.on_join", "wamp.session.on_leave", "wamp.registration.", "wamp.subscription.", "wamp.")


def configuration(port: int, metrics: int) -> str:
    """A realm in which a role may do what the benchmarks do by one of RULES rules."""
    rules = [_rule("bench.", "call", "register", "publish", "subscribe"), _rule("wamp.", "call", "subscribe")]
    rules += [_rule(f"company.department{number}.", "call", "subscribe") for number in range(RULES - len(rules))]
    return "\n".join(
        [
            f"[[listener]]\nport = {port}\n",
            f"[metrics]\nport = {metrics}\n",
            '[[realm]]\nname = "localhost"\nanonymous = "guest"\n',
            '[[realm.role]]\nname = "guest"\n',
            *rules,
        ]
    )


def _rule(uri: str, *allow: str) -> str:
    return f'[[realm.role.rule]]\nuri = "{uri}"\nmatch = "prefix"\nallow = {list(allow)}\n'


@contextmanager
def guarded() -> Iterator[tuple[int, int, int]]:
    """`limen router` with rules and metrics; gives its pid, its port, and the one of its metrics."""
    port, metrics = processes.free_port(), processes.free_port()
    processes.SCRATCH.mkdir(parents=True, exist_ok=True)
    file = processes.SCRATCH / f"router-{port}.toml"
    file.write_text(configuration(port, metrics))
    try:
        with processes.started([processes.LIMEN, "router", "--config", file], port) as pid:
            yield pid, port, metrics
    finally:
        file.unlink()


async def listener(port: int) -> Session:
    """A session that hears of everything that happens."""
    session = await plain(port, "json")
    for uri in META:
        session.requests += 1
        session.say(32, session.requests, {"match": "prefix"}, uri)
        while session.unpack(await session.talker.receive())[0] != 33:
            continue  # its own subscription is told of
    session.talker.hear = lambda data: None
    return session


async def asked(metrics: int, turn: Turn) -> float:
    """A turn, after monitoring has asked: with each of its rounds, as it would each few seconds."""
    page = await asyncio.to_thread(lambda: urlopen(f"http://127.0.0.1:{metrics}/metrics").read())
    if b"limen_" not in page:
        raise RuntimeError("there are no metrics")
    return await turn()


async def run(report: Report) -> None:
    report.topic(f"Rules ({RULES}), meta events with one who listens, and metrics: what they cost")
    with ExitStack() as stack:
        bare = stack.enter_context(processes.router())
        *seen, metrics = stack.enter_context(guarded())
        works = {"a routed call": (routed, "json"), "an event to 10": (published, 10)}
        turns: dict[str, Turn] = {}
        held = await listener(seen[1])
        for name, (contestant, what) in works.items():
            turns[f"{name}, without"] = await contestant(*bare, what)  # type: ignore[operator]
            with_all = await contestant(*seen, what)  # type: ignore[operator]
            turns[f"{name}, with all"] = lambda turn=with_all: asked(metrics, turn)  # type: ignore[misc]
        cost = report.figures(await alternate(ROUNDS, turns))
        del held
    for name in works:
        report.target(f"{name}: with / without", cost[f"{name}, with all"] / cost[f"{name}, without"], 1.3)
