"""Logins at the WebSocket door: what counts as an attempt, who is slowed, who is refused, and what nobody can tell."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from knock import PASSWORD, ROLES, Door, Knock, Refused, account, knock
from waiting import until

from limen import exc
from limen.core.seal.login import ClientLogin
from limen.core.wamp.messages import Authenticate, Goodbye, Hello, Subscribe, Welcome

ENCODINGS = pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
NO_DELAYS = {"SOFT_ORIGIN_ABUSE_LEVEL": 1000.0}
NO_LIMITS = {**NO_DELAYS, "MAX_ORIGIN_ABUSE_LEVEL": 1000.0}


async def refusal(door: Door, user: str = "ada", password: str = PASSWORD, origin: str = "127.0.0.1") -> str:
    """The reason for which a login is refused; "" where it is not."""
    async with knock(door, origin=origin) as client:
        try:
            await client.login(user, password)
        except exc.InvalidCredential:
            return "told by the client itself"
        except Refused as refused:
            return refused.reason
        return ""


async def guess(door: Door, user: str = "ada", origin: str = "127.0.0.1") -> str:
    async with knock(door, origin=origin) as client:
        with pytest.raises(Refused) as refused:
            await client.guess(user)
        return refused.value.reason


# -- what WELCOME says ------------------------------------------------------------------------------------------
@ENCODINGS
async def test_a_login_gives_a_sealed_session(door: Door, encoding: str) -> None:
    async with knock(door, encoding) as client:
        welcome = await client.login()
        assert await client.call("secret") == "sealed"
    details = welcome.details
    assert 0 < welcome.session < 2**53
    assert details["authid"] == "ada"
    assert (details["authrole"], details["x_roles"]) == ("nurse", ["nurse", "user"])
    assert (details["authmethod"], details["authprovider"]) == ("opaque", "limen")
    assert details["x_profile"] == {"username": "ada"}
    assert details["x_timeout"] == 3600.0
    assert details["x_max_age"] == pytest.approx(12 * 3600, abs=5)
    assert "x_received" not in details


# -- what counts ------------------------------------------------------------------------------------------------
async def test_a_challenge_that_nobody_answers_counts(door: Door) -> None:
    """The client learns a wrong password from KE2 alone: it need not go on."""
    async with knock(door) as client:
        await client.challenge()
        assert door.level() == 0.0
    await until(lambda: door.level() == 1.0)


async def test_a_wrong_password_counts_once(door: Door) -> None:
    assert await refusal(door, password="wrong") == "told by the client itself"
    await until(lambda: door.level() == 1.0)
    assert await guess(door) == "wamp.error.authentication_failed"
    assert door.level() == 2.0


async def test_a_valid_answer_takes_back_its_own_attempt_only(door: Door) -> None:
    async with knock(door) as first, knock(door) as second, knock(door) as third:
        await first.challenge()
        await second.challenge()
        await third.challenge()
        await second.answer()
        assert door.level() == 0.0
        await first.cut()
        await until(lambda: door.level() == 1.0)
        await third.answer()
        assert door.level() == 1.0


async def test_a_login_that_takes_too_long_ends_and_counts(open_door: Any) -> None:
    door = await open_door(LOGIN_TIMEOUT=0.05)
    async with knock(door) as client:
        await client.challenge()
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == exc.Timeout.uri
        assert await client.closed() == 1008
    assert door.level() == 1.0


async def test_there_is_one_guess_a_challenge(door: Door) -> None:
    async with knock(door) as client:
        await client.challenge()
        await client.send(Authenticate("", {"ke3": bytes(64)}))
        await client.send(Authenticate("", client.ke3()))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason in ("wamp.error.authentication_failed", "wamp.error.protocol_violation")
        with pytest.raises(Refused, match="None"):  # closed
            await client.receive()
    assert not door.hub.tabs


async def test_sixteen_logins_of_an_origin_may_be_pending(open_door: Any) -> None:
    door = await open_door(**NO_LIMITS)
    async with contextlib.AsyncExitStack() as stack:
        pending = [await stack.enter_async_context(knock(door)) for _ in range(17)]
        for n, client in enumerate(pending[:16]):
            await client.challenge(f"name{n}")
        assert await refusal(door) == exc.Abusive.uri
        assert await refusal(door, origin="127.0.0.2") == ""
        await pending[0].cut()
        await until(lambda: door.level() == 1.0)
        await pending[16].challenge()
        assert (await pending[16].answer()).details["authid"] == "ada"


# -- whom it meets ----------------------------------------------------------------------------------------------
async def test_ten_colleagues_who_log_in_at_once_are_not_refused(open_door: Any) -> None:
    class Office(Door):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, users={f"user{n}": ["user"] for n in range(10)})

    door = await open_door(Office)
    async with contextlib.AsyncExitStack() as stack:
        office = [await stack.enter_async_context(knock(door)) for _ in range(10)]
        await asyncio.gather(*(client.challenge(f"user{n}") for n, client in enumerate(office)))
        welcomes = await asyncio.gather(*(client.answer() for client in office))
        assert sorted(w.details["authid"] for w in welcomes) == sorted(door.users)
        assert door.level() == 0.0
        assert [await client.call("secret") for client in office] == ["sealed"] * 10


async def test_ten_wrong_passwords_shut_the_origin_out_and_nobody_else(open_door: Any) -> None:
    door = await open_door(**NO_DELAYS)
    async with (
        knock(door) as colleague,
        knock(door, sealed=False) as visitor,
        knock(door) as leaving,
        knock(door) as late,
    ):
        await colleague.login()
        await visitor.anonymous()
        await leaving.login("bob")
        slot = await leaving.open_slot()
        await late.challenge("bob")
        for n in range(11):  # the first has faded a little when the tenth comes
            assert await guess(door, f"name{n}") == "wamp.error.authentication_failed"
        # Logins and anonymous calls are refused,
        async with knock(door) as client:
            with pytest.raises(Refused) as refused:
                await client.challenge()
            assert refused.value.reason == exc.Abusive.uri
            assert 0 < refused.value.abort.details["retry_after"] <= 600  # type: ignore[union-attr]
        async with knock(door, sealed=False) as client:
            with pytest.raises(Refused) as refused:
                await client.anonymous()
            assert refused.value.reason == exc.Abusive.uri
        assert await visitor.call("add", 1) == exc.Abusive.uri
        level = door.level()
        assert level == pytest.approx(11, abs=0.2)  # and to be refused costs nothing more.
        # A sealed session that behaves goes on, a login under way ends well, and a resume passes,
        assert await colleague.call("secret") == "sealed"
        assert (await late.answer()).details["authid"] == "bob"
        await leaving.cut()
        async with knock(door) as returning:
            await returning.resume(slot)
            assert await returning.call("secret") == "sealed"
        # and at another address nothing has happened.
        assert await refusal(door, origin="127.0.0.2") == ""
        async with knock(door, sealed=False, origin="127.0.0.2") as client:
            await client.anonymous()
            assert await client.call("add", 1) == 1


async def test_limits_may_differ_by_domain(open_door: Any) -> None:
    class Clinic(Door):
        def extend(self, app: Any) -> None:
            app.add_domain("clinic.example")
            app.config.domain("clinic.example").MAX_ORIGIN_ABUSE_LEVEL = 2.0
            self.add_user(app, "ada", ["user"], "clinic.example")

    door = await open_door(Clinic, **NO_DELAYS)
    for n in range(3):
        async with knock(door, domain="clinic.example") as client:
            with pytest.raises(Refused):
                await client.guess(f"name{n}")
    async with knock(door, domain="clinic.example") as client:
        with pytest.raises(Refused, match=exc.Abusive.uri):
            await client.challenge()
    assert door.level(domain="clinic.example") == 3.0
    assert door.level() == 0.0
    assert await refusal(door) == ""


async def test_past_the_soft_limit_a_login_is_answered_later(open_door: Any) -> None:
    door = await open_door(SOFT_ORIGIN_ABUSE_LEVEL=1.0)
    for n in range(3):
        await guess(door, f"name{n}")
    started = time.monotonic()
    assert await refusal(door) == ""
    assert time.monotonic() - started >= 0.19
    started = time.monotonic()
    assert await refusal(door, origin="127.0.0.2") == ""


# -- accounts ---------------------------------------------------------------------------------------------------
async def test_an_account_is_slowed_after_five_tries_but_not_for_who_was_here_before(open_door: Any) -> None:
    door = await open_door(**NO_LIMITS)
    assert await refusal(door, origin="127.0.0.3") == ""  # ada's own place
    for n in range(5):
        assert await guess(door, origin=f"127.0.1.{n}") == "wamp.error.authentication_failed"
    for origin in ("127.0.1.0", "127.0.0.9"):  # from wherever the sixth comes
        async with knock(door, origin=origin) as client:
            with pytest.raises(Refused) as refused:
                await client.challenge()
            assert refused.value.reason == exc.Abusive.uri
            assert 0 < refused.value.abort.details["retry_after"] <= 1.0  # type: ignore[union-attr]
            assert door.level(origin=origin) <= 1.0  # being told to wait is no offence
    assert await refusal(door, origin="127.0.0.3") == ""
    assert await refusal(door, "bob", origin="127.0.1.0") == ""
    # A known pair has a counter of its own, which slows it as well.
    for _ in range(5):
        await guess(door, origin="127.0.0.3")
    assert await refusal(door, origin="127.0.0.3") == exc.Abusive.uri


async def test_a_name_that_nobody_has_is_slowed_just_so(open_door: Any) -> None:
    door = await open_door(**NO_LIMITS)
    for _ in range(5):
        assert await guess(door, "nobody") == "wamp.error.authentication_failed"
    assert await refusal(door, "nobody") == exc.Abusive.uri
    assert await refusal(door, "nobody else") == "told by the client itself"


# -- what nobody can tell ---------------------------------------------------------------------------------------
@ENCODINGS
async def test_an_unknown_user_and_a_wrong_password_look_alike(open_door: Any, encoding: str) -> None:
    """The same messages of the same sizes, and the same entries in the ledger."""
    door = await open_door(**NO_LIMITS)
    door.app.vault.accounts.put(replace(account(door.app, "out", ["user"]), disabled=True))
    door.app.vault.accounts.put(replace(account(door.app, "bad", ["user"]), record=bytes(192)))
    door.app.vault.accounts.put(replace(account(door.app, "old", ["user"]), key_number=7))
    seen = {}
    for number, user in enumerate(["ada", "who", "out", "bad", "old"]):
        origin = f"127.0.2.{number}"
        door.hub.gate.ledger.dirty()
        async with knock(door, encoding, origin=origin) as client:
            challenge = await client.challenge(user)
            await client.send(Authenticate("", {"ke3": bytes(64)}))
            with pytest.raises(Refused) as refused:
                await client.receive()
            code = await client.closed()
        rows = sorted((r.domain, r.scope, len(r.key), shape(r.data)) for r in door.hub.gate.ledger.dirty())
        frames = len(challenge), refused.value.frame, code
        seen[user] = (frames, rows, door.level(origin=origin))
    assert all(looks == seen["who"] for looks in seen.values()), seen
    assert not door.hub.tabs


def shape(data: str | None) -> str:
    """A ledger's row without its times."""
    return re.sub(r"\d{9,}[.\d]*", "time", data or "")


async def test_the_right_password_of_another_domain_is_a_wrong_one_here(open_door: Any) -> None:
    class Clinic(Door):
        def extend(self, app: Any) -> None:
            app.add_domain("clinic.example")
            self.add_user(app, "carla", ["user"], "clinic.example")

    door = await open_door(Clinic)
    async with knock(door) as client:
        await client.challenge("carla", domain="clinic.example")
        with pytest.raises(exc.InvalidCredential):
            client.ke3()
    async with knock(door, domain="clinic.example") as client:
        assert (await client.login("carla")).details["realm"] == "clinic.example"


@pytest.mark.parametrize("realm", ["elsewhere.example", "clinic.example", "LOCALHOST"])
async def test_a_wrong_domain_looks_like_a_wrong_password(open_door: Any, realm: str) -> None:
    """Whether it is not ours, ours but not the one of this address, or not in its one form."""

    class Clinic(Door):
        def extend(self, app: Any) -> None:
            app.add_domain("clinic.example")
            self.add_user(app, "ada", ["user"], "clinic.example")

    door = await open_door(Clinic)
    async with knock(door) as client:
        await client.send(hello(client, realm))
        with pytest.raises(Refused) as refused:
            await answer_anything(client)
    async with knock(door) as client:
        with pytest.raises(Refused) as wrong:
            await client.guess()
    assert refused.value.frame == wrong.value.frame


def hello(client: Knock, realm: str = "localhost", **details: Any) -> Hello:
    """A HELLO that asks for a login, but for *details*."""
    entropy = bytes(range(128))
    machine = ClientLogin("ada", "x", domain="localhost", subprotocol=client.subprotocol, entropy=entropy)
    usual = {"roles": ROLES, "authmethods": ["opaque"], "authid": "ada", "authextra": machine.extra}
    return Hello(realm, usual | details)


async def answer_anything(client: Knock) -> None:
    """Goes on with a login to the end that it must come to."""
    await client.receive()
    await client.send(Authenticate("", {"ke3": bytes(64)}))
    await client.receive()


# -- what is no login -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["Ada", " ada", "", "a\x00da", "ａｄａ", "x" * 256, None, 7, ["ada"]])
async def test_a_name_that_is_none_is_refused(door: Door, name: Any) -> None:
    async with knock(door) as client:
        await client.send(hello(client, authid=name))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == "wamp.error.authentication_failed"
        assert await client.closed() == 1008


@pytest.mark.parametrize(
    "extra", [None, {}, {"ke1": b""}, {"ke1": bytes(95)}, {"ke1": bytes(96)}, {"ke1": b"\xff" * 96}, {"ke1": "x" * 96}]
)
async def test_a_first_message_that_is_none_is_refused(door: Door, extra: Any) -> None:
    async with knock(door) as client:
        await client.send(hello(client, authextra=extra))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == "wamp.error.authentication_failed"
    assert door.level() == 1.0


@pytest.mark.parametrize(
    "message",
    [
        Authenticate("", {}),
        Authenticate("", {"ke3": bytes(63)}),
        Authenticate("x" * 64, {"ke3": "x" * 64}),
        Hello("localhost", {"roles": ROLES}),
        Goodbye({}, "wamp.close.normal"),
        Subscribe(1, {}, "news"),
        Welcome(1, {}),
    ],
)
async def test_an_answer_that_is_none_is_refused(door: Door, message: Any) -> None:
    async with knock(door) as client:
        await client.challenge()
        await client.send(message)
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == "wamp.error.authentication_failed"
    assert door.level() == 1.0
    assert not door.hub.tabs


@pytest.mark.parametrize(
    "methods", [None, [], ["anonymous"], ["opaque", "resume"], ["wampcra"], "opaque", [["opaque"]]]
)
async def test_a_sealed_subprotocol_has_two_ways_in(door: Door, methods: Any) -> None:
    async with knock(door) as client:
        await client.send(hello(client, authmethods=methods))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == "wamp.error.no_matching_auth_method"


async def test_a_plain_subprotocol_takes_no_login(door: Door) -> None:
    """No falling back: nobody can be talked into a login that is not sealed."""
    async with knock(door, sealed=False) as client:
        await client.send(hello(client))
        with pytest.raises(Refused) as refused:
            await client.receive()
        assert refused.value.reason == "wamp.error.no_matching_auth_method"


# -- while it waits ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["a new password", "a new password of the same letters", "removed", "disabled"])
async def test_what_becomes_of_a_user_while_a_login_waits_ends_it(door: Door, what: str) -> None:
    accounts = door.app.vault.accounts
    async with knock(door) as client:
        await client.challenge()
        if what == "removed":
            accounts.remove("localhost", "ada")
        elif what == "disabled":
            accounts.put(replace(accounts.get("localhost", "ada"), disabled=True))  # type: ignore[type-var]
        else:
            password = PASSWORD if "same" in what else "battery staple"
            accounts.put(account(door.app, "ada", ["user"], password=password))
        with pytest.raises(Refused) as refused:
            await client.answer()
        assert refused.value.reason == "wamp.error.authentication_failed"
    assert not door.hub.tabs


async def test_an_account_is_read_once_where_none_has_changed(door: Door) -> None:
    accounts, get = door.app.vault.accounts, door.app.vault.accounts.get
    reads: list[tuple[str, ...]] = []

    def counted(*who: str) -> Any:
        reads.append(who)
        return get(*who)

    accounts.get = counted  # type: ignore[method-assign]
    async with knock(door) as client:
        await client.login()
    assert reads == [("localhost", "ada")]


async def test_a_user_who_is_removed_in_the_last_moment_does_not_get_in(door: Door) -> None:
    """The end of a user's sessions may come between reading the account and the session's beginning."""
    accounts, get = door.app.vault.accounts, door.app.vault.accounts.get

    def get_and_lose(*who: str) -> Any:
        found = get(*who)
        if found is not None:
            door.app.auth.remove_user("ada")
        return found

    async with knock(door) as client:
        await client.challenge()
        door.app.auth.set_roles("bob", ["nurse"])  # something has changed: the account is looked at again
        accounts.get = get_and_lose  # type: ignore[method-assign]
        with pytest.raises(Refused, match="authentication_failed"):
            await client.answer()
    assert not door.hub.tabs


async def test_roles_are_those_at_the_end_of_the_login(door: Door) -> None:
    async with knock(door) as client:
        await client.challenge()
        await asyncio.to_thread(door.app.auth.set_roles, "ada", ["visitor"])
        assert (await client.answer()).details["x_roles"] == ["visitor"]
