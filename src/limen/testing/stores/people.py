"""What holds of accounts, slots, the abuse ledger and settings on every store: they are records like all others.

`StoreSuite` has these suites in it; the fixture `store` is the one described there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from limen.base.principal import Principal, State, current
from limen.core.guard.accounts import Account, LedgerRow, Slot
from limen.core.record.port import Change, Transaction
from limen.store.accounts import ACCOUNT, LOGIN, PROFILE, Accounts
from limen.store.ledger import AbuseLedger
from limen.store.rows import everything, key
from limen.store.settings import Settings
from limen.store.slots import SLOT, SLOTS, Slots

ADA = Account("localhost", "ada", bytes(range(192)), 1, ("admin", "user"), {"name": "Ada", "n": [1]}, False, 12.25)
THREADS = 8


class _Suite:
    @pytest.fixture
    def accounts(self, store: Any) -> Accounts:
        return Accounts(store.records)

    @pytest.fixture
    def slots(self, store: Any) -> Slots:
        return Slots(store.records)

    @pytest.fixture
    def ledger(self, store: Any) -> AbuseLedger:
        return AbuseLedger(store.records)

    @pytest.fixture
    def settings(self, store: Any) -> Settings:
        return Settings(store.records)

    def again(self, store: Any) -> Any:
        """The same data, opened a second time; None for a store that forgets."""
        return None


class AccountStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.AccountStore`."""

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
        slots.put(_slot(1))
        slots.put(_slot(2, user="bob"))
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
            assert slots.put(_slot(1), at_most=1)
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


def _slot(number: int, **changes: Any) -> Slot:
    slot = Slot(
        bytes([number] * 16),
        "localhost",
        "ada",
        bytes(32),
        opened=100.0 + number,
        used=100.5 + number,
        login=90.125,
        epoch=1,
        origin="192.0.2.1",
    )
    return replace(slot, **changes)


class _Meanwhile:
    """The same records, but that something happens right before the first commit."""

    def __init__(self, records: Any, happens: Callable[[], None]) -> None:
        self._records, self._happens = records, [happens]

    def __getattr__(self, name: str) -> Any:
        if name == "commit" and self._happens:
            self._happens.pop()()
        return getattr(self._records, name)


class SlotStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.SlotStore`."""

    def test_a_slot_comes_back_as_it_was_put(self, slots: Slots) -> None:
        slot = _slot(1, key_number=3)
        assert slots.put(slot) is True
        assert slots.get("localhost", slot.handle) == slot
        assert slots.get("localhost", bytes(16)) is None
        slots.put(replace(slot, used=500.0))
        assert slots.get("localhost", slot.handle) == replace(slot, used=500.0)

    def test_a_slot_is_there_in_its_domain_only(self, slots: Slots) -> None:
        slots.put(_slot(1))
        assert slots.get("other.example", _slot(1).handle) is None
        assert slots.remove("other.example", _slot(1).handle) is False
        slots.touch("other.example", {_slot(1).handle: 999.0})
        assert slots.get("localhost", _slot(1).handle) == _slot(1)

    def test_a_user_has_at_most_so_many(self, slots: Slots) -> None:
        assert [slots.put(_slot(n), at_most=2) for n in (1, 2, 3)] == [True, True, False]
        assert slots.get("localhost", _slot(3).handle) is None
        assert slots.put(_slot(2, used=900.0), at_most=2) is True
        assert slots.put(_slot(3, user="bob"), at_most=2) is True
        assert slots.put(_slot(4, domain="other.example"), at_most=2) is True
        assert slots.count("localhost", "ada") == 2
        slots.remove("localhost", _slot(1).handle)
        assert slots.put(_slot(5), at_most=2) is True

    def test_of_many_who_want_the_last_slot_one_gets_it(self, slots: Slots) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: slots.put(_slot(n), at_most=3), range(THREADS)))
        assert done.count(True) == slots.count("localhost", "ada") == 3
        assert len(slots.list("localhost", "ada")) == len(slots.list("localhost")) == 3

    def test_removing_says_whether_there_was_one(self, slots: Slots) -> None:
        slots.put(_slot(1))
        assert slots.remove("localhost", _slot(1).handle) is True
        assert slots.remove("localhost", _slot(1).handle) is False
        assert slots.count("localhost", "ada") == 0

    def test_all_slots_of_a_user_end_but_the_one_that_is_kept(self, slots: Slots) -> None:
        for slot in (_slot(1), _slot(2), _slot(3), _slot(4, user="bob"), _slot(5, domain="other.example")):
            slots.put(slot)
        gone = slots.remove_user("localhost", "ada", keep=_slot(2).handle)
        assert sorted(gone) == [_slot(1).handle, _slot(3).handle]
        assert sorted(s.handle[0] for s in slots.list()) == [2, 4, 5]
        assert slots.remove_user("localhost", "ada") == [_slot(2).handle]
        assert slots.remove_user("localhost", "nobody") == []

    def test_no_slot_that_is_made_while_all_are_ended_is_lost_from_sight(self, slots: Slots) -> None:
        """Each is ended, or counted and ended next time."""

        def work(number: int) -> None:
            for step in range(8):
                if number % 2:
                    slots.put(replace(_slot(number), handle=bytes([number, step] * 8)))
                else:
                    slots.remove_user("localhost", "ada")

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        assert slots.list("localhost") == slots.list("localhost", "ada")
        slots.remove_user("localhost", "ada")
        assert slots.list("localhost") == []

    def test_a_row_that_was_removed_and_made_again_meanwhile_is_noticed(self, store: Any, slots: Slots) -> None:
        """Its version is the same; what was read is not there any more all the same."""
        slots.put(_slot(1))

        def meanwhile() -> None:
            slots.remove_user("localhost", "ada")
            slots.put(_slot(2))

        assert Slots(_Meanwhile(store.records, meanwhile)).put(_slot(3))
        assert [s.handle[0] for s in slots.list("localhost", "ada")] == [2, 3]
        assert slots.count("localhost", "ada") == 2

    def test_touch_is_a_batch_that_never_goes_back(self, store: Any, slots: Slots) -> None:
        slots.put(_slot(1))
        slots.put(_slot(2))
        before = store.records.last("localhost")
        slots.touch("localhost", {_slot(1).handle: 500.0, _slot(2).handle: 1.0, _slot(3).handle: 500.0})
        slots.touch("localhost", {})
        assert store.records.last("localhost") == before + 1
        assert slots.get("localhost", _slot(1).handle) == _slot(1, used=500.0)
        assert slots.get("localhost", _slot(2).handle) == _slot(2)
        assert slots.get("localhost", _slot(3).handle) is None

    def test_list_is_oldest_first_and_by_user(self, slots: Slots) -> None:
        for slot in (_slot(3), _slot(1), _slot(2, user="bob"), _slot(4, domain="other.example")):
            slots.put(slot)
        assert [s.handle[0] for s in slots.list()] == [1, 2, 3, 4]
        assert [s.handle[0] for s in slots.list("localhost")] == [1, 2, 3]
        assert [s.handle[0] for s in slots.list("localhost", "ada")] == [1, 3]
        assert [s.handle[0] for s in slots.list(user="bob")] == [2]

    @pytest.mark.parametrize(
        ("limits", "gone"),
        [
            ({"used_before": 0.0, "login_before": 0.0, "epoch": 1}, []),
            ({"used_before": 102.5, "login_before": 0.0, "epoch": 1}, [1]),
            ({"used_before": 0.0, "login_before": 100.0, "epoch": 1}, [1, 2]),
            ({"used_before": 0.0, "login_before": 0.0, "epoch": 2}, [1, 2, 3]),
        ],
    )
    def test_what_is_idle_old_or_of_another_epoch_is_purged(
        self, slots: Slots, limits: dict[str, Any], gone: list[int]
    ) -> None:
        for slot in (_slot(1), _slot(2), _slot(3, login=150.0, domain="other.example")):
            slots.put(slot)
        assert sorted(handle[0] for handle in slots.purge(**limits)) == gone
        assert [s.handle[0] for s in slots.list()] == [n for n in (1, 2, 3) if n not in gone]

    def test_of_slots_that_ended_nothing_is_left(self, store: Any, slots: Slots) -> None:
        slots.put(_slot(1))
        slots.touch("localhost", {_slot(1).handle: 500.0})
        assert len(store.records.history("localhost", SLOT, _slot(1).handle)) == 1
        slots.remove("localhost", _slot(1).handle)
        for model, uuid in ((SLOT, _slot(1).handle), (SLOTS, key("ada"))):
            assert store.records.read("localhost", model, uuid)[1] is None
        assert store.records.transaction("localhost", store.records.last("localhost")) is None

    def test_slots_are_there_after_opening_again(self, store: Any, slots: Slots) -> None:
        slots.put(_slot(1))
        other = self.again(store)
        if other is not None:
            assert Slots(other.records).get("localhost", _slot(1).handle) == _slot(1)
            other.close()


def _row(key: str, until: float = 1000.0, data: str | None = "[1]", domain: str = "localhost") -> LedgerRow:
    return LedgerRow(domain, "origin", key, until, data)


class LedgerStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.LedgerStore`."""

    def test_rows_come_back_until_they_are_over(self, ledger: AbuseLedger) -> None:
        rows = [_row("a"), _row("b", until=2000.0), LedgerRow("", "pair", "x@y", 1500.5, "{}")]
        ledger.flush(rows, 0.0)
        assert {row.key for row in ledger.load(0.0)} == {"a", "b", "x@y"}
        assert {row.key for row in ledger.load(1000.0)} == {"b", "x@y"}
        assert set(ledger.load(0.0)) == set(rows)

    def test_a_row_takes_the_place_of_the_one_before(self, ledger: AbuseLedger) -> None:
        ledger.flush([_row("a"), _row("b")], 0.0)
        ledger.flush([_row("a", data="[2]"), _row("b", data=None), _row("never", data=None)], 0.0)
        assert ledger.load(0.0) == [_row("a", data="[2]")]

    def test_the_newest_row_counts_however_many_batches_there_were(self, ledger: AbuseLedger) -> None:
        for number in range(140):
            ledger.flush(
                [_row(str(number % 7), data=f"[{number}]"), _row("gone", data=None if number % 2 else "[]")], 0.0
            )
        assert {row.key: row.data for row in ledger.load(0.0)} == {str(n % 7): f"[{n}]" for n in range(133, 140)}

    def test_what_is_over_is_forgotten_by_and_by(self, store: Any, ledger: AbuseLedger) -> None:
        ledger.flush([_row("192.0.2.99", until=10.0)], 0.0)
        for number in range(128):
            ledger.flush([_row(str(number))], 20.0)
        assert not any("192.0.2.99" in row.fields for row in everything(store.records, "localhost", "limen.abuse"))

    def test_a_row_that_is_over_hides_the_one_before(self, ledger: AbuseLedger) -> None:
        """Else an origin that was forgiven would be as bad as ever once the forgiving row is dropped."""
        ledger.flush([_row("a", until=100.0, data="[9]")], 0.0)
        for name in "bcd":
            ledger.flush([_row(name)], 0.0)
        ledger.flush([_row("a", until=10.0, data="[0]")], 0.0)
        for number in range(9):
            ledger.flush([_row(str(number))], 20.0)
            assert "a" not in {row.key for row in ledger.load(20.0)}

    @pytest.mark.parametrize(
        ("which", "left"),
        [
            ({}, set()),
            ({"domain": "localhost"}, {("other.example", "a")}),
            ({"key": "a"}, {("localhost", "b")}),
            ({"domain": "localhost", "key": "a"}, {("localhost", "b"), ("other.example", "a")}),
        ],
    )
    def test_clear_forgets_what_is_named(
        self, ledger: AbuseLedger, which: dict[str, str], left: set[tuple[str, str]]
    ) -> None:
        ledger.flush([_row("a")], 0.0)
        ledger.flush([_row("b"), _row("a", domain="other.example")], 0.0)
        assert ledger.clear(**which) == 3 - len(left)
        assert {(row.domain, row.key) for row in ledger.load(0.0)} == left

    def test_a_thousand_rows_are_one_batch(self, store: Any, ledger: AbuseLedger) -> None:
        ledger.flush([_row(str(n)) for n in range(1000)], 0.0)
        assert store.records.last("localhost") == 1
        assert len(ledger.load(0.0)) == 1000

    @pytest.mark.parametrize("seed", range(5))
    def test_what_one_server_has_flushed_is_news_to_the_other(self, store: Any, seed: int) -> None:
        """Nothing is missed, wherever the batches of both are put together; what is old news seldom comes again."""
        chance = random.Random(seed)  # noqa: S311 it only picks an order
        servers = AbuseLedger(store.records), AbuseLedger(store.records)
        flushed: list[set[str]] = [set(), set()]
        heard: list[set[str]] = [set(), set()]
        for number in range(60):
            which = chance.randrange(2)
            if chance.random() < 0.6:
                servers[which].flush([_row(str(number))], 0.0)
                flushed[which].add(str(number))
            else:
                heard[which] |= {row.key for row in servers[which].news("localhost", 0.0)}
        for which, server in enumerate(servers):
            heard[which] |= {row.key for row in server.news("localhost", 0.0)}
            assert heard[which] >= flushed[1 - which]
            assert server.news("localhost", 0.0) == []
        servers[0].flush([_row("mine")], 0.0)
        assert servers[0].news("localhost", 0.0) == []
        assert servers[0].news("other.example", 0.0) == []

    def test_the_ledger_keeps_no_history(self, store: Any, ledger: AbuseLedger) -> None:
        for number in range(10):
            ledger.flush([_row(str(number))], 0.0)
        for version in everything(store.records, "localhost", "limen.abuse"):
            assert len(store.records.history("localhost", "limen.abuse", version.uuid)) == 1
        assert store.records.transaction("localhost", store.records.last("localhost")) is None

    def test_the_ledger_is_there_after_opening_again(self, store: Any, ledger: AbuseLedger) -> None:
        ledger.flush([_row("a")], 0.0)
        other = self.again(store)
        if other is not None:
            assert AbuseLedger(other.records).load(0.0) == [_row("a")]
            other.close()


class MetaStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.MetaStore`."""

    def test_a_database_has_an_id_of_its_own(self, store: Any, settings: Settings) -> None:
        assert len(bytes.fromhex(settings.database_id)) == 16
        assert settings.database_id == Settings(store.records).database_id

    def test_of_many_who_make_the_id_all_find_the_same(self, store: Any) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            assert len(set(pool.map(lambda _: Settings(store.records).database_id, range(THREADS)))) == 1

    def test_settings_are_kept_by_name(self, settings: Settings) -> None:
        assert settings.get("epoch") is None
        settings.set("epoch", "1")
        settings.set("epoch", "2")
        settings.set("other", "ü '\"")
        assert (settings.get("epoch"), settings.get("other")) == ("2", "ü '\"")

    def test_of_many_who_swap_one_does(self, settings: Settings) -> None:
        settings.set("epoch", "1")
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: settings.swap("epoch", "1", str(n + 2)), range(THREADS)))
        assert done.count(True) == 1
        assert settings.get("epoch") == str(done.index(True) + 2)

    @pytest.mark.parametrize(
        "change",
        [
            lambda store: store.records.commit(
                Transaction("localhost", None, None, "", "", "", 1.0), [Change("T", bytes(16), 0, "{}")]
            ),
            lambda store: Accounts(store.records).put(ADA),
            lambda store: Accounts(store.records).put(replace(ADA, user="bob"), create=True),
            lambda store: Accounts(store.records).remove("localhost", "eve"),
            lambda store: Slots(store.records).put(_slot(1)),
            lambda store: Slots(store.records).remove("localhost", _slot(9).handle),
            lambda store: Slots(store.records).remove_user("localhost", "eve"),
            lambda store: Slots(store.records).purge(used_before=0.0, login_before=0.0, epoch=2),
        ],
    )
    def test_its_number_rises_with_every_change_that_a_backup_would_undo(
        self, store: Any, change: Callable[[Any], Any]
    ) -> None:
        Accounts(store.records).put(replace(ADA, user="eve"))
        Slots(store.records).put(_slot(9, user="eve"))
        before = Settings(store.records).progress()
        change(store)
        assert Settings(store.records).progress() > before

    def test_its_number_does_not_rise_for_what_changes_nothing(
        self, store: Any, accounts: Accounts, slots: Slots, settings: Settings
    ) -> None:
        slots.put(_slot(1))
        settings.set("epoch", "1")
        before = settings.progress()
        slots.touch("localhost", {_slot(1).handle: 1.0})
        slots.remove("localhost", bytes(16))
        accounts.remove("localhost", "nobody")
        accounts.get("localhost", "nobody")
        settings.set("epoch", "1")
        assert settings.progress() == before

    def test_id_settings_and_number_are_the_same_after_opening_again(
        self, store: Any, slots: Slots, settings: Settings
    ) -> None:
        settings.set("epoch", "7")
        slots.put(_slot(1))
        name, number = settings.database_id, settings.progress()
        other = self.again(store)
        if other is not None:
            again = Settings(other.records)
            assert (again.database_id, again.get("epoch"), again.progress()) == (name, "7", number)
            other.close()


class PeopleSuite(AccountStoreSuite, SlotStoreSuite, LedgerStoreSuite, MetaStoreSuite):
    """All of it."""
