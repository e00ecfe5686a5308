"""What a session may: declared topics, open rules, nothing of Limen's own."""

from __future__ import annotations

from typing import Any

import pytest
from asking import Rules, publishes, registers, subscribes
from knock import Door, knock

from limen import exc
from limen.core.wamp.messages import (
    Event,
)

NOT_AUTHORIZED = "wamp.error.not_authorized"


async def test_nobody_can_make_another_see_what_did_not_happen(open_door: Any) -> None:
    door = await open_door(Rules)
    async with knock(door) as ada, knock(door) as bob, knock(door, sealed=False) as visitor:
        await ada.login()
        await bob.login("bob")
        await visitor.anonymous()
        assert await subscribes(bob, "news") == ""
        for who in (ada, visitor):
            for topic in ("news", "private", "anything.at.all"):
                assert await publishes(who, topic) == NOT_AUTHORIZED
            for topic in ("wamp.session.on_join", "limen.close.taken_over"):
                assert await publishes(who, topic) == "wamp.error.invalid_uri"
            assert await registers(who, "com.example.mine") == NOT_AUTHORIZED
            assert await registers(who, "secret") in (NOT_AUTHORIZED, "wamp.error.procedure_already_exists")
        door.news.publish("true")
        event = await bob.receive()
        assert type(event) is Event
        assert event.args == ["true"]


async def test_topics_are_for_those_for_whom_they_are_declared(open_door: Any) -> None:
    door = await open_door(Rules)
    async with knock(door) as ada, knock(door) as bob, knock(door, sealed=False) as visitor:
        await ada.login()
        await bob.login("bob")
        await visitor.anonymous()
        allowed = {
            topic: [await subscribes(who, topic) == "" for who in (ada, bob, visitor)]
            for topic in ("news", "private", "nurses", "chosen", "undeclared")
        }
        assert allowed == {
            "news": [True, True, True],
            "private": [True, True, False],
            "nurses": [True, False, False],
            "chosen": [False, True, False],
            "undeclared": [False, False, False],
        }
        door.nurses.publish("x")
        event = await ada.receive()
        assert type(event) is Event
        assert await bob.call("add", 1) == 1  # nothing came before it


@pytest.mark.parametrize("match", ["prefix", "wildcard"])
async def test_patterns_lead_past_no_declaration(open_door: Any, match: str) -> None:
    door = await open_door(Rules)
    async with knock(door, sealed=False) as visitor:
        await visitor.anonymous()
        for pattern in ("", "p", "private", "n"):
            assert await subscribes(visitor, pattern, match) != ""


async def test_open_rules_open_what_nobody_has_declared(open_door: Any) -> None:
    door = await open_door(Rules)
    door.app.open_realms = True
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as two:
        await one.anonymous()
        await two.anonymous()
        assert await subscribes(one, "chat") == ""
        assert await publishes(two, "chat") == ""
        assert type(await one.receive()) is Event
        assert await registers(one, "com.example.mine") == ""
        assert await publishes(two, "news") == NOT_AUTHORIZED  # the program's own
        assert await subscribes(two, "private") == NOT_AUTHORIZED
        assert await registers(one, "secret") == "wamp.error.procedure_already_exists"
        for uri in ("wamp.session.count", "limen.slot.open", "limen.mine"):
            assert await registers(one, uri) == "wamp.error.invalid_uri"


async def test_what_limen_answers_itself_is_for_sealed_sessions_only(door: Door) -> None:
    async with knock(door) as client:
        await client.login()  # from now on the hub knows these
        for sealed in (False, True):
            async with knock(door, sealed=False) as plain:
                await plain.anonymous()
                for uri in ("slot.open", "session.logout", "password.begin", "password.finish", "no.such"):
                    assert await plain.call(f"limen.{uri}", bytes(32)) == "wamp.error.no_such_procedure", sealed
    assert door.slots() == []


async def test_calls_of_sealed_services_in_clear_shut_their_origin_out(open_door: Any) -> None:
    door = await open_door(Rules, SOFT_ORIGIN_ABUSE_LEVEL=100.0)
    async with knock(door, sealed=False) as visitor, knock(door) as bob:
        await visitor.anonymous()
        await bob.login("bob")
        assert await visitor.call("secret") == NOT_AUTHORIZED
        assert door.level() == 1.0
        assert await bob.call("for_nurses") == exc.Forbidden.uri
        assert door.level() == 4.0
        for _ in range(7):
            await visitor.call("secret")
        assert await visitor.call("add", 1) == exc.Abusive.uri
        assert await visitor.call("secret") == exc.Abusive.uri
        assert await bob.call("add", 1) == 1
        assert door.level() == pytest.approx(11, abs=0.1)
