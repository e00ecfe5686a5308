"""Where a session is does not matter: events, procedures, ends and charges are those of all workers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
import websockets
from crews import LIMEN, Crew
from peers import Peer, one_at_each

from limen import connect, exc

ADA = {"user": "ada", "password": "correct horse"}


@pytest_asyncio.fixture
async def peers(crew: Crew) -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        yield await one_at_each(crew, stack)


# -- events -----------------------------------------------------------------------------------------------------
async def test_what_a_service_publishes_reaches_all_once_and_in_order(crew: Crew, peers: list[Peer]) -> None:
    for peer in peers:
        await peer.ask(32, {}, "news")
        await peer.hear(33)
    said = {peer.pid: list(range(40)) for peer in peers}
    await asyncio.gather(*(peer.call("announce", list(range(40))) for peer in peers))
    for peer in peers:
        heard: dict[int, list[int]] = {}
        for event in [m for m in await peer.quiet(0.5) if m[0] == 36]:
            heard.setdefault(event[4][0], []).append(event[4][1])
        assert heard == said


async def test_who_publishes_more_than_a_worker_takes_is_slowed_and_nobody_is_ended(
    crew: Crew, peers: list[Peer]
) -> None:
    async def flood() -> None:
        for _ in range(80):  # more than may wait for one worker
            await first.ask(16, {}, "flood", ["y" * 2**20])

    first, *_, last = peers
    workers = crew.children()
    os.kill(last.pid, signal.SIGSTOP)
    flooding = asyncio.create_task(flood())
    try:
        await asyncio.wait([flooding], timeout=2.0)
        assert not flooding.done()
    finally:
        os.kill(last.pid, signal.SIGCONT)
    await asyncio.wait_for(flooding, 30)
    assert await last.call("who") == [last.pid]
    assert await first.call("who") == [first.pid]
    assert crew.children() == workers


async def test_a_publication_has_one_id_and_its_lists_hold_everywhere(peers: list[Peer]) -> None:
    for peer in peers:
        await peer.ask(32, {}, "chat")
        await peer.hear(33)
    request = await peers[0].ask(16, {"acknowledge": True}, "chat", ["hello"])
    published = await peers[0].hear(17)
    assert published[1] == request
    for peer in peers[1:]:
        event = await peer.hear(36)
        assert event[2:] == [published[2], {}, ["hello"]]
    await peers[0].ask(16, {"eligible_authrole": ["nobody"]}, "chat", ["not for you"])
    await peers[0].ask(16, {"exclude_me": False}, "chat", ["me, too"])
    for peer in peers:
        assert [message[4] for message in await peer.quiet(0.3)] == [["me, too"]]


# -- procedures -------------------------------------------------------------------------------------------------
async def test_a_procedure_is_called_from_everywhere_and_registered_once(peers: list[Peer]) -> None:
    callee, *others = peers
    assert await callee.register("lent.add") == ""
    for other in peers:
        assert await other.register("lent.add") == "wamp.error.procedure_already_exists"
    for other in others:
        await other.ask(48, {}, "lent.add", [2], {"b": 3})
        invocation = await callee.hear(68)
        assert invocation[4:] == [[2], {"b": 3}]
        await callee.say(70, invocation[1], {}, [5])
        assert (await other.hear(50))[3] == [5]
        await other.ask(48, {}, "lent.add")
        invocation = await callee.hear(68)
        await callee.say(8, 68, invocation[1], {}, "lent.error.odd", ["why"], {"n": 1})
        assert (await other.hear(8))[4:] == ["lent.error.odd", ["why"], {"n": 1}]


async def test_two_who_register_at_once_find_out_who_was_first(peers: list[Peer]) -> None:
    for n in range(10):
        said = sorted(await asyncio.gather(*(peer.register(f"lent.race{n}") for peer in peers)))
        assert said == ["", *["wamp.error.procedure_already_exists"] * 2]


async def test_an_unregistered_procedure_is_free_for_others(peers: list[Peer]) -> None:
    here, there, third = peers
    await here.ask(64, {}, "lent.free")
    registration = (await here.hear(65))[2]
    await there.ask(48, {}, "lent.free", ["old"])
    invocation = await here.hear(68)
    await here.ask(66, registration)
    await here.hear(67)
    assert await there.register("lent.free") == ""
    await third.ask(48, {}, "lent.free", ["new"])
    assert (await there.hear(68))[4] == ["new"]
    await here.say(70, invocation[1], {}, ["answered after all"])  # calls that it is answering go on
    assert (await there.hear(50))[3] == ["answered after all"]


async def test_progress_and_cancelling_cross(peers: list[Peer]) -> None:
    callee, caller, _ = peers
    assert await callee.register("lent.long") == ""
    request = await caller.ask(48, {"receive_progress": True}, "lent.long")
    invocation = await callee.hear(68)
    assert invocation[3] == {"receive_progress": True}
    for n in range(3):
        await callee.say(70, invocation[1], {"progress": True}, [n])
    assert [(await caller.hear(50))[3] for _ in range(3)] == [[0], [1], [2]]
    await caller.say(49, request, {"mode": "kill"})
    assert (await callee.hear(69))[1:] == [invocation[1], {"mode": "kill", "reason": "wamp.error.canceled"}]
    await callee.say(8, 68, invocation[1], {}, "wamp.error.canceled")
    assert (await caller.hear(8))[4] == "wamp.error.canceled"
    await caller.ask(48, {"timeout": 50}, "lent.long")
    assert (await caller.hear(8))[4] == "wamp.error.timeout"
    assert (await callee.hear(69))[2]["mode"] == "killnowait"


async def test_a_callee_that_goes_ends_its_calls_and_a_caller_that_goes_interrupts_them(peers: list[Peer]) -> None:
    callee, caller, other = peers
    assert await callee.register("lent.gone") == ""
    await other.ask(48, {}, "lent.gone")
    await callee.hear(68)
    await other.close()
    await callee.hear(69)
    await caller.ask(48, {}, "lent.gone")
    await callee.hear(68)
    await callee.close()
    assert (await caller.hear(8))[4] == "wamp.error.canceled"
    async with asyncio.timeout(5):
        while (answer := await caller.call("lent.gone")) == "wamp.error.canceled":
            pass
    assert answer == "wamp.error.no_such_procedure"


async def test_when_a_worker_is_killed_its_procedures_are_free_and_its_calls_over(
    crew: Crew, peers: list[Peer]
) -> None:
    callee, caller, other = peers
    assert await callee.register("lent.killed") == ""
    await caller.ask(48, {}, "lent.killed")
    await callee.hear(68)
    os.kill(callee.pid, signal.SIGKILL)
    assert (await caller.hear(8))[4] == "wamp.error.canceled"
    assert await other.register("lent.killed") == ""
    await caller.ask(48, {}, "lent.killed")
    assert (await other.hear(68))[4:] in ([], [[]])
    crew.until(lambda: len(crew.children()) == 3)


async def test_a_new_worker_knows_what_was_registered_before(crew: Crew) -> None:
    async with AsyncExitStack() as stack:
        callee, caller, _ = await one_at_each(crew, stack)
        assert await callee.register("lent.before") == ""
        before = crew.children()
        os.kill(caller.pid, signal.SIGKILL)
        crew.until(lambda: len(crew.children() - before) == 1)
        peers = await one_at_each(crew, stack)
        [fresh] = [peer for peer in peers if peer.pid not in before]
        await fresh.ask(48, {}, "lent.before", ["hello"])
        assert (await callee.hear(68))[4] == ["hello"]


# -- ends -------------------------------------------------------------------------------------------------------
async def test_a_new_password_ends_the_sessions_of_all_workers(crew: Crew) -> None:
    bob = {"user": "bob", "password": "battery staple"}
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(connect(crew.url, **bob)) for _ in range(9)]
        pids = {await session.call("who") for session in sessions}
        assert len(pids) > 1
        over = [asyncio.Event() for _ in sessions]
        for session, event in zip(sessions, over, strict=True):
            session.on("signed_out", lambda *_, event=event: event.set())
        await sessions[0].change_password("a new one")
        async with asyncio.timeout(30):
            await asyncio.gather(*(event.wait() for event in over[1:]))
        assert await sessions[0].call("who") in pids
    with pytest.raises(exc.InvalidCredential):
        async with connect(crew.url, **bob):
            pass


# -- abuse ------------------------------------------------------------------------------------------------------
async def test_what_an_origin_is_charged_at_one_worker_counts_at_all_and_is_cleared_at_all(
    crew: Crew, peers: list[Peer]
) -> None:
    try:
        for _ in range(4):
            async with websockets.connect(f"ws://localhost:{crew.port}/ws", subprotocols=["wamp.2.json"]) as rude:  # type: ignore[list-item]
                await rude.send("this is no WAMP")
                await rude.wait_closed()
        async with asyncio.timeout(5):  # what the store says of it would be the worst of the workers, not the sum
            while [await peer.call("who") for peer in peers] != ["limen.error.abusive"] * 3:
                await asyncio.sleep(0.01)
    finally:
        db = crew.command[crew.command.index("--db") + 1]
        await asyncio.to_thread(subprocess.run, [LIMEN, "abuse", "clear", "--db", db], check=True, capture_output=True)
    async with asyncio.timeout(5):
        while [await peer.call("who") for peer in peers] != [[peer.pid] for peer in peers]:
            await asyncio.sleep(0.01)
