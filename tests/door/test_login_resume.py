"""Slots and resumes at the WebSocket door: what a replayed message changes (nothing), when a slot dies, who wins."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house import until
from knock import PASSWORD, Door, Knock, Refused, Slot, account, knock

from limen import DataStore, dbm, exc
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import Abort, Authenticate, Call, Goodbye, Hello

UNKNOWN = exc.UnknownSession.uri


async def signed_in(door: Door, client: Knock, user: str = "ada") -> Slot:
    await client.login(user)
    return await client.open_slot()


async def resumed(door: Door, slot: Slot, **options: Any) -> str:
    """The reason for which a resume is refused; "" where it is not."""
    async with knock(door, **options) as client:
        try:
            await client.resume(slot)
        except Refused as refused:
            return refused.reason
        return "" if await client.call("secret") == "sealed" else "not sealed"


async def lost(door: Door, client: Knock) -> None:
    """The connection is lost, and the server knows it."""
    before = len(door.connections)
    await client.cut()
    await until(lambda: len(door.connections) < before)


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


# -- the death of slots -----------------------------------------------------------------------------------------
async def test_a_logout_ends_the_slot(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        assert await client.call("limen.session.logout") is None
        assert (await client.farewell()).reason == "wamp.close.logout"
        assert await client.closed() == 1000
    assert door.slots() == []
    assert await resumed(door, slot) == UNKNOWN


async def test_a_goodbye_ends_the_slot_at_once(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        await client.send(Goodbye({}, "wamp.close.normal"))
        assert (await client.farewell()).reason == "wamp.close.goodbye_and_out"
    assert await resumed(door, slot) == UNKNOWN
    await asyncio.to_thread(door.hub.gate.collect())
    assert door.slots() == []


async def test_a_connection_that_is_lost_does_not(door: Door) -> None:
    """An end without GOODBYE is a truncation: anyone on the way can do that."""
    async with knock(door) as client:
        slot = await signed_in(door, client)
        await client.ws.close()
    await until(lambda: not door.connections)
    assert await resumed(door, slot) == ""


@pytest.mark.parametrize("where", ["live", "parked", "in the store"])
@pytest.mark.parametrize("why", ["idle", "old"])
async def test_time_ends_a_session(door: Door, where: str, why: str) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        (tab,) = door.hub.tabs
        if where != "live":
            await lost(door, client)
        if where == "in the store":
            door.hub.tabs.remove(tab)
            (row,) = door.slots()
            back = {"used": row.used - 3601} if why == "idle" else {"login": row.login - 12 * 3600 - 1}
            door.app.vault.slots.remove(row.handle)
            door.app.vault.slots.put(replace(row, **back))
        elif why == "idle":
            tab.used -= 3601
        else:
            tab.login -= 12 * 3600 + 1
        door.hub.sweep()
        if where == "live":
            assert (await client.farewell()).reason == "limen.close.expired"
        assert await resumed(door, slot) == UNKNOWN
    if where != "in the store":
        await asyncio.to_thread(door.hub.gate.collect())
        assert door.slots() == []


async def test_a_session_that_is_used_does_not_age_in_the_store(door: Door) -> None:
    """Calls keep the slot alive, not only resumes: its owner may come back after hours of work, and after a restart."""
    async with knock(door) as client:
        slot = await signed_in(door, client)
        (tab,) = door.hub.tabs
        (row,) = door.slots()
        door.app.vault.slots.remove(row.handle)
        door.app.vault.slots.put(replace(row, used=row.used - 3601))
        tab.used -= 3601
        assert await client.call("secret") == "sealed"
        door.hub.sweep()
        await lost(door, client)
        assert await resumed(door, slot) == ""
        await asyncio.to_thread(door.hub.gate.collect())
        (row,) = door.slots()
        assert time.time() - row.used < 60


async def test_the_store_hears_of_a_session_at_work_now_and_then(door: Door) -> None:
    """For a crash, after which only the store remembers it; but not with every call."""

    async def behind() -> float:
        door.hub.sweep()
        await asyncio.to_thread(door.hub.gate.collect())
        (row,), (tab,) = door.slots(), door.hub.tabs
        return float(tab.used - row.used)

    async with knock(door) as client:
        await signed_in(door, client)
        (tab,) = door.hub.tabs
        await behind()
        tab.used += 59
        assert await behind() == pytest.approx(59, abs=1)
        tab.used += 2
        assert await behind() == 0.0


@pytest.mark.parametrize("what", ["a new password", "removed", "disabled"])
async def test_what_becomes_of_the_user_ends_all_sessions(door: Door, what: str) -> None:
    auth = door.app.auth
    async with knock(door) as live, knock(door) as gone, knock(door) as other:
        slots = [await signed_in(door, live), await signed_in(door, gone)]
        others = await signed_in(door, other, "bob")
        await lost(door, gone)
        if what == "removed":
            assert await asyncio.to_thread(auth.remove_user, "ada")
        elif what == "disabled":
            await asyncio.to_thread(auth.disable, "ada")
        else:
            await asyncio.to_thread(auth.set_password, "ada", "battery staple")
        assert (await live.farewell()).reason == "wamp.close.logout"
        assert [await resumed(door, slot) for slot in slots] == [UNKNOWN] * 2
        assert await other.call("secret") == "sealed"
        assert [slot.handle for slot in door.slots()] == [others.handle]
    if what == "disabled":
        await asyncio.to_thread(auth.disable, "ada", disabled=False)
        async with knock(door) as client:
            await client.login()


async def test_a_new_password_ends_a_session_that_began_with_the_old_one_meanwhile(door: Door) -> None:
    """Setting a password takes its time: whoever logs in with the old one just before it is kept is out as well."""
    accounts = door.app.vault.accounts
    async with knock(door) as client:
        slots: list[Slot] = []
        put = accounts.put

        def slowly(row: Any, **options: Any) -> bool:
            asyncio.run_coroutine_threadsafe(sneak_in(), loop).result(10)
            return put(row, **options)

        async def sneak_in() -> None:
            slots.append(await signed_in(door, client))

        loop = asyncio.get_running_loop()
        accounts.put = slowly  # type: ignore[method-assign]
        await asyncio.to_thread(door.app.auth.set_password, "ada", "battery staple")
        accounts.put = put  # type: ignore[method-assign]
        assert (await client.farewell()).reason == "wamp.close.logout"
        assert await resumed(door, slots[0]) == UNKNOWN


@pytest.mark.parametrize("what", ["a new password", "removed"])
async def test_what_becomes_of_the_user_while_a_resume_waits_ends_it(door: Door, what: str) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        challenge = await client.challenge_resume(slot)
        if what == "removed":
            await asyncio.to_thread(door.app.auth.remove_user, "ada")
        else:
            await asyncio.to_thread(door.app.auth.set_password, "ada", "battery staple")
        with pytest.raises(Refused, match="unknown_session"):
            await client.answer_resume(challenge)
    assert door.slots() == []
    assert not door.hub.tabs


async def test_a_user_who_is_removed_in_the_last_moment_does_not_come_back(door: Door) -> None:
    accounts, get = door.app.vault.accounts, door.app.vault.accounts.get

    def get_and_lose(*who: str) -> Any:
        found = get(*who)
        if found is not None:
            door.app.auth.remove_user("ada")
        return found

    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        challenge = await client.challenge_resume(slot)
        accounts.get = get_and_lose  # type: ignore[method-assign]
        with pytest.raises(Refused, match="unknown_session"):
            await client.answer_resume(challenge)
    assert not door.hub.tabs


async def test_a_slot_that_is_opened_while_its_session_ends_does_not_stay(door: Door) -> None:
    slots, put = door.app.vault.slots, door.app.vault.slots.put

    def end_and_put(*row: Any, **options: Any) -> bool:
        door.app.end_sessions("localhost", "ada")
        return put(*row, **options)

    async with knock(door) as client:
        await client.login()
        slots.put = end_and_put  # type: ignore[method-assign]
        await client.begin("limen.slot.open", bytes(32))
        assert (await client.farewell()).reason == "wamp.close.logout"
    await asyncio.to_thread(door.hub.gate.collect())
    assert door.slots() == []


async def test_a_new_password_from_inside_ends_all_others(door: Door) -> None:
    async with knock(door) as one, knock(door) as two, knock(door) as away:
        mine, theirs, third = [await signed_in(door, client) for client in (one, two, away)]
        await lost(door, away)
        for tab in door.hub.tabs:
            if tab.parked is not None:
                door.hub.tabs.remove(tab)  # in the store only, as after a restart
        record = account(door.app, "ada", [], password="battery staple").record
        assert await one.call("limen.password.finish", record) is None
        assert (await two.farewell()).reason == "wamp.close.logout"
        assert [await resumed(door, slot) for slot in (theirs, third)] == [UNKNOWN] * 2
        assert await one.call("secret") == "sealed"
        await lost(door, one)
    assert await resumed(door, mine) == ""
    async with knock(door) as client:
        with pytest.raises(exc.InvalidCredential):
            await client.login("ada", PASSWORD)
    async with knock(door) as client:
        await client.login("ada", "battery staple")


class OnDisk(Door):
    """A house whose store is an SQLite file."""

    def __init__(self, keys: Path, *args: Any) -> None:
        super().__init__(keys, *args)
        self.file = keys.with_suffix(".db")

    async def start(self) -> None:
        self.store = DataStore(dbm.SQLStore(f"sqlite:///{self.file}"))
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        self.store.storage.close()  # type: ignore[attr-defined]


async def test_a_database_put_back_from_a_copy_begins_a_new_epoch(open_door: Any) -> None:
    """It may have forgotten a logout, or a new password: all sessions are over, the accounts stay."""
    door = await open_door(OnDisk)
    async with knock(door) as client:
        kept = await signed_in(door, client)
        await lost(door, client)
        assert await resumed(door, kept) == ""
    await door.stop()
    copy = door.file.read_bytes()
    await door.start()
    async with knock(door) as client:
        await signed_in(door, client, "bob")  # after the copy was made, something happens
    await door.stop()
    door.file.write_bytes(copy)
    for rest in ("-wal", "-shm"):
        Path(f"{door.file}{rest}").unlink(missing_ok=True)
    await door.start()
    assert await resumed(door, kept) == UNKNOWN
    async with knock(door) as client:
        fresh = await signed_in(door, client)
        assert fresh.epoch == kept.epoch + 1
        await lost(door, client)
    await door.stop()
    await door.start()
    assert await resumed(door, fresh) == ""  # an ordinary restart begins none


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
    door.hub.sweep()
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
