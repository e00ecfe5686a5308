"""A call from one WAMP session to another: caller → router → callee → router → caller. Beside it Crossbar.io, xconn's
router, a router that does nothing else, and nats-server, whose request goes the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

import msgspec

from . import processes
from .environment import peers
from .load import Session, awake, exchange, plain
from .measure import Report, Turn, alternate, server_turn
from .nats import Nats, connected, publication

IN_FLIGHT, CALLS, ROUNDS = 64, 1500, 11
TEXT = "x" * 100
ARGS = [7, TEXT]


async def contestant(pid: int, port: int, encoding: str, *, gathers: bool = True) -> Turn:
    """One caller, IN_FLIGHT calls at once. *gathers*: what answers a burst is sent in one piece (`load.Talker`)."""
    callee, caller = await plain(port, encoding), await plain(port, encoding)
    callee.talker.gathers = caller.talker.gathers = gathers
    uri = f"bench.{encoding}.{gathers}"
    await callee.ask(64, 65, uri)

    async def work() -> None:
        await routed(caller, callee, uri)

    return server_turn(pid, CALLS, work)


async def routed(caller: Session, callee: Session, uri: str) -> None:
    """CALLS calls, IN_FLIGHT at once."""
    done = asyncio.get_running_loop().create_future()
    script = caller.calls(CALLS, uri, ARGS)
    say: Callable[[bytes], None] = caller.talker.say
    answered = 0

    def invoked(data: bytes) -> None:
        message = callee.decode(data)
        if message[0] == 68:
            callee.say(70, message[1], {}, message[4])
        else:
            done.set_exception(RuntimeError(repr(data)))

    def answer(data: bytes) -> None:
        nonlocal answered
        answered += 1
        following = answered + IN_FLIGHT - 1
        if following < CALLS:
            say(script[following])
        elif answered == CALLS:
            message = caller.decode(data)
            good = message[0] == 50 and message[3] == ARGS
            done.set_result(None) if good else done.set_exception(RuntimeError(repr(message)))

    caller.talker.hear, callee.talker.hear = answer, invoked
    for line in script[:IN_FLIGHT]:
        say(line)
    await awake(done)
    caller.talker.rest()
    callee.talker.rest()


async def crowd(pid: int, port: int, encoding: str) -> Turn:
    """IN_FLIGHT callers with a call each under way, and one callee for all."""
    callee, callers = await plain(port, encoding), [await plain(port, encoding) for _ in range(IN_FLIGHT)]
    uri = f"bench.crowd.{encoding}"
    await callee.ask(64, 65, uri)
    each = CALLS // IN_FLIGHT

    def invoked(data: bytes) -> None:
        code, invocation, *rest = callee.decode(data)
        if code != 68:
            raise RuntimeError(f"an INVOCATION was due, and came: {data!r}")
        callee.say(70, invocation, {}, rest[2])

    async def work() -> None:
        scripts = [caller.calls(each, uri, ARGS) for caller in callers]
        callee.talker.hear = invoked
        heard = await exchange([caller.talker for caller in callers], scripts)
        callee.talker.rest()
        answers = [caller.decode(lines[-1]) for caller, lines in zip(callers, heard, strict=True)]
        if any(answer[0] != 50 or answer[3] != ARGS for answer in answers):
            raise RuntimeError(f"RESULTs were due, and came: {answers}")

    return server_turn(pid, each * IN_FLIGHT, work)


# -- nats-server ------------------------------------------------------------------------------------------------
async def requests(pid: int, port: int, *, gathers: bool = True) -> Turn:
    """The same with nats-server: a message that says where its answer is to go."""
    callee, caller = await connected(port), await connected(port)
    callee.gathers = caller.gathers = gathers
    subject, inbox = b"bench.call.%d" % gathers, b"inbox%d." % gathers
    await callee.subscribe(subject)
    await caller.subscribe(inbox + b"*")

    async def work() -> None:
        await requested(caller, callee, subject, inbox)

    return server_turn(pid, CALLS, work)


async def requested(caller: Nats, callee: Nats, subject: bytes, inbox: bytes) -> None:
    done = asyncio.get_running_loop().create_future()
    payload = msgspec.json.encode(ARGS)
    script = [publication(subject, payload, inbox + b"%d" % number) for number in range(CALLS)]
    answered = 0

    def invoked(_: bytes, reply: bytes, data: bytes) -> None:
        callee.say(publication(reply, msgspec.json.encode(msgspec.json.decode(data))))

    def answer(_: bytes, __: bytes, data: bytes) -> None:
        nonlocal answered
        answered += 1
        following = answered + IN_FLIGHT - 1
        if following < CALLS:
            caller.say(script[following])
        elif answered == CALLS:
            done.set_result(None) if data == payload else done.set_exception(RuntimeError(repr(data)))

    caller.hear, callee.hear = answer, invoked
    for line in script[:IN_FLIGHT]:
        caller.say(line)
    await awake(done)


async def inboxes(pid: int, port: int) -> Turn:
    """IN_FLIGHT requesters with a request each under way."""
    callee, callers = await connected(port), [await connected(port) for _ in range(IN_FLIGHT)]
    await callee.subscribe(b"bench.crowd")
    payload = msgspec.json.encode(ARGS)
    each = CALLS // IN_FLIGHT
    lines = [publication(b"bench.crowd", payload, b"crowd.%d" % number) for number in range(IN_FLIGHT)]
    for number, caller in enumerate(callers):
        await caller.subscribe(b"crowd.%d" % number)

    def invoked(_: bytes, reply: bytes, data: bytes) -> None:
        callee.say(publication(reply, msgspec.json.encode(msgspec.json.decode(data))))

    async def work() -> None:
        done = asyncio.get_running_loop().create_future()
        callee.hear = invoked
        left = IN_FLIGHT

        def begin(caller: Nats, line: bytes) -> None:
            answered = 0

            def answer(_: bytes, __: bytes, data: bytes) -> None:
                nonlocal answered, left
                answered += 1
                if answered < each:
                    caller.say(line)
                    return
                if data != payload:
                    done.set_exception(RuntimeError(repr(data)))
                left -= 1
                if not left:
                    done.set_result(None)

            caller.hear = answer
            caller.say(line)

        for caller, line in zip(callers, lines, strict=True):
            begin(caller, line)
        await awake(done)

    return server_turn(pid, each * IN_FLIGHT, work)


# -- the topic --------------------------------------------------------------------------------------------------
async def run(report: Report) -> None:
    report.topic(f"Routing: a call between two WAMP sessions, {IN_FLIGHT} in flight")
    python, xconn = peers("crossbar"), peers("xconn")
    with ExitStack() as stack:
        crossbar = stack.enter_context(processes.crossbar(python))
        others = stack.enter_context(processes.python("xconn_router.py", python=xconn))
        least = stack.enter_context(processes.python("minimal_router.py"))
        nats = stack.enter_context(processes.nats())
        limen = stack.enter_context(processes.router())
        wamp = {"limen": limen, "crossbar": crossbar, "xconn": others, "minimal router": least}
        turns = {f"{peer}, json": await contestant(*at, "json") for peer, at in wamp.items()}
        for encoding in ("msgpack", "cbor"):
            turns[f"limen, {encoding}"] = await contestant(*limen, encoding)
            turns[f"crossbar, {encoding}"] = await contestant(*crossbar, encoding)
        turns["minimal router, msgpack"] = await contestant(*least, "msgpack")
        turns |= {f"{peer}, one by one": await contestant(*at, "json", gathers=False) for peer, at in wamp.items()}
        turns |= {f"{peer}, {IN_FLIGHT} callers": await crowd(*at, "json") for peer, at in wamp.items()}
        if nats is not None:
            turns["nats-server, json"] = await requests(*nats)
            turns["nats-server, one by one"] = await requests(*nats, gathers=False)
            turns[f"nats-server, {IN_FLIGHT} callers"] = await inboxes(*nats)
        cost = report.figures(await alternate(ROUNDS, turns))

    def ratio(peer: str, how: str) -> float:
        return cost[f"limen, {how}"] / cost[f"{peer}, {how}"]

    report.target("limen / crossbar, json", ratio("crossbar", "json"), 0.11)
    for encoding in ("msgpack", "cbor"):
        report.note(f"limen / crossbar, {encoding}", ratio("crossbar", encoding))
    report.target("limen / xconn", ratio("xconn", "json"), 0.5)
    for encoding in ("json", "msgpack"):
        report.target(f"limen / minimal router, {encoding}", ratio("minimal router", encoding), 1.5)
    report.target("msgpack / json", cost["limen, msgpack"] / cost["limen, json"], 1.2)
    report.target("cbor / json", cost["limen, cbor"] / cost["limen, json"], 3)
    for how in ("one by one", f"{IN_FLIGHT} callers"):
        for peer in ("crossbar", "xconn", "minimal router"):
            report.note(f"limen / {peer}, {how}", ratio(peer, how))
    if nats is not None:
        for how in ("json", "one by one", f"{IN_FLIGHT} callers"):
            report.target(f"limen / nats-server, {how}", ratio("nats-server", how), 1)
