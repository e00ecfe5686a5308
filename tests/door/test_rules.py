"""Rules of a realm: what sessions may do where this program has declared nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from knock import Door, knock

from limen import App
from limen.core.wamp.messages import Error, Goodbye, Invocation, Publish, Register, Subscribe, Yield
from limen.service.rule import Rule

NO = "wamp.error.not_authorized"
NOT_THERE = "wamp.error.no_such_procedure"


class Ruled(Door):
    def extend(self, app: App) -> None:
        app.realm_rule(["register", "call"], "device.", match="prefix", roles=["nurse"])
        app.realm_rule("publish", "alarm")
        app.realm_rule(["register", "force_reregister"], "clock", safe=False)
        app.realm_rule("subscribe", "alarm", safe=False)
        app.realm_rule(["register", "call", "publish", "subscribe"], "elsewhere", domain="b.example", safe=False)


async def asked(client: Any, kind: Any, uri: str, options: dict[str, Any] | None = None) -> str:
    client.request += 1
    await client.send(kind(client.request, options or {}, uri))
    answer = await client.receive()
    return answer.error if type(answer) is Error else ""


async def test_what_a_rule_allows_is_allowed_to_whom_it_names_and_nothing_else(open_door: Any) -> None:
    door = await open_door(Ruled)
    async with knock(door) as ada, knock(door) as bob, knock(door, sealed=False) as visitor:
        await ada.login("ada")
        await bob.login("bob")
        await visitor.anonymous()
        assert await asked(ada, Register, "device.pump") == ""
        assert await asked(bob, Register, "device.scale") == NO
        assert await asked(ada, Register, "devices") == NO
        assert await asked(bob, Publish, "alarm", {"acknowledge": True}) == ""
        assert await asked(visitor, Publish, "alarm", {"acknowledge": True}) == NO
        assert await asked(visitor, Subscribe, "alarm") == ""
        assert await asked(bob, Subscribe, "alarm") == ""
        for action in (Register, Subscribe):
            assert await asked(visitor, action, "elsewhere") == NO
        for stranger in (bob, visitor):  # who may not call does not learn what there is
            assert await stranger.call("device.pump") == await stranger.call("device.nothing") == NOT_THERE

        async def answer() -> None:
            invocation = await ada.receive()
            assert type(invocation) is Invocation
            await ada.send(Yield(invocation.request, {}, ["on"]))

        async with knock(door) as other:
            await other.login("ada")
            answering = asyncio.create_task(answer())
            assert await other.call("device.pump") == "on"
            await answering


def test_a_rule_that_says_nothing_is_refused() -> None:
    for wrong in ({"actions": []}, {"actions": ["kill"]}, {"match": "wildcard"}):
        with pytest.raises(ValueError, match=r"rule|match"):
            Rule(**{"actions": ["call"], "uri": "x", **wrong})


async def test_who_answers_what_a_permission_gives_to_others_answers_no_more(open_door: Any) -> None:
    door = await open_door(Ruled)
    async with knock(door) as ada, knock(door) as again:
        await ada.login("ada")
        await again.login("ada")
        assert await asked(ada, Register, "device.pump") == ""
        assert await asked(again, Register, "device.scale") == ""
        door.app.auth.grant("chief", "device.pump")
        message = await ada.receive()
        assert (type(message), message.reason) == (Goodbye, "limen.close.changed")  # type: ignore[union-attr]
        assert await asked(again, Register, "device.pump") == NO
        assert await asked(again, Register, "device.valve") == "", "who answers nothing that is closed stays"


class Open(Door):
    def extend(self, app: App) -> None:
        app.open_realms = True


async def test_a_topic_that_comes_later_is_not_heard_by_who_listened_there_before(open_door: Any) -> None:
    door = await open_door(Open)
    patterns = {"room.": "prefix", "": "prefix", ".secret": "wildcard", "room.secret": "exact", "rooms": "prefix"}
    heard: dict[str, Any] = {}
    async with contextlib.AsyncExitStack() as stack:
        for uri, match in patterns.items():
            client = await stack.enter_async_context(knock(door, sealed=False))
            await client.anonymous()
            assert await asked(client, Subscribe, uri, {"match": match}) == ""
            heard[uri] = client
        secret = door.app.topic("room.secret", roles=["nurse"])
        secret.publish_to("localhost", "hush")
        door.app.topic("rooms", safe=False).publish_to("localhost", "for all")
        assert (await heard.pop("rooms").receive()).args == ["for all"]
        for client in heard.values():
            message = await client.receive()
            assert (type(message), message.reason) == (Goodbye, "limen.close.changed")


async def test_the_place_of_another_is_taken_only_where_a_rule_says_so(open_door: Any) -> None:
    door = await open_door(Ruled)
    async with knock(door) as ada, knock(door, sealed=False) as first, knock(door, sealed=False) as second:
        await ada.login("ada")
        await first.anonymous()
        await second.anonymous()
        assert await asked(ada, Register, "device.pump") == ""
        assert await asked(ada, Register, "device.pump", {"force_reregister": True}) == NO
        assert await asked(first, Register, "clock") == ""
        assert await asked(second, Register, "clock") == "wamp.error.procedure_already_exists"
        assert await asked(second, Register, "clock", {"force_reregister": True}) == ""
