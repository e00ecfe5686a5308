"""What client libraries say on the wire though the specification has it otherwise, by hand: each is taken."""

from __future__ import annotations

from typing import Any

import cbor2
import msgspec
import pytest
from routing import Client, Routing, routing

from limen.core.wamp import messages as m
from limen.core.wamp.session import GOODBYE_AND_OUT

UNDEFINED = {"msgpack": msgspec.msgpack.Ext(0, b"\0"), "cbor": cbor2.undefined}
NO_FEATURES: dict[str, Any] = {role: {"features": {}} for role in ("caller", "callee", "publisher", "subscriber")}
"""As xconn announces them."""


async def write(client: Client, message: list[Any]) -> None:
    """Sends *message* as a library would write it."""
    packs = {"msgpack": msgspec.msgpack.encode, "cbor": cbor2.dumps}
    await client.socket.send(packs[client.codec.name](message), False)


@pytest.mark.parametrize("encoding", ["msgpack", "cbor"])
async def test_wampy_says_undefined_where_an_option_is_absent(encoding: str) -> None:
    undefined = UNDEFINED[encoding]
    async with routing("realm1") as at:
        client = await at.knock(encoding)
        details = {"roles": NO_FEATURES, "authid": undefined, "authmethods": undefined, "authextra": undefined}
        await write(client, [1, "realm1", details])
        assert type(await client.hear()) is m.Welcome
        await write(client, [32, 1, {"match": undefined, "get_retained": undefined}, "com.example.news"])
        assert type(await client.hear()) is m.Subscribed
        options = {"acknowledge": True, "exclude": undefined, "eligible": undefined, "exclude_me": undefined}
        await write(client, [16, 2, options, "com.example.news"])
        assert type(await client.hear()) is m.Published
        await write(client, [64, 3, {"match": undefined, "invoke": undefined}, "com.example.echo"])
        assert type(await client.hear()) is m.Registered
        await write(client, [48, 4, {"timeout": undefined, "receive_progress": undefined}, "com.example.none"])
        assert (await client.hear()).error == "wamp.error.no_such_procedure"  # type: ignore[union-attr]


async def test_wampy_writes_integers_above_2_to_the_32_as_floats_over_cbor() -> None:
    async with routing("realm1") as at:
        callee, caller = await at.join("realm1", "cbor"), await at.join("realm1", "cbor")
        registered = await callee.ask(m.Register, "com.example.echo")
        subscribed = await callee.ask(m.Subscribe, "com.example.news")
        await write(caller, [48, 1.0, {"timeout": 60000.0}, "com.example.echo"])
        invocation = await callee.hear()
        assert type(invocation) is m.Invocation
        await write(callee, [70, float(invocation.request), {}])
        assert type(await caller.hear()) is m.Result
        options = {"acknowledge": True, "exclude": [float(callee.id)]}
        await write(caller, [16, 2.0, options, "com.example.news"])
        assert type(await caller.hear()) is m.Published
        await write(callee, [34, 3.0, float(subscribed.subscription)])
        assert await callee.hear() == m.Unsubscribed(3), "it was excluded by that id, and has heard nothing"
        await write(callee, [66, 4.0, float(registered.registration)])
        assert await callee.hear() == m.Unregistered(4)


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_ids_of_registrations_and_subscriptions_are_small(encoding: str) -> None:
    async with routing("realm1") as at:
        client = await at.join("realm1", encoding)
        for n in range(20):
            assert (await client.ask(m.Register, f"com.example.p{n}")).registration < 2**31
            assert (await client.ask(m.Subscribe, f"com.example.t{n}")).subscription < 2**31


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_tagged_uint8array_is_plain_binary_for_everyone_else(encoding: str) -> None:
    async with routing("realm1") as at:
        sender, hearer = await at.join("realm1", "cbor"), await at.join("realm1", encoding)
        await hearer.ask(m.Subscribe, "com.example.news")
        await write(sender, [16, 1, {}, "com.example.news", [cbor2.CBORTag(64, b"\x00\xff")]])
        event = await hearer.hear()
        assert type(event) is m.Event
        assert event.args == [b"\x00\xff"]


async def joined(at: Routing, **more: Any) -> Client:
    client = await at.knock()
    assert type(await client.hello("realm1", **more)) is m.Welcome
    return client


async def test_xconn_announces_nothing_and_has_an_empty_authid() -> None:
    async with routing("realm1") as at:
        callee = await at.knock()
        welcome = await callee.hello("realm1", roles=NO_FEATURES, authid="", authmethods=["anonymous"], authextra={})
        assert type(welcome) is m.Welcome
        assert welcome.details["authid"]
        assert type(await callee.ask(m.Register, "com.example.slow")) is m.Registered
        caller = await at.join("realm1")
        await caller.say(m.Call(1, {"receive_progress": True}, "com.example.slow"))
        invocation = await callee.hear()
        assert type(invocation) is m.Invocation
        assert not invocation.details.get("receive_progress")
        await caller.say(m.Cancel(1, {"mode": "kill"}))
        assert (await caller.hear()).error == "wamp.error.canceled"  # type: ignore[union-attr]
        await callee.say(m.Yield(invocation.request, {}, ["late"]))
        assert type(await callee.ask(m.Subscribe, "com.example.news")) is m.Subscribed, "no INTERRUPT came before it"


async def test_autobahn_js_streams_as_a_callee_and_announces_too_little() -> None:
    roles = NO_FEATURES | {"callee": {"features": {"progressive_call_results": True}}}
    async with routing("realm1") as at:
        callee, caller = await joined(at, roles=roles), await at.join("realm1")
        await callee.ask(m.Register, "com.example.count")
        await caller.say(m.Call(1, {"receive_progress": True}, "com.example.count"))
        invocation = await callee.hear()
        assert type(invocation) is m.Invocation
        await callee.say(m.Yield(invocation.request, {"progress": True}, [1]))
        await callee.say(m.Yield(invocation.request, {}, [2]))
        answers = [await caller.hear(), await caller.hear()]
        assert answers == [m.Result(1, {"progress": True}, [1]), m.Result(1, {}, [2])]


@pytest.mark.parametrize(
    "reason",
    ["wamp.close.normal", "wamp.close.system_shutdown", "wamp.close.close_realm", "wamp.error.close_realm"],
)
async def test_goodbyes_of_every_reason_are_answered(reason: str) -> None:
    async with routing("realm1") as at:
        client = await at.join("realm1")
        await client.say(m.Goodbye({}, reason))
        assert (await client.hear()).reason == GOODBYE_AND_OUT  # type: ignore[union-attr]
