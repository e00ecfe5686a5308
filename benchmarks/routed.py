"""A call from one WAMP session to another: caller → router → callee → router → caller, and the same for events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from . import processes
from .environment import peers
from .load import Session, awake, plain
from .measure import Report, Turn, alternate, server_turn

IN_FLIGHT, CALLS, ROUNDS = 64, 1500, 11
TEXT = "x" * 100


async def contestant(pid: int, port: int, encoding: str) -> Turn:
    callee, caller = await plain(port, encoding), await plain(port, encoding)
    uri = f"bench.{encoding}"
    await callee.ask(64, 65, uri)

    async def work() -> None:
        await routed(caller, callee, uri)

    return server_turn(pid, CALLS, work)


async def routed(caller: Session, callee: Session, uri: str) -> None:
    """CALLS calls, IN_FLIGHT at once."""
    done = asyncio.get_running_loop().create_future()
    script = caller.calls(CALLS, uri, [7, TEXT])
    say: Callable[[bytes], None] = caller.talker.say
    answered = 0

    def invoked(data: bytes) -> None:
        code, invocation, _, _, args = callee.decode(data)
        callee.say(70, invocation, {}, args) if code == 68 else done.set_exception(RuntimeError(repr(data)))

    def answer(data: bytes) -> None:
        nonlocal answered
        answered += 1
        following = answered + IN_FLIGHT - 1
        if following < CALLS:
            say(script[following])
        elif answered == CALLS:
            message = caller.decode(data)
            good = message[0] == 50 and message[3] == [7, TEXT]
            done.set_result(None) if good else done.set_exception(RuntimeError(repr(message)))

    caller.talker.hear, callee.talker.hear = answer, invoked
    for line in script[:IN_FLIGHT]:
        say(line)
    await awake(done)
    caller.talker.rest()
    callee.talker.rest()


async def run(report: Report) -> None:
    report.topic(f"Routing: a call between two WAMP sessions, {IN_FLIGHT} in flight")
    crossbar = peers("crossbar")
    with ExitStack() as stack:
        router = stack.enter_context(processes.crossbar(crossbar))
        limen = stack.enter_context(processes.limen("limen_app.py", "--realm-rules", "open"))
        turns = {f"limen, {name}": await contestant(*limen, name) for name in ("json", "msgpack")}
        turns |= {f"crossbar, {name}": await contestant(*router, name) for name in ("json", "msgpack")}
        cost = report.figures(await alternate(ROUNDS, turns))
    report.target("limen / crossbar, json", cost["limen, json"] / cost["crossbar, json"], 0.16)
    report.note("limen / crossbar, msgpack", cost["limen, msgpack"] / cost["crossbar, msgpack"])
