"""What holds of keys of machines, on every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from limen.core.guard.accounts import MachineKey
from limen.store.accounts import Accounts
from limen.store.machinekeys import KEY, KEYS, MachineKeys
from limen.store.rows import key

from .people import ADA, THREADS, PeopleSuite


def a_key(number: int, user: str = "ada", domain: str = "localhost") -> MachineKey:
    return MachineKey(domain, user, bytes([number] * 16), "x25519", bytes([number] * 32), 2, 12.5)


class KeyStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.KeyStore`."""

    def test_a_key_comes_back_as_it_was_put(self, machines: MachineKeys) -> None:
        assert machines.put(a_key(1)) is True
        assert machines.get("localhost", a_key(1).id) == a_key(1)
        assert machines.get("localhost", bytes(16)) is None
        assert machines.get("other.example", a_key(1).id) is None

    def test_a_key_is_never_written_over(self, machines: MachineKeys) -> None:
        machines.put(a_key(1))
        assert machines.put(replace(a_key(1), user="eve", public=bytes(32))) is False
        assert machines.get("localhost", a_key(1).id) == a_key(1)
        assert machines.list("localhost", "eve") == []

    def test_an_account_may_have_several_and_loses_one_at_a_time(self, machines: MachineKeys) -> None:
        for number in (1, 2):
            machines.put(a_key(number))
        machines.put(a_key(3, user="bob"))
        assert machines.list("localhost", "ada") == [a_key(1), a_key(2)]
        assert machines.remove("localhost", a_key(1).id) == a_key(1)
        assert machines.remove("localhost", a_key(1).id) is None
        assert machines.remove("other.example", a_key(2).id) is None
        assert machines.list() == [a_key(2), a_key(3, user="bob")]

    def test_many_who_add_keys_at_once_all_have_them(self, machines: MachineKeys) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(lambda n: machines.put(a_key(n)), range(THREADS)))
        assert len(machines.list("localhost", "ada")) == THREADS

    def test_keys_end_with_their_account_in_the_same_transaction(
        self, store: Any, accounts: Accounts, machines: MachineKeys
    ) -> None:
        accounts.put(ADA)
        for number in (1, 2):
            machines.put(a_key(number))
        machines.put(a_key(3, user="bob"))
        before = store.records.last("localhost")
        assert accounts.remove("localhost", "ada") is True
        assert store.records.last("localhost") == before + 1
        assert machines.list() == [a_key(3, user="bob")]
        assert machines.put(a_key(1, user="bob")) is True, "its id is nobody's any more"

    def test_of_a_key_that_was_removed_nothing_is_left(self, store: Any, machines: MachineKeys) -> None:
        machines.put(a_key(1))
        machines.remove("localhost", a_key(1).id)
        assert store.records.history("localhost", KEY, a_key(1).id) == []
        assert store.records.history("localhost", KEYS, key("ada")) == []

    def test_other_servers_hear_of_a_removed_key(self, store: Any, machines: MachineKeys) -> None:
        accounts, shared = Accounts(store.records, alone=False), MachineKeys(store.records, alone=False)
        machines.put(a_key(1))
        machines.put(a_key(2))
        number, _ = accounts.ended("localhost", None)
        machines.remove("localhost", a_key(1).id)
        assert accounts.ended("localhost", number) == (number, [])
        shared.remove("localhost", a_key(2).id)
        assert accounts.ended("localhost", number) == (number + 1, ["ada"])
