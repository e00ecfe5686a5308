"""`limen router` without a file: realms open to everybody."""

from __future__ import annotations

import asyncio

import pytest
from routing import Client, routing

from limen.core.wamp import messages as m
from limen.testing.sockets import ClosedError, RefusedError


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
@pytest.mark.parametrize("path", ["/ws", "/"])
async def test_it_welcomes_in_each_encoding_at_both_paths(encoding: str, path: str) -> None:
    async with routing("realm1") as at:
        client = await at.knock(encoding, path)
        welcome = await client.hello("realm1")
        assert type(welcome) is m.Welcome
        assert welcome.details["realm"] == "realm1"
        assert welcome.details["authrole"] == "anonymous"


@pytest.mark.parametrize("realm", ["realm1", "com.example.realm_1", "a-b", "Übung", "com.example.Realm"])
async def test_a_realm_may_be_called_by_any_uri(realm: str) -> None:
    async with routing(realm) as at:
        await at.join(realm)


async def test_other_realms_are_not_there() -> None:
    async with routing("realm1", "realm2") as at:
        answer = await (await at.knock()).hello("realm3")
        assert type(answer) is m.Abort
        assert answer.reason == "wamp.error.no_such_realm"
        assert answer.details == {"message": 'there is no realm "realm3" here'}


async def test_calls_and_events_stay_in_their_realm() -> None:
    async with routing("realm1", "realm2") as at:
        callee, caller, stranger = await at.join("realm1"), await at.join("realm1"), await at.join("realm2")
        assert type(await callee.ask(m.Register, "add")) is m.Registered
        assert type(await stranger.ask(m.Subscribe, "news")) is m.Subscribed
        assert (await stranger.ask(m.Call, "add", [2, 3])).error == "wamp.error.no_such_procedure"
        await caller.say(m.Call(next(caller.numbers), {}, "add", [2, 3]))
        invocation = await callee.hear()
        assert isinstance(invocation, m.Invocation)
        await callee.say(m.Yield(invocation.request, {}, [5]))
        assert await caller.hear() == m.Result(1, {}, [5])
        assert type(await caller.ask(m.Publish, "news", [1], acknowledge=True)) is m.Published
        assert (await stranger.ask(m.Call, "add")).request == 3, "the stranger has heard of something first"


async def test_a_page_of_another_site_does_not_come_in() -> None:
    async with routing("realm1") as at:
        await at.knock(origin=f"http://127.0.0.1:{at.port}")
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{at.port + 1}"):
            with pytest.raises(RefusedError) as refused:
                await at.knock(origin=origin)
            assert refused.value.status == 403


async def test_a_name_that_leads_here_is_not_ours_for_that() -> None:
    """DNS rebinding: the page's own host name means this machine."""
    async with routing("realm1") as at:
        with pytest.raises(RefusedError):
            await at.knock(origin="http://evil.example", headers=[("Host", "evil.example")])
        await at.knock(headers=[("Host", "evil.example")])  # no browser: it may say what it likes


async def test_other_paths_and_subprotocols_are_refused() -> None:
    async with routing("realm1") as at:
        with pytest.raises(RefusedError) as refused:
            await at.knock(path="/other")
        assert refused.value.status == 404
        with pytest.raises(RefusedError) as refused:
            await at.knock("nosuch")
        assert refused.value.status == 400


async def test_the_end_is_said_to_every_session() -> None:
    async def leave(client: Client) -> tuple[m.Message, int]:
        goodbye = await client.hear()
        with pytest.raises(ClosedError) as closed:
            await client.hear()
        return goodbye, closed.value.code

    async with routing("realm1") as at:
        clients = [await at.join("realm1", encoding) for encoding in ("json", "msgpack", "cbor")]
        at.clients.clear()
        leaving = asyncio.gather(*map(leave, clients))
    assert await leaving == [(m.Goodbye({}, "wamp.close.system_shutdown"), 1001)] * 3
