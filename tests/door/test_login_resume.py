"""Slots and resumes at the WebSocket door: what a replayed message changes (nothing), when a slot dies, who wins."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import pytest
from knock import Door, Knock, Refused, Slot, knock
from returning import UNKNOWN, lost, resumed, signed_in
from waiting import until

from limen import exc
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import Abort, Authenticate, Call, Hello


# -- coming back ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_resume_gives_the_session_back(door: Door, encoding: str) -> None:
    async with knock(door, encoding) as client:
        slot = await signed_in(door, client)
        await client.call("secret")
        await lost(door, client)
    async with knock(door, encoding) as client:
        details = (await client.resume(slot)).details
        assert details["x_received"] == 2  # slot.open and the call; AUTHENTICATE was not sealed
        assert (details["authid"], details["authmethod"]) == ("ada", "resume")
        assert await client.call("secret") == "sealed"
        await lost(door, client)
    async with knock(door, encoding) as client:
        assert (await client.resume(slot)).details["x_received"] == 2  # AUTHENTICATE and the call
    assert door.level() == 0.0


async def test_after_a_restart_nothing_is_known_of_the_connection_but_the_session_goes_on(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    await door.stop()
    await door.start()
    async with knock(door) as client:
        assert (await client.resume(slot)).details["x_received"] is None
        assert await client.call("secret") == "sealed"


async def test_roles_and_profile_are_read_afresh(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        assert client.welcome.details["authrole"] == "nurse"
    await asyncio.to_thread(door.app.auth.set_roles, "ada", ["visitor"])
    async with knock(door) as client:
        details = (await client.resume(slot)).details
        assert (details["authrole"], details["x_roles"]) == ("visitor", ["visitor"])


async def test_roles_that_change_while_a_resume_waits_are_the_new_ones(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        challenge = await client.challenge_resume(slot)
        await asyncio.to_thread(door.app.auth.set_roles, "ada", ["visitor"])
        assert (await client.answer_resume(challenge)).details["x_roles"] == ["visitor"]


# -- message 1 --------------------------------------------------------------------------------------------------
async def test_a_recorded_first_message_changes_nothing_and_costs_its_sender(door: Door) -> None:
    """Whoever recorded the HELLO of a resume may send it again: the live session and its slot do not notice."""
    async with knock(door) as first:
        slot = await signed_in(door, first)
        await lost(door, first)
    async with knock(door) as owner:
        recorded = await owner.kk1(slot)
        await owner.resume_with(recorded)
        (tab,) = door.hub.tabs
        await asyncio.to_thread(door.hub.gate.collect())

        def look() -> Any:
            return door.slots(), tab.connection, tab.parked, tab.received, tab.used, len(door.hub.tabs), len(tab.calls)

        before = look()
        async with knock(door, origin="127.0.0.6") as thief:
            for _ in range(3):
                await thief.write(recorded)
                await thief.frame()  # CHALLENGE: for the owner of the key alone
                break
            assert look() == before
        await until(lambda: door.level("127.0.0.6") == 1.0)
        async with knock(door, origin="127.0.0.6") as thief:
            await thief.write(recorded)
            await thief.frame()
            await thief.ws.send(secrets.token_bytes(40))  # an AUTHENTICATE that does not open
            with pytest.raises(Refused):
                await thief.receive()
        assert door.level("127.0.0.6") == 2.0
        assert look() == before
        assert door.level() == 0.0
        assert await owner.call("secret") == "sealed"


async def test_a_resume_that_is_completed_takes_its_own_back(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as one, knock(door) as two:
        await one.challenge_resume(slot)
        await two.answer_resume(await two.challenge_resume(slot))
        assert door.level() == 0.0
        await one.cut()
        await until(lambda: door.level() == 1.0)
        assert await two.call("secret") == "sealed"


@pytest.mark.parametrize(
    "extra",
    [None, {}, {"slot": bytes(15), "kk1": bytes(48)}, {"slot": bytes(16)}, {"slot": bytes(16), "kk1": bytes(47)}],
)
async def test_a_first_message_that_is_none_is_refused(door: Door, extra: Any) -> None:
    async with knock(door) as client:
        details = {"roles": {"caller": {}}, "authmethods": ["resume"], "authextra": extra}
        await client.send(Hello("localhost", details))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason in (UNKNOWN, "wamp.error.authentication_failed")
        assert await client.closed() == 1008


async def test_an_unknown_a_foreign_and_a_dead_slot_are_told_alike(open_door: Any) -> None:
    class Clinic(Door):
        def extend(self, app: Any) -> None:
            app.add_domain("clinic.example")

    door = await open_door(Clinic)
    async with knock(door) as client, knock(door) as leaving:
        slot, dead = await signed_in(door, client), await signed_in(door, leaving)
        await leaving.call("limen.session.logout")
    unknown = Slot(slot.key, {"slot": bytes(16), "key": slot.server_key, "epoch": slot.epoch})
    stolen = Slot(PrivateKey(secrets.token_bytes(32)), {"slot": slot.handle, "key": slot.server_key, "epoch": 1})
    frames = set()
    for which, host, realm in [
        (unknown, "localhost", "localhost"),
        (dead, "localhost", "localhost"),
        (stolen, "localhost", "localhost"),
        (slot, "clinic.example", "clinic.example"),
        (slot, "clinic.example", "localhost"),
        (slot, "localhost", "clinic.example"),
    ]:
        async with knock(door, domain=host) as client:
            client.domain = realm
            with pytest.raises(Refused) as refused:
                await client.resume(which)
            assert refused.value.reason == UNKNOWN
            frames.add(refused.value.frame)
    assert len(frames) == 1
    assert await resumed(door, slot) == ""


async def test_a_resume_names_the_domain_that_it_is_for(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        hello = client.codec.decode(await client.kk1(slot))
        assert type(hello) is Hello
        await client.send(Hello("elsewhere.example", hello.details))
        with pytest.raises(Refused, match="unknown_session"):
            await client.receive()


async def test_a_resume_is_good_for_one_encoding(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        hello = await client.kk1(slot)
    async with knock(door, "cbor") as client:
        await client.write(client.codec.encode(Knock(client.ws, "msgpack", True, "").codec.decode(hello)))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == UNKNOWN


async def test_nothing_may_follow_authenticate_before_welcome(door: Door) -> None:
    """A frame too many ends the connection, and nobody comes in behind a door that closes."""
    async with knock(door) as owner, knock(door) as client:
        slot = await signed_in(door, owner)
        challenge = await client.challenge_resume(slot)
        client.open_channel(challenge)
        assert client.channel is not None
        for message in (Authenticate("", {}), Call(1, {}, "secret")):
            client.ws.protocol.send_binary(client.channel.seal(client.codec.encode(message)))
        client.ws.transport.write(b"".join(client.ws.protocol.data_to_send()))  # both at once
        with pytest.raises(Refused, match="protocol_violation"):
            await client.receive()
        assert await client.closed() == 1002
        assert await owner.call("secret") == "sealed"  # it was not taken over


# -- one slot, two places ---------------------------------------------------------------------------------------
async def test_the_newest_resume_wins_and_the_older_hears_of_it(door: Door) -> None:
    async with knock(door) as original, knock(door, origin="127.0.0.8") as copy:
        slot = await signed_in(door, original)
        before = time.time()
        welcome = await copy.resume(slot)
        assert welcome.details["x_received"] == 1
        farewell = await original.farewell()
        assert farewell.reason == "limen.close.taken_over"
        assert farewell.details["from"] == "127.0.0.8"
        assert (
            abs(time.mktime(time.strptime(farewell.details["when"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - before) < 3
        )
        assert await original.closed() == 1000
        assert await copy.call("secret") == "sealed"
        assert len(door.hub.tabs) == 1
        assert await resumed(door, slot) == ""  # and so on
        assert (await copy.farewell()).reason == "limen.close.taken_over"


async def test_a_call_that_runs_when_its_connection_is_taken_over_is_answered_to_the_new_one(door: Door) -> None:
    """A connection may be lost long before the server knows: the client is back, and waits for its answer."""
    async with knock(door) as old, knock(door) as new:
        slot = await signed_in(door, old)
        options = {"x_id": b"0123456789abcdef"}
        await old.begin("count_run", options=options)
        await until(lambda: door.runs == 1)
        await new.resume(slot)
        request = await new.begin("count_run", options={**options, "x_repeat": True})
        door.gate.set()
        assert new.value(await new.receive(), request) == 1
    assert door.runs == 1


# -- parking ----------------------------------------------------------------------------------------------------
async def test_a_lost_session_is_forgotten_after_its_time_and_its_calls_end(open_door: Any) -> None:
    door = await open_door(PARK_TIMEOUT=0.0)
    async with knock(door) as client:
        slot = await signed_in(door, client)
        await client.begin("count_run", options={"x_id": b"0123456789abcdef"})
        await until(lambda: door.runs == 1)
        (tab,) = door.hub.tabs
        (call,) = tab.calls.running()
        await lost(door, client)
    assert not call.task.done()
    door.hub.logins.sweep()
    assert not door.hub.tabs
    await until(lambda: call.cancellation.is_set() and not list(tab.calls.running()))
    assert len(door.slots()) == 1  # only the slot stays
    async with knock(door) as client:
        assert (await client.resume(slot)).details["x_received"] is None
        options = {"x_id": b"0123456789abcdef", "x_repeat": True}
        assert await client.call("count_run", options=options) == exc.OutcomeUnknown.uri
    assert door.runs == 1


async def test_a_session_without_a_slot_is_not_parked(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        await client.begin("count_run", options={"x_id": b"0123456789abcdef"})
        await until(lambda: door.runs == 1)
        (tab,) = door.hub.tabs
        await lost(door, client)
    assert not door.hub.tabs
    await until(lambda: not list(tab.calls.running()))


async def test_a_parked_session_keeps_so_many_answers(open_door: Any) -> None:
    door = await open_door(PARK_MAX_RESULTS=2)
    async with knock(door) as client:
        slot = await signed_in(door, client)
        for n in range(4):
            await client.begin("slow.answer", str(n), options={"x_id": bytes([n] * 16)})
        (tab,) = door.hub.tabs
        await until(lambda: len(list(tab.calls.running())) == 4)
        await lost(door, client)
        door.gate.set()
        await until(lambda: not list(tab.calls.running()))
    async with knock(door) as client:
        await client.resume(slot)
        options = [{"x_id": bytes([n] * 16), "x_repeat": True} for n in range(4)]
        answers = [await client.call("slow.answer", str(n), options=options[n]) for n in range(4)]
    assert answers == [exc.OutcomeUnknown.uri] * 2 + ["2", "3"]


# -- how many ---------------------------------------------------------------------------------------------------
async def test_a_user_has_so_many_sessions_and_no_more(open_door: Any) -> None:
    door = await open_door(MAX_USER_SESSIONS=2)
    async with knock(door) as one, knock(door) as two, knock(door) as three, knock(door) as other:
        await signed_in(door, one)
        await signed_in(door, two)
        await three.login()
        key = PrivateKey(secrets.token_bytes(32)).public
        assert await three.call("limen.slot.open", key) == exc.MaxActiveSessions.uri
        assert await three.call("secret") == "sealed"  # it may stay, but not come back
        await signed_in(door, other, "bob")
        await one.call("limen.session.logout")
        assert isinstance(await three.call("limen.slot.open", key), dict)
    assert len(door.slots()) == 3


async def test_a_slot_is_opened_with_a_key(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        for wrong in ([], [b"x"], [bytes(33)], ["x" * 32], [None], [bytes(32), bytes(32)]):
            assert await client.call("limen.slot.open", *wrong) == exc.InvalidCall.uri, wrong
        assert door.slots() == []
        assert await client.call("secret") == "sealed"


async def test_an_abort_is_what_a_resume_hears_before_its_first_sealed_frame(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        challenge = await client.challenge_resume(slot)
        client.open_channel(challenge)
        await client.write(client.codec.encode(Authenticate("", {})))  # in clear
        message = client.codec.decode(await client.frame())
        assert type(message) is Abort
        assert message.reason == "wamp.error.authentication_failed"
