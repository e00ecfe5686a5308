"""What a session may ask about sessions: list, end, make room, let in a further tab, act as somebody else."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from knock import Door, Knock, Slot, knock
from returning import UNKNOWN, lost, resumed, signed_in
from waiting import until

from limen import App, exc, get_state
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import Goodbye

FORBIDDEN, NOT_FOUND, INVALID = exc.Forbidden.uri, exc.RecordNotFound.uri, exc.InvalidCall.uri


class Clinic(Door):
    """ada is a chief, who may end sessions and act as others; bob and eve are users; dr is another chief."""

    def __init__(self, keys: Any, settings: dict[str, Any] | None = None) -> None:
        super().__init__(keys, settings, {"ada": ["chief"], "dr": ["chief"], "bob": ["user"], "eve": ["user"]})

    def extend(self, app: App) -> None:
        app.config.SESSION_ADMIN_ROLES = app.config.IMPERSONATOR_ROLES = ("chief",)

        class Note:
            pass

        app.add_model(Note)
        app.topic("chiefs", roles=["chief"])

        @app.service()
        async def whoami() -> list[Any]:
            await asyncio.sleep(0)
            state = await asyncio.to_thread(get_state)
            return [state.user, state.role, state.profile["username"], state.impersonated_by]

        @app.service()
        def note() -> list[Any]:
            with app.storage("note") as db:
                id = db.insert(Note, text="x")._uuid
            with app.storage() as db:
                written = db.transaction(db.fetch(Note, id)._txn)
                assert written is not None
                return [written.user, written.impersonator]


@pytest.fixture
async def clinic(open_door: Any) -> Clinic:
    door = await open_door(Clinic)
    assert isinstance(door, Clinic)
    return door


async def kinds(client: Knock, *user: str) -> list[Any]:
    return [(row["kind"], row["this"]) for row in await client.call("limen.session.list", *user)]


# -- list and end ---------------------------------------------------------------------------------------------------
async def test_who_is_logged_in_sees_their_sessions_and_ends_one(clinic: Clinic) -> None:
    async with knock(clinic) as here, knock(clinic) as there, knock(clinic) as bare, knock(clinic) as other:
        await signed_in(clinic, here, "bob")
        slot = await signed_in(clinic, there, "bob")
        await bare.login("bob")
        await signed_in(clinic, other, "eve")
        rows = await here.call("limen.session.list")
        assert [row["this"] for row in rows] == [True, False, False]
        assert set(rows[0]) == {"id", "parent", "kind", "opened", "used", "login", "origin", "acting", "this"}
        assert slot.handle not in [value for row in rows for value in row.values()]
        for client, row in ((there, rows[1]), (bare, rows[2])):
            assert await here.call("limen.session.end", row["id"]) is None
            assert (await client.farewell()).reason == "wamp.close.logout"
        assert await resumed(clinic, slot) == UNKNOWN
        assert await kinds(here) == [("tab", True)]
        assert await here.call("limen.session.end", rows[1]["id"]) == NOT_FOUND
        assert await here.call("limen.session.end", rows[0]["id"]) is None, "its own"
        assert (await here.farewell()).reason == "wamp.close.logout"
        assert await other.call("secret") == "sealed"


async def test_the_sessions_of_others_are_for_those_with_a_role(clinic: Clinic) -> None:
    async with knock(clinic) as chief, knock(clinic) as bob, knock(clinic) as eve:
        await signed_in(clinic, chief, "ada")
        await signed_in(clinic, bob, "bob")
        await signed_in(clinic, eve, "eve")
        (row,) = await chief.call("limen.session.list", "bob")
        assert await eve.call("limen.session.list", "bob") == FORBIDDEN
        assert await eve.call("limen.session.end", row["id"], "bob") == FORBIDDEN
        assert await eve.call("limen.session.end", row["id"]) == NOT_FOUND
        assert clinic.level() >= 5.9, "two denied calls"
        assert await chief.call("limen.session.end", row["id"], "bob") is None
        assert (await bob.farewell()).reason == "wamp.close.logout"


async def test_without_the_setting_nobody_sees_the_sessions_of_others(door: Door) -> None:
    async with knock(door) as client:
        await client.login("ada")
        assert await client.call("limen.session.list", "bob") == FORBIDDEN
        assert await client.call("limen.session.impersonate", "bob") == FORBIDDEN


# -- most sessions --------------------------------------------------------------------------------------------------
async def test_a_forced_login_ends_the_oldest_session_which_is_told_so(open_door: Any) -> None:
    door = await open_door(MAX_USER_SESSIONS=2)
    why: list[str] = []
    door.app.on("session.closed", lambda event: why.append(event.why))
    async with knock(door) as first, knock(door) as second, knock(door) as third, knock(door) as fourth:
        slot = await signed_in(door, first)
        await signed_in(door, second)
        await third.login()
        key = PrivateKey(secrets.token_bytes(32)).public
        assert await third.call("limen.slot.open", key) == exc.MaxActiveSessions.uri
        await fourth.login(force=True)
        await fourth.open_slot()
        assert (await first.farewell()).reason == "limen.close.forced"
        assert await second.call("secret") == "sealed"
        assert await resumed(door, slot) == UNKNOWN
        await until(lambda: why == ["forced"])


# -- a further tab --------------------------------------------------------------------------------------------------
async def let_in(client: Knock) -> Slot:
    key = PrivateKey(secrets.token_bytes(32))
    return Slot(key, await client.call("limen.session.child", key.public))


async def test_a_further_tab_comes_in_without_the_password_and_ends_with_the_login(clinic: Clinic) -> None:
    async with knock(clinic) as first, knock(clinic) as second, knock(clinic) as third:
        await signed_in(clinic, first, "bob")
        slot = await let_in(first)
        await second.resume(slot)
        assert await second.call("whoami") == ["bob", "user", "bob", None]
        assert await kinds(second) == [("tab", False), ("child", True)]
        other = await let_in(second)
        await third.resume(other)
        rows = await third.call("limen.session.list")
        assert [row["parent"] for row in rows] == ["", rows[0]["id"], rows[0]["id"]], "all hang on the login"
        assert await first.call("limen.session.logout") is None
        for client in (second, third):
            assert (await client.farewell()).reason == "wamp.close.logout"
        assert [await resumed(clinic, each) for each in (slot, other)] == [UNKNOWN] * 2
        assert clinic.slots() == []


@pytest.mark.parametrize("why", ["password", "age", "ended"])
async def test_what_ends_the_login_ends_the_further_tab(clinic: Clinic, why: str) -> None:
    async with knock(clinic) as first, knock(clinic) as second:
        await signed_in(clinic, first, "bob")
        slot = await let_in(first)
        await second.resume(slot)
        if why == "password":
            await asyncio.to_thread(clinic.app.auth.set_password, "bob", "battery staple")
        elif why == "age":
            for tab in clinic.hub.tabs:
                tab.login -= 12 * 3600 + 1
            clinic.hub.logins.sweep()
        else:
            await asyncio.to_thread(clinic.app.auth.end_sessions, "bob")
        reason = "limen.close.expired" if why == "age" else "wamp.close.logout"
        assert (await second.farewell()).reason == reason
        assert await resumed(clinic, slot) == UNKNOWN


async def test_work_in_one_tab_keeps_the_login_of_both(clinic: Clinic) -> None:
    async with knock(clinic) as first, knock(clinic) as second:
        await signed_in(clinic, first, "bob")
        await second.resume(await let_in(first))
        parent = next(tab for tab in clinic.hub.tabs if tab.kind == "tab")
        parent.used -= 3601
        await second.call("secret")
        clinic.hub.logins.sweep()
        assert await first.call("secret") == "sealed"


async def test_a_further_tab_ends_alone(clinic: Clinic) -> None:
    async with knock(clinic) as first, knock(clinic) as second:
        await signed_in(clinic, first, "bob")
        await second.resume(await let_in(first))
        await second.call("limen.session.logout")
        await second.farewell()
        assert await kinds(first) == [("tab", True)]


async def test_the_key_of_a_further_tab_is_of_no_use_from_another_address_nor_for_a_new_password(
    clinic: Clinic,
) -> None:
    async with knock(clinic) as first:
        await signed_in(clinic, first, "bob")
        slot = await let_in(first)
        assert await resumed(clinic, slot, origin="127.0.0.2") == UNKNOWN
        async with knock(clinic) as second:
            await second.resume(slot)
            assert await second.call("limen.password.begin", bytes(32)) == exc.Unauthorized.uri


async def test_further_tabs_count_and_can_be_switched_off(open_door: Any) -> None:
    door = await open_door(MAX_USER_SESSIONS=2)
    async with knock(door) as first, knock(door) as bare:
        await signed_in(door, first)
        slot = await let_in(first)
        key = PrivateKey(secrets.token_bytes(32)).public
        assert await first.call("limen.session.child", key) == exc.MaxActiveSessions.uri
        assert await first.call("limen.session.child", b"short") == INVALID
        await bare.login("bob")
        assert await bare.call("limen.session.child", key) == FORBIDDEN, "it has no key itself"
        door.app.config.CHILD_SESSIONS = False
        assert await first.call("limen.session.child", key) == FORBIDDEN
        assert await resumed(door, slot) == UNKNOWN


async def test_a_tab_that_is_let_in_while_the_login_ends_stays_out(clinic: Clinic) -> None:
    async with knock(clinic) as first:
        await signed_in(clinic, first, "bob")
        (row,) = clinic.slots()
        clinic.app.vault.slots.remove(row.domain, row.handle)
        key = PrivateKey(secrets.token_bytes(32)).public
        assert await first.call("limen.session.child", key) == exc.MaxActiveSessions.uri
        assert clinic.slots() == []


# -- acting as somebody else ----------------------------------------------------------------------------------------
async def changed(client: Knock, procedure: str, *args: Any) -> None:
    await client.call(f"limen.session.{procedure}", *args)
    assert (await client.farewell()).reason == "limen.close.changed"
    await client.closed()


async def test_whoever_acts_as_a_user_is_that_user_and_everything_says_who_they_are(clinic: Clinic) -> None:
    async with knock(clinic) as client:
        slot = await signed_in(clinic, client, "ada")
        await changed(client, "impersonate", "Bob")
    async with knock(clinic) as client:
        welcome = await client.resume(slot)
        details = welcome.details
        assert (details["authid"], details["x_roles"], details["x_impersonated_by"]) == ("bob", ["user"], "ada")
        assert await client.call("whoami") == ["bob", "user", "bob", "ada"]
        assert await client.call("note") == ["bob", "ada"]
        assert await client.call("limen.session.impersonate", "eve") == INVALID, "one at a time"
        assert await client.call("limen.session.list", "eve") == FORBIDDEN, "bob may not"
        assert await client.call("limen.session.child", bytes(32)) == FORBIDDEN
        assert await client.call("limen.password.begin", bytes(32)) == exc.Unauthorized.uri
        await lost(clinic, client)
    async with knock(clinic) as client:
        await client.resume(slot)
        assert await client.call("whoami") == ["bob", "user", "bob", "ada"], "it survives a lost connection"
        await changed(client, "relinquish")
    async with knock(clinic) as client:
        welcome = await client.resume(slot)
        assert "x_impersonated_by" not in welcome.details
        assert await client.call("whoami") == ["ada", "chief", "ada", None]
        assert await client.call("note") == ["ada", None]
        assert await client.call("limen.session.relinquish") == INVALID


async def test_nobody_acts_as_whom_they_may_not(clinic: Clinic) -> None:
    clinic.app.add_domain("other.example")
    clinic.add_user(clinic.app, "zoe", ["user"], domain="other.example")
    await asyncio.to_thread(clinic.app.auth.disable, "eve")
    async with knock(clinic) as chief, knock(clinic) as bob:
        await signed_in(clinic, chief, "ada")
        await signed_in(clinic, bob, "bob")
        for user, error in (("dr", FORBIDDEN), ("zoe", NOT_FOUND), ("eve", NOT_FOUND), ("ada", INVALID), (7, INVALID)):
            assert await chief.call("limen.session.impersonate", user) == error, user
        assert await bob.call("limen.session.impersonate", "dr") == FORBIDDEN
        assert clinic.level() >= 2.9, "it is counted"
        clinic.app.config.IMPERSONATE_IMPERSONATORS = True
        await changed(chief, "impersonate", "dr")


@pytest.mark.parametrize("what", ["roles", "disabled", "password", "target removed", "setting"])
async def test_what_let_them_act_is_looked_at_each_time_they_come_back(clinic: Clinic, what: str) -> None:
    auth = clinic.app.auth
    async with knock(clinic) as client:
        slot = await signed_in(clinic, client, "ada")
        await changed(client, "impersonate", "bob")
    if what == "roles":
        await asyncio.to_thread(auth.set_roles, "ada", ["user"])
    elif what == "disabled":
        await asyncio.to_thread(auth.disable, "ada")
    elif what == "password":
        await asyncio.to_thread(auth.set_password, "ada", "battery staple")
    elif what == "target removed":
        await asyncio.to_thread(auth.remove_user, "bob")
    else:
        clinic.app.config.IMPERSONATOR_ROLES = ()
    assert await resumed(clinic, slot) == UNKNOWN


async def test_who_loses_the_role_acts_as_nobody_any_more(clinic: Clinic) -> None:
    async with knock(clinic) as client:
        slot = await signed_in(clinic, client, "ada")
        await changed(client, "impersonate", "bob")
    async with knock(clinic) as client, knock(clinic) as other:
        await client.resume(slot)
        await signed_in(clinic, other, "ada")
        await asyncio.to_thread(clinic.app.auth.set_roles, "ada", ["chief", "user"])
        assert await client.call("whoami") == ["bob", "user", "bob", "ada"]
        await asyncio.to_thread(clinic.app.auth.set_roles, "ada", ["user"])
        message = await client.receive()
        assert type(message) is Goodbye
        assert (await other.call("whoami"))[0] == "ada", "where she acts as herself she goes on"


async def test_the_end_of_the_user_ends_whoever_acts_as_them(clinic: Clinic) -> None:
    async with knock(clinic) as client:
        slot = await signed_in(clinic, client, "ada")
        await changed(client, "impersonate", "bob")
    async with knock(clinic) as client:
        await client.resume(slot)
        await asyncio.to_thread(clinic.app.auth.disable, "bob")
        message = await client.receive()
        assert type(message) is Goodbye
