"""What every store must do: subclass `StoreSuite`, say how a store is made (and opened again), run it with pytest.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self):
            store = MyStore(…)
            yield store
            store.close()

        def again(self, store):             # only for a store that outlives its process
            return MyStore(…)               # the same data, opened a second time

`StoreSuite` is RecordStoreSuite, AccountStoreSuite, SlotStoreSuite, LedgerStoreSuite and MetaStoreSuite together; a
store of one part alone subclasses that part's suite.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from limen.core.guard.accounts import Account, LedgerRow, Slot
from limen.core.record.port import Change, Stale, Transaction, Version

ADA = Account("localhost", "ada", bytes(range(192)), 1, ("admin", "user"), {"name": "Ada", "n": [1]}, False, 12.25)
WHO = Transaction("localhost", "ada", "root", "todo.add", "192.0.2.1", "why", 1_700_000_000.125)
THREADS = 8


class _Suite:
    store: Any

    def again(self, store: Any) -> Any:
        """The same data, opened a second time; None for a store that forgets."""
        return None


def _uuid(number: int) -> bytes:
    return number.to_bytes(16)


def _change(number: int = 1, base: int = 0, fields: str = '{"a":1}', deleted: bool = False, model: str = "T") -> Change:
    return Change(model, _uuid(number), base, fields, deleted)


class RecordStoreSuite(_Suite):
    """The port is `limen.core.record.port.RecordStore`."""

    def test_the_first_version_is_one_and_each_further_one_more(self, store: Any) -> None:
        first = store.records.commit(WHO, [_change()])
        second = store.records.commit(WHO, [_change(base=1, fields='{"a":2}')])
        assert first < second
        newest = store.records.newest("localhost", "T", _uuid(1))
        assert newest == Version(_uuid(1), 2, second, '{"a":2}', False)
        assert type(newest.uuid) is bytes
        assert newest.deleted is False

    def test_what_was_never_there_is_not_found(self, store: Any) -> None:
        store.records.commit(WHO, [_change()])
        for domain, model, uuid in (("localhost", "T", 2), ("localhost", "U", 1), ("other.example", "T", 1)):
            assert store.records.newest(domain, model, _uuid(uuid)) is None
            assert store.records.history(domain, model, _uuid(uuid)) == []
        assert store.records.all("other.example", "T") == store.records.all("localhost", "U") == []

    @pytest.mark.parametrize("base", [0, 1, 3, 99])
    def test_a_stale_base_is_refused_with_the_newest_and_who_wrote_it(self, store: Any, base: int) -> None:
        store.records.commit(WHO, [_change()])
        number = store.records.commit(WHO._replace(user="bob"), [_change(base=1, fields='{"a":2}')])
        with pytest.raises(Stale) as caught:
            store.records.commit(WHO, [_change(base=base, fields='{"a":3}')])
        assert caught.value.newest == Version(_uuid(1), 2, number, '{"a":2}', False)
        assert caught.value.by is not None
        assert (caught.value.by.user, caught.value.by.number) == ("bob", number)
        assert store.records.newest("localhost", "T", _uuid(1)).fields == '{"a":2}'
        assert len(store.records.history("localhost", "T", _uuid(1))) == 2

    def test_a_version_of_a_record_that_is_not_there_is_refused(self, store: Any) -> None:
        with pytest.raises(Stale) as caught:
            store.records.commit(WHO, [_change(base=1)])
        assert caught.value.newest is None
        assert store.records.newest("localhost", "T", _uuid(1)) is None

    def test_a_commit_is_whole_or_not_at_all(self, store: Any) -> None:
        store.records.commit(WHO, [_change(1), _change(2)])
        before = store.meta.highest_txn()
        with pytest.raises(Stale) as caught:
            store.records.commit(WHO, [_change(3), _change(1, base=1), _change(2, base=7), _change(4, model="New")])
        assert caught.value.change.uuid == _uuid(2)
        assert [v.vsn for v in store.records.all("localhost", "T")] == [1, 1]
        assert store.records.newest("localhost", "T", _uuid(3)) is None
        assert store.records.all("localhost", "New") == []
        assert store.meta.highest_txn() == before
        store.records.commit(WHO, [_change(4, model="New")])
        assert len(store.records.all("localhost", "New")) == 1

    def test_a_deleted_record_stays_in_the_line_of_versions_and_leaves_the_list(self, store: Any) -> None:
        store.records.commit(WHO, [_change(1), _change(2)])
        store.records.commit(WHO, [_change(1, base=1, deleted=True)])
        newest = store.records.newest("localhost", "T", _uuid(1))
        assert (newest.vsn, newest.deleted) == (2, True)
        assert [v.uuid for v in store.records.all("localhost", "T")] == [_uuid(2)]
        for base in (0, 1, 2):
            with pytest.raises(Stale):
                store.records.commit(WHO, [_change(1, base=base)])

    def test_all_gives_the_newest_versions_ordered_by_uuid(self, store: Any) -> None:
        for number in (3, 1, 2):
            store.records.commit(WHO, [_change(number)])
        store.records.commit(WHO, [_change(3, base=1, fields='{"a":9}')])
        found = store.records.all("localhost", "T")
        assert [(v.uuid, v.vsn) for v in found] == [(_uuid(1), 1), (_uuid(2), 1), (_uuid(3), 2)]
        assert found[2].fields == '{"a":9}'

    def test_history_tells_who_when_through_what_and_why(self, store: Any) -> None:
        nobody = Transaction("localhost", None, None, "", "", "", 2.5)
        first = store.records.commit(WHO, [_change()])
        second = store.records.commit(nobody, [_change(base=1, deleted=True)])
        history = store.records.history("localhost", "T", _uuid(1))
        assert [version.vsn for version, _ in history] == [1, 2]
        assert [by for _, by in history] == [WHO._replace(number=first), nobody._replace(number=second)]
        assert store.records.transaction(first) == WHO._replace(number=first)
        assert store.records.transaction(second + 1) is None

    def test_tenants_do_not_see_or_touch_each_other(self, store: Any) -> None:
        other = WHO._replace(domain="other.example")
        store.records.commit(WHO, [_change()])
        store.records.commit(other, [_change(fields='{"b":1}')])
        assert store.records.newest("localhost", "T", _uuid(1)).fields == '{"a":1}'
        assert store.records.newest("other.example", "T", _uuid(1)).fields == '{"b":1}'
        with pytest.raises(Stale):
            store.records.commit(WHO._replace(domain="third.example"), [_change(base=1)])

    @pytest.mark.parametrize("fields", ["{}", '{"t":"\\u0000 \U0001f600 \'\\""}', '{"t":"' + "x" * 2_000_000 + '"}'])
    def test_fields_come_back_as_they_went_in(self, store: Any, fields: str) -> None:
        store.records.commit(WHO, [_change(fields=fields)])
        assert store.records.newest("localhost", "T", _uuid(1)).fields == fields

    def test_of_many_writers_of_one_version_one_gets_through(self, store: Any) -> None:
        store.records.commit(WHO, [_change()])

        def attempt(writer: int) -> int:
            written, base = 0, 1
            while written < 5:
                try:
                    store.records.commit(WHO._replace(user=str(writer)), [_change(base=base)])
                    written, base = written + 1, base + 1
                except Stale as stale:
                    base = stale.newest.vsn if stale.newest is not None else 0
            return written

        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(attempt, range(THREADS))) == 5 * THREADS
        history = store.records.history("localhost", "T", _uuid(1))
        assert [version.vsn for version, _ in history] == list(range(1, 5 * THREADS + 2))
        numbers = [by.number for _, by in history]
        assert numbers == sorted(set(numbers))

    def test_readers_see_whole_commits_while_others_write(self, store: Any) -> None:
        store.records.commit(WHO, [_change(1), _change(2)])

        def write(_: int) -> None:
            for base in range(1, 40):
                store.records.commit(WHO, [_change(1, base=base), _change(2, base=base)])

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write, 0)
            while not writing.done():
                one, two = store.records.all("localhost", "T")
                assert (one.vsn, one.txn) == (two.vsn, two.txn)
            writing.result()

    def test_records_are_there_after_opening_again(self, store: Any) -> None:
        number = store.records.commit(WHO, [_change()])
        other = self.again(store)
        if other is not None:
            assert other.records.newest("localhost", "T", _uuid(1)) == Version(_uuid(1), 1, number, '{"a":1}', False)
            assert other.records.commit(WHO, [_change(base=1)]) > number
            other.close()
            assert store.records.newest("localhost", "T", _uuid(1)).vsn == 2


class AccountStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.AccountStore`."""

    def test_an_account_comes_back_as_it_was_put(self, store: Any) -> None:
        assert store.accounts.put(ADA) is True
        assert store.accounts.get("localhost", "ada") == ADA

    def test_unknown_users_and_other_domains_have_none(self, store: Any) -> None:
        store.accounts.put(ADA)
        assert store.accounts.get("localhost", "bob") is None
        assert store.accounts.get("other.example", "ada") is None

    def test_put_replaces_and_create_does_not(self, store: Any) -> None:
        store.accounts.put(ADA)
        changed = replace(ADA, record=b"new", key_number=2, roles=(), profile={}, disabled=True)
        assert store.accounts.put(changed, create=True) is False
        assert store.accounts.get("localhost", "ada") == ADA
        assert store.accounts.put(changed) is True
        assert store.accounts.get("localhost", "ada") == changed

    def test_changes_tells_whether_there_were_any(self, store: Any) -> None:
        accounts = store.accounts
        seen = [accounts.changes]
        accounts.put(ADA)
        seen.append(accounts.changes)
        accounts.put(replace(ADA, disabled=True))
        seen.append(accounts.changes)
        accounts.remove("localhost", "ada")
        seen.append(accounts.changes)
        assert len(set(seen)) == 4

    def test_of_many_who_create_one_account_one_gets_it(self, store: Any) -> None:
        accounts = [replace(ADA, key_number=number) for number in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda a: store.accounts.put(a, create=True), accounts))
        assert done.count(True) == 1
        assert store.accounts.get("localhost", "ada") == accounts[done.index(True)]

    def test_remove_forgets_the_account_and_its_slots(self, store: Any) -> None:
        store.accounts.put(ADA)
        store.accounts.put(replace(ADA, user="bob"))
        store.slots.put(_slot(1))
        store.slots.put(_slot(2, user="bob"))
        assert store.accounts.remove("localhost", "ada") is True
        assert store.accounts.remove("localhost", "ada") is False
        assert store.accounts.remove("nowhere.example", "ada") is False
        assert store.accounts.get("localhost", "ada") is None
        assert [slot.user for slot in store.slots.list()] == ["bob"]

    def test_list_is_ordered_and_by_domain(self, store: Any) -> None:
        for domain, user in (("b.example", "x"), ("a.example", "z"), ("a.example", "y")):
            store.accounts.put(replace(ADA, domain=domain, user=user))
        assert [(a.domain, a.user) for a in store.accounts.list()] == [
            ("a.example", "y"),
            ("a.example", "z"),
            ("b.example", "x"),
        ]
        assert [a.user for a in store.accounts.list("a.example")] == ["y", "z"]
        assert store.accounts.list("c.example") == []

    def test_accounts_are_there_after_opening_again(self, store: Any) -> None:
        store.accounts.put(ADA)
        other = self.again(store)
        if other is not None:
            assert other.accounts.get("localhost", "ada") == ADA
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


class SlotStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.SlotStore`."""

    def test_a_slot_comes_back_as_it_was_put(self, store: Any) -> None:
        slot = _slot(1, key_number=3)
        assert store.slots.put(slot) is True
        assert store.slots.get(slot.handle) == slot
        assert store.slots.get(bytes(16)) is None
        store.slots.put(replace(slot, used=500.0))
        assert store.slots.get(slot.handle) == replace(slot, used=500.0)

    def test_a_user_has_at_most_so_many(self, store: Any) -> None:
        assert [store.slots.put(_slot(n), at_most=2) for n in (1, 2, 3)] == [True, True, False]
        assert store.slots.get(_slot(3).handle) is None
        assert store.slots.put(_slot(2, used=900.0), at_most=2) is True
        assert store.slots.put(_slot(3, user="bob"), at_most=2) is True
        assert store.slots.put(_slot(4, domain="other.example"), at_most=2) is True
        assert store.slots.count("localhost", "ada") == 2

    def test_of_many_who_want_the_last_slot_one_gets_it(self, store: Any) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: store.slots.put(_slot(n), at_most=3), range(THREADS)))
        assert done.count(True) == store.slots.count("localhost", "ada") == 3

    def test_removing_says_whether_there_was_one(self, store: Any) -> None:
        store.slots.put(_slot(1))
        assert store.slots.remove(_slot(1).handle) is True
        assert store.slots.remove(_slot(1).handle) is False
        assert store.slots.count("localhost", "ada") == 0

    def test_all_slots_of_a_user_end_but_the_one_that_is_kept(self, store: Any) -> None:
        for slot in (_slot(1), _slot(2), _slot(3), _slot(4, user="bob"), _slot(5, domain="other.example")):
            store.slots.put(slot)
        gone = store.slots.remove_user("localhost", "ada", keep=_slot(2).handle)
        assert sorted(gone) == [_slot(1).handle, _slot(3).handle]
        assert sorted(s.handle[0] for s in store.slots.list()) == [2, 4, 5]
        assert store.slots.remove_user("localhost", "ada") == [_slot(2).handle]
        assert store.slots.remove_user("localhost", "nobody") == []

    def test_touch_is_a_batch_that_never_goes_back(self, store: Any) -> None:
        store.slots.put(_slot(1))
        store.slots.put(_slot(2))
        store.slots.touch({_slot(1).handle: 500.0, _slot(2).handle: 1.0, _slot(3).handle: 500.0})
        store.slots.touch({})
        assert store.slots.get(_slot(1).handle) == _slot(1, used=500.0)
        assert store.slots.get(_slot(2).handle) == _slot(2)
        assert store.slots.get(_slot(3).handle) is None

    def test_list_is_oldest_first_and_by_user(self, store: Any) -> None:
        for slot in (_slot(3), _slot(1), _slot(2, user="bob"), _slot(4, domain="other.example")):
            store.slots.put(slot)
        assert [s.handle[0] for s in store.slots.list()] == [1, 2, 3, 4]
        assert [s.handle[0] for s in store.slots.list("localhost")] == [1, 2, 3]
        assert [s.handle[0] for s in store.slots.list("localhost", "ada")] == [1, 3]
        assert [s.handle[0] for s in store.slots.list(user="bob")] == [2]

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
        self, store: Any, limits: dict[str, Any], gone: list[int]
    ) -> None:
        for slot in (_slot(1), _slot(2), _slot(3, login=150.0)):
            store.slots.put(slot)
        assert sorted(handle[0] for handle in store.slots.purge(**limits)) == gone
        assert [s.handle[0] for s in store.slots.list()] == [n for n in (1, 2, 3) if n not in gone]

    def test_slots_are_there_after_opening_again(self, store: Any) -> None:
        store.slots.put(_slot(1))
        other = self.again(store)
        if other is not None:
            assert other.slots.get(_slot(1).handle) == _slot(1)
            other.close()


def _row(key: str, until: float = 1000.0, data: str | None = "[1]", domain: str = "localhost") -> LedgerRow:
    return LedgerRow(domain, "origin", key, until, data)


class LedgerStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.LedgerStore`."""

    def test_rows_come_back_until_they_are_over(self, store: Any) -> None:
        rows = [_row("a"), _row("b", until=2000.0), LedgerRow("", "pair", "x@y", 1500.5, "{}")]
        store.ledger.flush(rows, 0.0)
        assert {row.key for row in store.ledger.load(0.0)} == {"a", "b", "x@y"}
        assert {row.key for row in store.ledger.load(1000.0)} == {"b", "x@y"}
        assert set(store.ledger.load(0.0)) == set(rows)

    def test_a_row_takes_the_place_of_the_one_before(self, store: Any) -> None:
        store.ledger.flush([_row("a"), _row("b")], 0.0)
        store.ledger.flush([_row("a", data="[2]"), _row("b", data=None), _row("never", data=None)], 0.0)
        assert store.ledger.load(0.0) == [_row("a", data="[2]")]

    def test_what_is_over_is_dropped_with_the_next_flush(self, store: Any) -> None:
        store.ledger.flush([_row("a", until=10.0), _row("b")], 0.0)
        store.ledger.flush([], 10.0)
        assert store.ledger.load(0.0) == [_row("b")]

    @pytest.mark.parametrize(
        ("which", "left"),
        [
            ({}, set()),
            ({"domain": "localhost"}, {("other.example", "a")}),
            ({"key": "a"}, {("localhost", "b")}),
            ({"domain": "localhost", "key": "a"}, {("localhost", "b"), ("other.example", "a")}),
        ],
    )
    def test_clear_forgets_what_is_named(self, store: Any, which: dict[str, str], left: set[tuple[str, str]]) -> None:
        store.ledger.flush([_row("a"), _row("b"), _row("a", domain="other.example")], 0.0)
        assert store.ledger.clear(**which) == 3 - len(left)
        assert {(row.domain, row.key) for row in store.ledger.load(0.0)} == left

    def test_a_thousand_rows_are_one_batch(self, store: Any) -> None:
        store.ledger.flush([_row(str(n)) for n in range(1000)], 0.0)
        assert len(store.ledger.load(0.0)) == 1000

    def test_the_ledger_is_there_after_opening_again(self, store: Any) -> None:
        store.ledger.flush([_row("a")], 0.0)
        other = self.again(store)
        if other is not None:
            assert other.ledger.load(0.0) == [_row("a")]
            other.close()


class MetaStoreSuite(_Suite):
    """The port is `limen.core.guard.accounts.MetaStore`."""

    def test_a_database_has_an_id_of_its_own(self, store: Any) -> None:
        assert len(bytes.fromhex(store.meta.database_id)) == 16
        assert store.meta.database_id == store.meta.database_id

    def test_settings_are_kept_by_name(self, store: Any) -> None:
        assert store.meta.get("epoch") is None
        store.meta.set("epoch", "1")
        store.meta.set("epoch", "2")
        store.meta.set("other", "ü '\"")
        assert (store.meta.get("epoch"), store.meta.get("other")) == ("2", "ü '\"")

    @pytest.mark.parametrize(
        "change",
        [
            lambda store: store.records.commit(WHO, [_change()]),
            lambda store: store.accounts.put(ADA),
            lambda store: store.accounts.put(replace(ADA, user="bob"), create=True),
            lambda store: store.accounts.remove("localhost", "eve"),
            lambda store: store.slots.put(_slot(1)),
            lambda store: store.slots.remove(_slot(9).handle),
            lambda store: store.slots.remove_user("localhost", "eve"),
            lambda store: store.slots.purge(used_before=0.0, login_before=0.0, epoch=2),
        ],
    )
    def test_its_number_rises_with_every_change_that_a_backup_would_undo(
        self, store: Any, change: Callable[[Any], Any]
    ) -> None:
        store.accounts.put(replace(ADA, user="eve"))
        store.slots.put(_slot(9, user="eve"))
        before = store.meta.highest_txn()
        change(store)
        assert store.meta.highest_txn() > before

    def test_its_number_does_not_rise_for_what_changes_nothing(self, store: Any) -> None:
        store.slots.put(_slot(1))
        before = store.meta.highest_txn()
        store.slots.touch({_slot(1).handle: 999.0})
        store.slots.remove(bytes(16))
        store.accounts.remove("localhost", "nobody")
        store.ledger.flush([_row("a")], 0.0)
        store.records.newest("localhost", "T", _uuid(1))
        assert store.meta.highest_txn() == before

    def test_id_settings_and_number_are_the_same_after_opening_again(self, store: Any) -> None:
        store.meta.set("epoch", "7")
        store.records.commit(WHO, [_change()])
        store.slots.put(_slot(1))
        other = self.again(store)
        if other is not None:
            assert other.meta.database_id == store.meta.database_id
            assert other.meta.get("epoch") == "7"
            assert other.meta.highest_txn() == store.meta.highest_txn()
            other.close()


class StoreSuite(RecordStoreSuite, AccountStoreSuite, SlotStoreSuite, LedgerStoreSuite, MetaStoreSuite):
    """All of a store."""

    def test_it_may_be_claimed_and_claimed_again_afterwards(self, store: Any) -> None:
        for _ in range(2):
            with store.claim():
                store.meta.set("x", "1")
