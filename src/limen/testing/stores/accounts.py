"""What holds of accounts on every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from limen.base.principal import Principal, State, current
from limen.store.accounts import ACCOUNT, LOGIN, PROFILE, Accounts
from limen.store.rows import key
from limen.store.slots import Slots

from .people import ADA, THREADS, PeopleSuite, a_slot


class AccountStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.AccountStore`."""

    @pytest.mark.parametrize("removed", [False, True], ids=["there", "removed before"])
    def test_who_is_erased_has_left_no_name(self, store: Any, accounts: Accounts, removed: bool) -> None:
        accounts.put(ADA)
        accounts.update("localhost", "ada", roles=("nurse",), reason="roles")
        if removed:
            accounts.remove("localhost", "ada", reason="removed")
        assert accounts.remove("localhost", "ada", reason="erase a person", erase=True) is True
        assert accounts.get("localhost", "ada") is None
        for model in (ACCOUNT, PROFILE):
            history = store.records.history("localhost", model, key("ada"))
            assert history
            assert all(version.erased and version.fields == "{}" for version, _ in history)
        last = store.records.last("localhost")
        assert store.records.transaction("localhost", last).reason == "erase a person"
        assert accounts.remove("localhost", "ada", erase=True) is False
        assert store.records.last("localhost") == last
        assert accounts.put(ADA, create=True) is True, "the name may be given to somebody else"
        assert accounts.get("localhost", "ada") == ADA

    def test_an_account_comes_back_as_it_was_put(self, accounts: Accounts) -> None:
        assert accounts.put(ADA) is True
        assert accounts.get("localhost", "ada") == ADA

    def test_unknown_users_and_other_domains_have_none(self, accounts: Accounts) -> None:
        accounts.put(ADA)
        assert accounts.get("localhost", "bob") is None
        assert accounts.get("other.example", "ada") is None

    def test_put_replaces_and_create_does_not(self, accounts: Accounts) -> None:
        accounts.put(ADA)
        changed = replace(ADA, record=b"new", key_number=2, roles=(), profile={}, disabled=True)
        assert accounts.put(changed, create=True) is False
        assert accounts.get("localhost", "ada") == ADA
        assert accounts.put(changed) is True
        assert accounts.get("localhost", "ada") == changed

    def test_update_changes_what_is_named_and_nothing_else(self, accounts: Accounts) -> None:
        accounts.put(ADA)
        changed = replace(ADA, roles=("nurse",), disabled=True)
        assert accounts.update("localhost", "ada", roles=("nurse",), disabled=True) == changed
        assert accounts.get("localhost", "ada") == changed
        renamed = replace(changed, profile={"name": "Ada L."})
        assert accounts.update("localhost", "ada", profile={"name": "Ada L."}) == renamed
        assert accounts.update("localhost", "bob", disabled=True) is None
        assert accounts.get("localhost", "bob") is None

    def test_a_change_of_roles_does_not_bring_the_old_password_back(self, accounts: Accounts) -> None:
        """Two change one account at once, each another part of it: neither undoes the other's."""
        accounts.put(ADA)

        def change(number: int) -> None:
            for step in range(10):
                if number % 2:
                    accounts.update("localhost", "ada", roles=(str(number), str(step)))
                else:
                    accounts.update("localhost", "ada", record=bytes([number, step]))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(change, (1, 2)))
        now = accounts.get("localhost", "ada")
        assert now is not None
        assert (now.roles, now.record) == (("1", "9"), bytes([2, 9]))

    def test_changes_tells_whether_there_were_any(self, accounts: Accounts) -> None:
        seen = [accounts.changes]
        accounts.put(ADA)
        seen.append(accounts.changes)
        accounts.update("localhost", "ada", disabled=True)
        seen.append(accounts.changes)
        accounts.remove("localhost", "ada")
        seen.append(accounts.changes)
        assert len(set(seen)) == 4
        accounts.remove("localhost", "ada")
        accounts.update("localhost", "ada", disabled=True)
        assert accounts.changes == seen[-1]

    def test_where_others_may_change_accounts_changes_is_never_the_same(self, store: Any) -> None:
        accounts = Accounts(store.records, alone=False)
        assert accounts.changes != accounts.changes

    def test_of_many_who_create_one_account_one_gets_it(self, accounts: Accounts) -> None:
        wanted = [replace(ADA, key_number=number) for number in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda a: accounts.put(a, create=True), wanted))
        assert done.count(True) == 1
        assert accounts.get("localhost", "ada") == wanted[done.index(True)]

    def test_remove_forgets_the_account_and_in_the_same_transaction_its_slots(
        self, store: Any, accounts: Accounts, slots: Slots
    ) -> None:
        accounts.put(ADA)
        accounts.put(replace(ADA, user="bob"))
        slots.put(a_slot(1))
        slots.put(a_slot(2, user="bob"))
        before = store.records.last("localhost")
        assert accounts.remove("localhost", "ada") is True
        assert store.records.last("localhost") == before + 1
        assert accounts.remove("localhost", "ada") is False
        assert accounts.remove("nowhere.example", "ada") is False
        assert accounts.get("localhost", "ada") is None
        assert [slot.user for slot in slots.list()] == ["bob"]

    def test_a_user_who_was_removed_may_be_added_again(self, accounts: Accounts, slots: Slots) -> None:
        for _ in range(3):
            assert accounts.put(ADA, create=True)
            assert slots.put(a_slot(1), at_most=1)
            assert accounts.get("localhost", "ada") == ADA
            assert accounts.remove("localhost", "ada")

    def test_list_is_ordered_and_by_domain(self, accounts: Accounts) -> None:
        for domain, user in (("b.example", "x"), ("a.example", "z"), ("a.example", "y")):
            accounts.put(replace(ADA, domain=domain, user=user))
        assert [(a.domain, a.user) for a in accounts.list()] == [
            ("a.example", "y"),
            ("a.example", "z"),
            ("b.example", "x"),
        ]
        assert [a.user for a in accounts.list("a.example")] == ["y", "z"]
        assert accounts.list("c.example") == []

    def test_who_changed_whose_roles_and_when_is_kept(self, store: Any, accounts: Accounts) -> None:
        accounts.put(ADA, reason="added")
        token = current.set(State(Principal("localhost", "192.0.2.1", user="root"), service="users.promote"))
        try:
            accounts.update("localhost", "ada", reason="roles", roles=("nurse",))
        finally:
            current.reset(token)
        history = store.records.history("localhost", ACCOUNT, key("ada"))
        assert [(by.user, by.service, by.origin, by.reason) for _, by in history] == [
            (None, "", "", "added"),
            ("root", "users.promote", "192.0.2.1", "roles"),
        ]
        assert ['"nurse"' in version.fields for version, _ in history] == [False, True]

    def test_a_caller_of_another_domain_is_not_named(self, store: Any, accounts: Accounts) -> None:
        token = current.set(State(Principal("other.example", "192.0.2.1", user="root"), service="users.add"))
        try:
            accounts.put(ADA, reason="added")
        finally:
            current.reset(token)
        ((_, by),) = store.records.history("localhost", ACCOUNT, key("ada"))
        assert (by.user, by.origin, by.reason) == (None, "", "added")

    def test_what_a_password_was_is_in_no_history(self, store: Any, accounts: Accounts) -> None:
        accounts.put(replace(ADA, record=b"the old one" * 9))
        accounts.update("localhost", "ada", record=b"the new one" * 9, reason="password")
        assert len(store.records.history("localhost", LOGIN, key("ada"))) == 1
        told = store.records.history("localhost", ACCOUNT, key("ada"))
        assert ['"passwords":1' in told[0][0].fields, '"passwords":2' in told[1][0].fields] == [True, True]
        assert told[1][1].reason == "password"
        accounts.remove("localhost", "ada")
        assert store.records.history("localhost", LOGIN, key("ada")) == []
        assert store.records.read("localhost", LOGIN, key("ada"))[1] is None

    def test_of_a_profile_nothing_is_left_when_the_account_is_removed(self, store: Any, accounts: Accounts) -> None:
        accounts.put(ADA)
        accounts.update("localhost", "ada", profile={"name": "Ada Lovelace"})
        assert "Lovelace" in store.records.read("localhost", PROFILE, key("ada"))[1].fields
        accounts.remove("localhost", "ada")
        history = [version.fields for version, _ in store.records.history("localhost", PROFILE, key("ada"))]
        assert not any("Ada" in fields or "Lovelace" in fields for fields in history)

    def test_what_changes_nothing_makes_no_history(self, store: Any, accounts: Accounts) -> None:
        accounts.put(ADA)
        accounts.put(ADA)
        for model in (ACCOUNT, PROFILE):
            assert len(store.records.history("localhost", model, key("ada"))) == 1

    def test_accounts_are_there_after_opening_again(self, store: Any, accounts: Accounts) -> None:
        accounts.put(ADA)
        other = self.again(store)
        if other is not None:
            assert Accounts(other.records).get("localhost", "ada") == ADA
            other.close()
