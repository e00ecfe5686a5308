"""Several servers on one PostgreSQL database: what one of them ends is over on the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from knock import PASSWORD, Door, Refused, account, knock
from returning import UNKNOWN, lost, resumed, signed_in
from test_cryptosign import sign_in
from test_login_key import login as login_with_key
from waiting import until

from limen import DataStore, dbm, exc
from limen.core.guard.ledger import Kind


class Shared(Door):
    """A server on a database that others use, too."""

    def __init__(self, keys: Path, url: str) -> None:
        super().__init__(keys)
        self.url_of_store = url

    async def start(self) -> None:
        self.store = DataStore(dbm.SQLStore(self.url_of_store))
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        self.store.storage.close()


@pytest.fixture
async def doors(tmp_path: Path, postgresql_url: str) -> AsyncIterator[tuple[Shared, Shared]]:
    here, there = Shared(tmp_path / "keys", postgresql_url), Shared(tmp_path / "keys", postgresql_url)
    await here.start()
    await there.start()
    yield here, there
    await there.stop()
    await here.stop()


async def test_a_session_may_come_back_at_another_server(doors: tuple[Shared, Shared]) -> None:
    here, there = doors
    async with knock(here) as client:
        slot = await signed_in(here, client)
        await lost(here, client)
    assert await resumed(there, slot) == ""


@pytest.mark.parametrize("what", ["a new password", "removed", "disabled"])
async def test_what_becomes_of_a_user_at_one_server_ends_the_sessions_at_the_others(
    doors: tuple[Shared, Shared], what: str
) -> None:
    here, there = doors
    auth = here.app.auth
    async with knock(there) as with_slot, knock(there) as without, knock(there) as other:
        slot = await signed_in(there, with_slot)
        await without.login()
        await signed_in(there, other, "bob")
        if what == "removed":
            assert await asyncio.to_thread(auth.remove_user, "ada")
        elif what == "disabled":
            await asyncio.to_thread(auth.disable, "ada")
        else:
            await asyncio.to_thread(auth.set_password, "ada", "battery staple")
        assert await resumed(there, slot) == UNKNOWN  # at once
        assert (await with_slot.farewell()).reason == "wamp.close.logout"
        assert (await without.farewell()).reason == "wamp.close.logout"
        assert await other.call("secret") == "sealed"
        async with knock(there) as again:
            with pytest.raises((Refused, exc.InvalidCredential)):
                await again.login()


@pytest.mark.parametrize("what", ["its key was removed", "disabled"])
async def test_what_becomes_of_a_machine_at_one_server_ends_its_sessions_at_the_others(
    doors: tuple[Shared, Shared], what: str
) -> None:
    here, there = doors
    auth = here.app.auth
    auth.add_machine("pump")
    sealed, plain, other = (auth.add_key("pump", kind=kind) for kind in ("x25519", "ed25519", "x25519"))
    async with knock(there) as one, knock(there, sealed=False) as two, knock(there) as three:
        await login_with_key(one, sealed)
        await sign_in(two, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(plain.private)))
        await login_with_key(three, other)
        if what == "disabled":
            await asyncio.to_thread(auth.disable, "pump")
        else:
            for key in (sealed, plain):
                await asyncio.to_thread(auth.remove_key, key.id)
        assert (await one.farewell()).reason == "wamp.close.logout"
        assert (await two.farewell()).reason == "wamp.close.logout"
        if what == "disabled":
            assert (await three.farewell()).reason == "wamp.close.logout"
        else:
            assert await three.call("secret") == "sealed"


async def test_a_new_epoch_that_one_server_begins_ends_the_sessions_of_all(doors: tuple[Shared, Shared]) -> None:
    """The database was put back from a backup: the server that notices says it to the others by the epoch."""
    here, there = doors
    async with knock(there) as client:
        slot = await signed_in(there, client)
        here.app.vault.meta.set("epoch", "7")
        assert (await client.farewell()).reason == "wamp.close.logout"
    assert there.hub.gate.epoch == 7
    assert await resumed(there, slot) == UNKNOWN
    async with knock(there) as client:
        fresh = await signed_in(there, client)
        assert fresh.epoch == 7
        await lost(there, client)
    await until(lambda: here.hub.gate.epoch == 7)
    assert await resumed(here, fresh) == ""


async def test_the_second_server_on_a_machine_leaves_the_control_socket_to_the_first(
    doors: tuple[Shared, Shared], postgresql_url: str, tmp_path: Path
) -> None:
    from limen.cli.operate import operator

    _, there = doors
    (socket,) = tmp_path.glob("*.sock")
    await there.stop()
    assert socket.exists()

    def users() -> Any:
        with operator(postgresql_url, str(tmp_path / "keys")) as operate:
            return [row["user"] for row in operate("user.list")]

    assert await asyncio.to_thread(users) == ["ada", "bob"]
    await there.start()


async def test_who_changes_the_password_stays(doors: tuple[Shared, Shared]) -> None:
    here, there = doors
    for slot in (False, True):
        async with knock(here) as mine, knock(there) as other:
            for client in (mine, other):
                await client.login("ada", "battery staple" if slot else PASSWORD)
            if slot:
                await mine.open_slot()
            record = account(here.app, "ada", [], password="battery staple").record
            assert await mine.call("limen.password.finish", record) is None
            assert (await other.farewell()).reason == "wamp.close.logout"
            assert await mine.call("secret") == "sealed"


async def test_an_origin_that_one_server_refuses_is_refused_by_the_others(doors: tuple[Shared, Shared]) -> None:
    here, there = doors
    for _ in range(3):
        here.hub.gate.charge("localhost", "192.0.2.1", Kind.MALFORMED)
    assert here.hub.gate.refused("localhost", "192.0.2.1") is not None
    await until(lambda: there.hub.gate.refused("localhost", "192.0.2.1") is not None)
    assert there.hub.gate.refused("localhost", "192.0.2.2") is None
