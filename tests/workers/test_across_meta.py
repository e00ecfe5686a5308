"""What a router keeps and tells of itself, it keeps and tells across workers: retained events, history, testaments, the
meta API of sessions and subscriptions, and meta events."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio
from crews import Crew
from peers import ABLE, Peer, one_at_each

NO_SESSION = "wamp.error.no_such_session"


@pytest_asyncio.fixture
async def peers(crew: Crew) -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        yield await one_at_each(crew, stack, ABLE)


async def published(peer: Peer, topic: str, *args: object, **options: object) -> int:
    """The publication's id; it is acknowledged when all workers have heard of it."""
    await peer.ask(16, {"acknowledge": True, **options}, topic, list(args))
    return int((await peer.hear(17))[2])


async def replaced(crew: Crew, stack: AsyncExitStack, killed: Peer) -> Peer:
    """A session at the worker that was started for the one of *killed*."""
    before = crew.children()
    os.kill(killed.pid, signal.SIGKILL)
    crew.until(lambda: len(crew.children() - before) == 1)
    [fresh] = [peer for peer in await one_at_each(crew, stack, ABLE) if peer.pid not in before]
    return fresh


# -- events -----------------------------------------------------------------------------------------------------
async def test_an_event_says_everywhere_who_published_it_and_what_a_pattern_stands_for(peers: list[Peer]) -> None:
    publisher, wide, exact = peers
    await wide.subscribe("who.says", match="prefix")
    await exact.subscribe("who.says.it")
    publication = await published(publisher, "who.says.it", 1, disclose_me=True)
    event, other = await wide.hear(36), await exact.hear(36)
    about = {
        "publisher": publisher.id,
        "publisher_authid": f"anonymous-{publisher.id}",
        "publisher_authrole": "anonymous",
    }
    assert event[2:4] == [publication, {**about, "topic": "who.says.it"}]
    assert other[2:4] == [publication, about]


async def test_what_is_retained_is_so_at_all_workers_and_at_one_that_starts_later(crew: Crew) -> None:
    async with AsyncExitStack() as stack:
        peers = await one_at_each(crew, stack, ABLE)
        publication = await published(peers[0], "kept.topic", "old", retain=True)
        publication = await published(peers[0], "kept.topic", "new", retain=True)
        await peers[1].subscribe("kept.topic", get_retained=True)
        event = await peers[1].hear(36)
        assert event[2:] == [publication, {"retained": True}, ["new"]]
        fresh = await replaced(crew, stack, peers[2])
        await fresh.subscribe("kept", match="prefix", get_retained=True)
        event = await fresh.hear(36)
        assert event[2:] == [publication, {"retained": True, "topic": "kept.topic"}, ["new"]]


async def test_a_testament_is_read_at_all_workers(crew: Crew) -> None:
    async with AsyncExitStack() as stack:
        mortal, *heirs = await one_at_each(crew, stack, ABLE)
        for heir in heirs:
            await heir.subscribe("last.will")
        assert await mortal.call("wamp.session.add_testament", "last.will", ["everything"], {}) == []
        await mortal.close()
        for heir in heirs:
            assert (await heir.hear(36))[4] == ["everything"]


# -- the meta API -----------------------------------------------------------------------------------------------
async def test_sessions_of_all_workers_are_counted_listed_and_described(peers: list[Peer]) -> None:
    ids = {peer.id for peer in peers}
    for asker in peers:
        [count], [listed] = await asker.call("wamp.session.count"), await asker.call("wamp.session.list")
        assert count == len(listed)
        assert ids <= set(listed)
        assert await asker.call("wamp.session.count", ["nobody"]) == [0]
        for id in ids:
            [about] = await asker.call("wamp.session.get", id)
            assert (about["session"], about["authrole"]) == (id, "anonymous")
        assert await asker.call("wamp.session.get", 1) == NO_SESSION
        assert await asker.call("wamp.session.get", "one") == "wamp.error.invalid_argument"


async def test_a_session_of_another_worker_is_ended(peers: list[Peer]) -> None:
    asker, other, third = peers
    await asker.ask(48, {}, "wamp.session.kill", [other.id], {"reason": "test.over"})
    assert (await asker.hear(50))[0] == 50
    assert (await other.hear(6))[2] == "test.over"
    assert await asker.call("wamp.session.kill", other.id) == NO_SESSION
    assert await asker.call("wamp.session.kill_by_authid", f"anonymous-{third.id}") == [[third.id]]
    await third.hear(6)
    assert await asker.call("wamp.session.kill_by_authid", f"anonymous-{third.id}") == [[]]


async def test_subscriptions_have_one_id_and_all_their_subscribers(peers: list[Peer]) -> None:
    id = await peers[0].subscribe("counted.topic")
    assert await peers[1].subscribe("counted.topic") == id
    wide = await peers[1].subscribe("counted", match="prefix")
    for asker in peers:
        assert await asker.call("wamp.subscription.lookup", "counted.topic") == [id]
        assert sorted((await asker.call("wamp.subscription.match", "counted.topic"))[0]) == sorted([id, wide])
        assert await asker.call("wamp.subscription.match", "counter.topic") == [None]
        [about] = await asker.call("wamp.subscription.get", id)
        assert (about["uri"], about["match"]) == ("counted.topic", "exact")
        assert await asker.call("wamp.subscription.count_subscribers", id) == [2]
        [subscribers] = await asker.call("wamp.subscription.list_subscribers", id)
        assert sorted(subscribers) == sorted([peers[0].id, peers[1].id])
        [ids] = await asker.call("wamp.subscription.list")
        assert id in ids["exact"]
        assert wide in ids["prefix"]
        assert await asker.call("wamp.subscription.get", 7) == "wamp.error.no_such_subscription"


async def test_meta_events_are_those_of_all_workers(crew: Crew) -> None:
    async def heard_of(peer: Peer, *about: object) -> list[object]:
        """The next event that *peer* caused, or that says just that."""
        while True:
            said: list[object] = (await listener.hear(36))[4]
            if said == list(about) if about else said[0] == peer.id:
                return said

    async with AsyncExitStack() as stack:
        listener, other, third = await one_at_each(crew, stack, ABLE)
        for what in ("session.on_leave", "subscription.on_create", "registration.on_create", "registration.on_delete"):
            await listener.subscribe(f"wamp.{what}")
        id = await other.subscribe("meta.watched")
        [_, subscription] = await heard_of(other)
        assert subscription == (await other.call("wamp.subscription.get", id))[0]
        assert await other.register("meta.watched") == ""
        [_, registration] = await heard_of(other)
        assert registration == (await other.call("wamp.registration.get", id))[0]
        await other.close()
        assert await heard_of(other) == [other.id, id]  # the registration's end, whose id is that of its address
        assert await heard_of(other) == [other.id, f"anonymous-{other.id}", "anonymous"]
        fresh = await replaced(crew, stack, third)
        await fresh.subscribe("meta.fresh")  # its worker knows that somebody listens
        assert (await heard_of(fresh))[0] == fresh.id
