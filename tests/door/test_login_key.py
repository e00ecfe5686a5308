"""Machines at the WebSocket door: a login with a key, which no password replaces, and its end."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from knock import ROLES, Door, Knock, Refused, knock
from waiting import until

from limen import exc
from limen.core.seal.login import ClientKey
from limen.core.seal.machine import Credentials
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import Authenticate, Challenge, Hello, Welcome


def robot(door: Door, **changes: Any) -> Credentials:
    """A new key of the account `robot`."""
    door.app.auth.add_machine("robot", roles=["machine"], profile={"place": "cellar"})
    return door.app.auth.add_key("robot", **changes)


async def hello_with(client: Knock, key: Credentials, **changes: Any) -> bytes:
    """HELLO of a login with *key*, not sent."""
    facts: dict[str, Any] = {"domain": client.domain, "subprotocol": client.subprotocol, "id": key.handle} | changes
    private = facts.pop("private", None) or key.key
    client._resume = ClientKey(private, key.server_key, entropy=secrets.token_bytes(32), **facts)
    details = {"roles": ROLES, "authmethods": ["key"], "authextra": client._resume.extra}
    client._hello = client.codec.encode(Hello(client.domain, details))
    return client._hello


async def login(client: Knock, key: Credentials, **changes: Any) -> Welcome:
    await client.write(await hello_with(client, key, **changes))
    return await client.answer_resume(await client._challenged())


async def refusal(client: Knock, key: Credentials, **changes: Any) -> bytes:
    """The ABORT with which a login is refused, as it came."""
    with pytest.raises(Refused) as refused:
        await login(client, key, **changes)
    return refused.value.frame


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_machine_comes_in_without_a_password(door: Door, encoding: str) -> None:
    key = robot(door)
    async with knock(door, encoding) as client:
        details = (await login(client, key)).details
        assert (details["authid"], details["authmethod"], details["authrole"]) == ("robot", "key", "machine")
        assert details["x_profile"] == {"username": "robot", "place": "cellar"}
        assert await client.call("secret") == "sealed"
    assert door.level() == 0.0


async def test_two_processes_with_one_key_are_two_sessions(door: Door) -> None:
    key = robot(door)
    async with knock(door) as one, knock(door) as two:
        for client in (one, two):
            await login(client, key)
        assert len(door.hub.tabs) == 2
        assert [await client.call("secret") for client in (one, two)] == ["sealed", "sealed"]


async def test_it_may_leave_a_slot_and_come_back_as_a_page_does(door: Door) -> None:
    key = robot(door)
    async with knock(door) as client:
        await login(client, key)
        slot = await client.open_slot()
        await client.cut()
        await until(lambda: all(tab.connection is None for tab in door.hub.tabs))
    async with knock(door) as client:
        assert (await client.resume(slot)).details["authmethod"] == "resume"


async def test_wrong_and_unknown_keys_are_told_alike_and_cost_one(door: Door) -> None:
    key, told = robot(door), []
    other = PrivateKey(secrets.token_bytes(32))
    for changes in ({"private": other}, {"id": bytes(16)}, {"domain": "other.example"}):
        async with knock(door) as client:
            told.append(await refusal(client, key, **changes))
    async with knock(door) as client:
        await refusal(client, door.app.auth.add_key("robot", kind="x25519", public=other.public), private=key.key)
    door.app.auth.disable("robot")
    async with knock(door) as client:
        told.append(await refusal(client, key))
    assert len(set(told)) == 1
    assert client.codec.decode(told[0]).reason == exc.InvalidCredential.uri  # type: ignore[union-attr]
    assert door.level() == 5.0


async def test_a_recorded_first_message_changes_nothing_and_costs_its_sender(door: Door) -> None:
    key = robot(door)
    async with knock(door) as owner:
        recorded = await hello_with(owner, key)
        await owner.write(recorded)
        await owner.answer_resume(await owner._challenged())
        async with knock(door, origin="127.0.0.9") as thief:
            await thief.write(recorded)
            await thief._challenged()
            await thief.send(Authenticate("", {}))
            with pytest.raises(Refused):
                await thief.receive()
        assert len(door.hub.tabs) == 1
        assert await owner.call("secret") == "sealed"
    assert (door.level("127.0.0.9"), door.level()) == (1.0, 0.0)


async def test_a_key_of_another_kind_opens_no_sealed_session(door: Door) -> None:
    """Not even where its bytes would do."""
    key, http = robot(door), door.app.auth.add_key("robot", kind="http")
    signing = door.app.auth.add_key("robot", kind="ed25519", public=key.key.public)
    async with knock(door) as one, knock(door) as two:
        await refusal(one, key, id=http.handle)
        await refusal(two, key, id=signing.handle)


async def test_a_key_of_one_tenant_is_none_at_another(door: Door) -> None:
    door.domains.append("other.example")
    door.app.add_domain("other.example")
    door.app.auth.add_machine("robot", domain="other.example")
    key = door.app.auth.add_key("robot", domain="other.example")
    async with knock(door) as client:
        await refusal(client, key)


async def test_a_removed_key_ends_its_sessions_and_no_other_key_s(door: Door) -> None:
    old, new = robot(door), robot(door)
    async with knock(door) as one, knock(door) as two:
        await login(one, old)
        slot = await one.open_slot()
        await login(two, new)
        kept = await two.open_slot()
        assert await asyncio.to_thread(door.app.auth.remove_key, old.id) is True
        assert (await one.farewell()).reason == "wamp.close.logout"
        assert await two.call("secret") == "sealed"
        assert [found.handle for found in door.slots()] == [kept.handle]
    async with knock(door) as client:
        with pytest.raises(Refused):
            await client.resume(slot)
    async with knock(door) as client:
        await refusal(client, old)
    assert await asyncio.to_thread(door.app.auth.remove_key, old.id) is False
    assert [key.id for key in door.app.auth.keys("robot")] == [new.handle]


async def test_a_slot_does_not_outlive_its_key_on_any_server(door: Door) -> None:
    """As a server does that another one of the same database has not told yet."""
    key = robot(door)
    async with knock(door) as client:
        await login(client, key)
        slot = await client.open_slot()
        await client.cut()
    door.app.vault.machines.remove("localhost", key.handle)
    async with knock(door) as client:
        with pytest.raises(Refused):
            await client.resume(slot)


async def test_a_key_removed_while_its_login_waits_lets_nobody_in(door: Door) -> None:
    key = robot(door)
    async with knock(door) as client:
        await client.write(await hello_with(client, key))
        challenge = await client._challenged()
        await asyncio.to_thread(door.app.auth.remove_key, key.id)
        with pytest.raises(Refused) as refused:
            await client.answer_resume(challenge)
        assert refused.value.reason == exc.InvalidCredential.uri
        assert len(door.hub.tabs) == 0


async def test_a_disabled_machine_is_out_at_once(door: Door) -> None:
    key = robot(door)
    async with knock(door) as client:
        await login(client, key)
        await asyncio.to_thread(door.app.auth.disable, "robot")
        assert (await client.farewell()).reason == "wamp.close.logout"


async def test_a_login_by_password_for_a_machine_is_like_one_for_nobody(door: Door) -> None:
    robot(door)
    sizes, told, levels = [], [], []
    for user, origin in (("robot", "127.0.0.7"), ("nobody", "127.0.0.8")):
        async with knock(door, origin=origin) as client:
            challenge = await client.challenge(user)
            message = client.codec.decode(challenge)
            assert type(message) is Challenge
            sizes.append(len(challenge))
            await client.send(Authenticate("", {"ke3": bytes(64)}))
            with pytest.raises(Refused) as refused:
                await client.receive()
            told.append(refused.value.frame)
        levels.append(door.level(origin))
    assert sizes[0] == sizes[1]
    assert told[0] == told[1]
    assert levels == [1.0, 1.0]


async def test_a_machine_sets_no_password(door: Door) -> None:
    key = robot(door)
    async with knock(door) as client:
        await login(client, key)
        assert await client.call("limen.password.begin", bytes(32)) == exc.Unauthorized.uri
