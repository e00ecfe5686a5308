"""Profiles in a store of their own: an account is changed in both stores, or in neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from copies import ADA, Stopped, Stopping, records, steps

from limen import exc
from limen.store.accounts import PROFILE, Accounts
from limen.store.rows import key


def test_a_profile_may_be_kept_elsewhere() -> None:
    permission, profile = records(), records()
    accounts = Accounts(permission, profile)
    assert accounts.put(ADA, create=True)
    assert accounts.get("localhost", "ada") == ADA
    assert accounts.list() == [ADA]
    assert '"Ada"' in profile.read("localhost", PROFILE, key("ada"))[1].fields
    changed = accounts.update("localhost", "ada", profile={"name": "Ada L."}, roles=("admin",))
    assert accounts.get("localhost", "ada") == changed == replace(ADA, profile={"name": "Ada L."}, roles=("admin",))
    assert accounts.remove("localhost", "ada")
    assert accounts.get("localhost", "ada") is None
    assert profile.read("localhost", PROFILE, key("ada"))[1] is None
    assert accounts.put(ADA, create=True)
    assert accounts.get("localhost", "ada") == ADA


@pytest.mark.parametrize("what", ["put", "update", "remove"])
def test_an_account_is_changed_in_both_stores_or_in_neither_wherever_a_machine_stops(what: str) -> None:
    last, stopped, seen = 0, True, set()
    changed = replace(ADA, roles=("admin",), profile={"name": "Ada L."})
    while stopped:
        permission, profile = records(), records()
        if what != "put":
            Accounts(permission, profile).put(ADA)
        until = steps(last)
        accounts = Accounts(Stopping(permission, until), Stopping(profile, until))
        try:
            if what == "put":
                accounts.put(changed)
            elif what == "update":
                accounts.update("localhost", "ada", roles=changed.roles, profile=changed.profile)
            else:
                accounts.remove("localhost", "ada")
            stopped = False
        except Stopped:
            pass
        found = Accounts(permission, profile).get("localhost", "ada")
        assert found in ((None, changed) if what == "put" else (ADA, changed) if what == "update" else (ADA, None))
        seen.add(found is not None and found.roles)
        again = Accounts(permission, profile)
        again.recover()
        there = profile.read("localhost", PROFILE, key("ada"))[1]
        assert (there is not None) == (found is not None)
        assert found is None or f'"{found.profile["name"]}"' in there.fields
        last += 1
    assert len(seen) == 2


def test_who_reads_an_account_waits_for_its_profile_or_hears_that_it_is_not_there() -> None:
    permission, profile = records(), records()
    with pytest.raises(Stopped):
        Accounts(permission, Stopping(profile, steps(0))).put(ADA)
    with pytest.raises(Stopped):  # the store of profiles is still away: no account without its profile
        Accounts(permission, Stopping(profile, steps(0))).get("localhost", "ada")
    assert Accounts(permission, profile).get("localhost", "ada") == ADA


def test_a_profile_store_that_fails_does_not_undo_what_was_decided() -> None:
    class Full:
        def __init__(self, records: Any) -> None:
            self._records = records

        def __getattr__(self, name: str) -> Any:
            if name != "commit":
                return getattr(self._records, name)
            raise exc.StoreError("the disk is full")

    permission, profile = records(), records()
    assert Accounts(permission, Full(profile)).put(ADA)
    assert Accounts(permission, profile).get("localhost", "ada") == ADA


def test_known_and_unknown_users_are_looked_up_alike() -> None:
    class Counting:
        def __init__(self, records: Any, calls: list[str]) -> None:
            self._records, self._calls = records, calls

        def __getattr__(self, name: str) -> Any:
            self._calls.append(name)
            return getattr(self._records, name)

    permission, profile = records(), records()
    Accounts(permission, profile).put(ADA)
    for store in (None, profile):
        asked = []
        for user in ("ada", "nobody"):
            calls: list[str] = []
            other = None if store is None else Counting(store, calls)
            accounts = Accounts(Counting(permission, calls), other)
            calls.clear()
            accounts.get("localhost", user)
            asked.append(calls)
        assert asked[0] == asked[1] == ["read"] * (1 if store is None else 2)
