"""Procedures of several callees, of many addresses, in parts: what a router does with them, it does across workers."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from crews import Crew
from peers import ABLE, ROLES, Peer, one_at_each, peer

EXISTS = "wamp.error.procedure_already_exists"


@pytest_asyncio.fixture
async def peers(crew: Crew) -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        yield await one_at_each(crew, stack, ABLE)


async def registration_of(peer: Peer, uri: str, match: str = "exact") -> int:
    return int((await peer.call("wamp.registration.lookup", uri, {"match": match}))[0])


# -- several callees --------------------------------------------------------------------------------------------
async def test_calls_go_to_the_callees_of_all_workers_in_turn(peers: list[Peer]) -> None:
    for callee in peers:
        assert await callee.register("shared.turn", invoke="roundrobin") == ""
    for caller in peers:
        for _ in range(6):
            await caller.ask(48, {}, "shared.turn")
    for callee in peers:
        for _ in range(6):
            await callee.answer(callee.pid)
    for caller in peers:
        said = Counter([(await caller.hear(50))[3][0] for _ in range(6)])
        assert said == {callee.pid: 2 for callee in peers}


@pytest.mark.parametrize(("invoke", "chosen"), [("first", 0), ("last", 2)])
async def test_who_was_first_and_last_is_the_same_everywhere(peers: list[Peer], invoke: str, chosen: int) -> None:
    for callee in peers:
        assert await callee.register(f"shared.{invoke}", invoke=invoke) == ""
    for caller in peers:
        await caller.ask(48, {}, f"shared.{invoke}")
        await peers[chosen].answer(chosen)
        assert (await caller.hear(50))[3] == [chosen]


async def test_callees_beside_each_other_want_the_same(peers: list[Peer]) -> None:
    first, second, third = peers
    assert await first.register("shared.policy", invoke="random") == ""
    assert await second.register("shared.policy", invoke="roundrobin") == EXISTS
    assert await second.register("shared.policy") == EXISTS
    assert await second.register("shared.policy", invoke="random") == ""
    assert await first.register("shared.policy", invoke="random") == EXISTS  # it is there already
    assert await third.register("shared.policy", match="prefix") == ""  # another registration


async def test_of_a_worker_that_is_killed_the_callees_are_gone_and_those_of_the_others_answer(
    crew: Crew, peers: list[Peer]
) -> None:
    for callee in peers[:2]:
        assert await callee.register("shared.killed", invoke="roundrobin") == ""
    os.kill(peers[0].pid, signal.SIGKILL)
    registration = await registration_of(peers[2], "shared.killed")
    while len((await peers[2].call("wamp.registration.list_callees", registration))[0]) == 2:
        pass  # the others hear of it
    for _ in range(4):
        await peers[2].ask(48, {}, "shared.killed")
        await peers[1].answer("still here")
        assert (await peers[2].hear(50))[3] == ["still here"]
    crew.until(lambda: len(crew.children()) == 3)


# -- many addresses ---------------------------------------------------------------------------------------------
async def test_a_pattern_answers_for_all_workers_and_the_best_one_wins(peers: list[Peer]) -> None:
    wide, narrow, caller = peers
    assert await wide.register("pattern", match="prefix") == ""
    assert await narrow.register("pattern..read", match="wildcard") == ""
    await caller.ask(48, {}, "pattern.7.write")
    assert (await wide.answer())[3] == {"procedure": "pattern.7.write"}
    await caller.ask(48, {}, "pattern.7.read")
    assert (await wide.answer())[3] == {"procedure": "pattern.7.read"}  # a prefix comes before a wildcard
    await wide.ask(66, await registration_of(wide, "pattern", "prefix"))
    await wide.hear(67)
    others = await registration_of(narrow, "pattern..read", "wildcard")
    while await caller.call("wamp.registration.match", "pattern.7.read") != [others]:
        pass  # until its worker has heard of it, the call goes to who has left
    await caller.ask(48, {}, "pattern.7.read")
    assert (await narrow.answer())[3] == {"procedure": "pattern.7.read"}


# -- taking and losing ------------------------------------------------------------------------------------------
async def test_who_insists_takes_a_procedure_from_the_callees_of_all_workers(peers: list[Peer]) -> None:
    for callee in peers[:2]:
        assert await callee.register("taken.over", invoke="roundrobin") == ""
    assert await peers[2].register("taken.over", force_reregister=True) == ""
    for callee in peers[:2]:
        _, request, details = await callee.hear(67)
        assert (request, details["registration"]) == (0, await registration_of(callee, "taken.over"))
        await callee.ask(48, {}, "taken.over")
        await peers[2].answer("mine")
        assert (await callee.hear(50))[3] == ["mine"]
    assert await peers[0].register("taken.over", invoke="roundrobin") == EXISTS


async def test_a_callee_of_another_worker_is_removed_by_the_meta_api(peers: list[Peer]) -> None:
    callee, other, asker = peers
    assert await callee.register("taken.away") == ""
    registration = await registration_of(asker, "taken.away")
    assert await other.call("wamp.registration.list_callees", registration) == [[callee.id]]
    request = await asker.ask(48, {}, "wamp.registration.remove_callee", [registration, callee.id], {"reason": "no"})
    assert (await asker.hear(50))[1] == request
    assert (await callee.hear(67))[1:] == [0, {"registration": registration, "reason": "no"}]
    while await other.register("taken.away") == EXISTS:
        pass  # it is free as soon as its worker has heard of it


async def test_a_registration_has_one_id_and_one_description_everywhere(peers: list[Peer]) -> None:
    assert await peers[0].register("described", invoke="first") == ""
    assert await peers[1].register("described", invoke="first") == ""
    registration = await registration_of(peers[0], "described")
    told = [await peer.call("wamp.registration.get", registration) for peer in peers]
    assert told[0][0]["invoke"] == "first"
    assert told[0] == told[1] == told[2]
    for asker in peers:
        assert await asker.call("wamp.registration.match", "described") == [registration]
        assert await asker.call("wamp.registration.list_callees", registration) == [[peers[0].id, peers[1].id]]


async def test_a_worker_that_starts_later_has_them_in_the_same_order(crew: Crew) -> None:
    async with AsyncExitStack() as stack:
        peers = await one_at_each(crew, stack, ABLE)
        for callee in peers[:2]:
            assert await callee.register("shared.later", invoke="first") == ""
        before = crew.children()
        os.kill(peers[2].pid, signal.SIGKILL)
        crew.until(lambda: len(crew.children() - before) == 1)
        [fresh] = [peer for peer in await one_at_each(crew, stack) if peer.pid not in before]
        registration = await registration_of(fresh, "shared.later")
        assert await fresh.call("wamp.registration.list_callees", registration) == [[peers[0].id, peers[1].id]]
        await fresh.ask(48, {}, "shared.later")
        await peers[0].answer("the first")
        assert (await fresh.hear(50))[3] == ["the first"]


# -- what a callee is told --------------------------------------------------------------------------------------
async def test_who_calls_is_told_where_the_caller_or_the_callee_wants_it(peers: list[Peer]) -> None:
    callee, caller, _ = peers
    assert await callee.register("told.wanted", disclose_caller=True) == ""
    assert await callee.register("told.not") == ""
    await caller.ask(48, {}, "told.wanted")
    details = (await callee.answer())[3]
    assert (details["caller"], details["caller_authrole"]) == (caller.id, "anonymous")
    await caller.ask(48, {}, "told.not")
    assert (await callee.answer())[3] == {}
    await caller.ask(48, {"disclose_me": True}, "told.not")
    assert (await callee.answer())[3]["caller"] == caller.id


async def test_a_call_in_parts_is_one_call_at_the_other_worker(peers: list[Peer]) -> None:
    callee, caller, _ = peers
    assert await callee.register("parts") == ""
    request = await caller.ask(48, {"progress": True, "receive_progress": True}, "parts", [1])
    first = await callee.hear(68)
    assert first[3] == {"progress": True, "receive_progress": True}
    await caller.say(48, request, {"progress": True}, "parts", [2])
    await caller.say(48, request, {}, "parts", [3])
    rest = [await callee.hear(68) for _ in range(2)]
    assert [(message[1], message[3].get("progress"), message[4]) for message in rest] == [
        (first[1], True, [2]),
        (first[1], None, [3]),
    ]
    await callee.say(70, first[1], {"progress": True}, ["half"])
    await callee.say(70, first[1], {}, ["whole"])
    assert [(await caller.hear(50))[3] for _ in range(2)] == [["half"], ["whole"]]


async def test_payloads_go_as_they_are_to_who_can_take_them(crew: Crew, peers: list[Peer]) -> None:
    callee, caller, _ = peers
    ppt = {"ppt_scheme": "x_test", "ppt_serializer": "cbor"}
    assert await callee.register("as.it.is") == ""
    await caller.ask(48, ppt, "as.it.is", ["opaque"])
    invocation = await callee.hear(68)
    assert invocation[3:] == [ppt, ["opaque"]]
    await callee.say(70, invocation[1], ppt, ["opaque, too"])
    assert (await caller.hear(50))[2:] == [ppt, ["opaque, too"]]
    plain = await peer(crew.port, ROLES)
    while plain.pid == callee.pid:
        await plain.close()
        plain = await peer(crew.port, ROLES)
    await plain.ask(48, {}, "as.it.is")
    invocation = await callee.hear(68)
    await callee.say(70, invocation[1], ppt, ["opaque"])
    assert (await plain.hear(8))[4] == "wamp.error.feature_not_supported"
    assert (await callee.hear(8))[1:3] == [70, invocation[1]]  # the callee hears it, too
    await plain.close()


async def test_the_reason_of_an_interrupt_crosses(peers: list[Peer]) -> None:
    callee, caller, _ = peers
    assert await callee.register("too.long") == ""
    await caller.ask(48, {"timeout": 50}, "too.long")
    await callee.hear(68)
    assert (await caller.hear(8))[4] == "wamp.error.timeout"
    assert (await callee.hear(69))[2] == {"mode": "killnowait", "reason": "wamp.error.timeout"}
