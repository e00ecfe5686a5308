"""What a store of records keeps, what it forgets, and what its change log says."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from limen import exc
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    REVIVE,
    Committed,
    Stale,
    Version,
)
from limen.core.record.query import Query

from .changes import HERE, INDEX, WHO, Suite, put, uuid


class RetentionSuite(Suite):
    """Retention, erasure and the change log."""

    # -- how much history ------------------------------------------------------------------------------
    def test_without_history_only_the_newest_version_is_kept(self, store: Any) -> None:
        store.records.commit(WHO, [put(keep=0), put(2, keep=0)])
        store.records.commit(WHO, [put(base=1, a=2, keep=0)])
        assert [(v.vsn, by) for v, by in store.records.history(HERE, "T", uuid(1))] == [(2, None)]
        assert store.records.read(HERE, "T", uuid(1)) == (2, Version(uuid(1), 2, 2, '{"a":2}', False))
        assert store.records.transaction(HERE, 1) is store.records.transaction(HERE, 2) is None
        assert store.records.progress() == 2
        assert store.records.at_time(HERE, 1e12) == 0
        with pytest.raises(exc.HistoryGone) as caught:
            store.records.read(HERE, "T", uuid(1), 1)
        assert caught.value.facts["since"] == 2
        assert store.records.read(HERE, "T", uuid(2), 1)[1].vsn == 1
        with pytest.raises(exc.HistoryGone):
            store.records.select(HERE, Query("T"), 1)
        assert [(line.txn, line.uuid) for line in store.records.changes(HERE, 0)] == [(1, uuid(2)), (2, uuid(1))]
        with pytest.raises(Stale) as stale:
            store.records.commit(WHO, [put(base=1, keep=0)])
        assert stale.value.by is None

    @pytest.mark.parametrize("kind", [DELETE, ERASE])
    def test_without_history_nothing_is_left_of_a_deleted_record(self, store: Any, kind: int) -> None:
        store.records.commit(WHO, [put(keep=0), put(2, keep=0)])
        store.records.commit(WHO, [put(base=1, kind=kind, keep=0)])
        assert store.records.read(HERE, "T", uuid(1)) == (2, None)
        assert store.records.history(HERE, "T", uuid(1)) == []
        assert [line.uuid for line in store.records.changes(HERE, 0)] == [uuid(2)]
        store.records.commit(WHO, [put(keep=0)])
        assert store.records.read(HERE, "T", uuid(1))[1].vsn == 1

    def test_a_transaction_is_kept_where_one_of_its_models_keeps_history(self, store: Any) -> None:
        store.records.commit(WHO, [put(keep=0), put(model="U")])
        assert store.records.transaction(HERE, 1) == WHO._replace(number=1)

    def test_as_many_versions_are_kept_as_were_asked_for(self, store: Any) -> None:
        for base in range(100):
            store.records.commit(WHO, [put(base=base, a=base, keep=3)])
        kept = [v.vsn for v, _ in store.records.history(HERE, "T", uuid(1))]
        assert kept == list(range(kept[0], 101))
        assert kept[0] <= 97
        assert len(kept) < 80
        assert [store.records.read(HERE, "T", uuid(1), at)[1].vsn for at in kept] == kept
        with pytest.raises(exc.HistoryGone) as caught:
            store.records.read(HERE, "T", uuid(1), kept[0] - 1)
        assert caught.value.facts["since"] == kept[0]
        assert store.records.transaction(HERE, 1) is not None
        assert [line.vsn for line in store.records.changes(HERE, 0)] == kept

    def test_what_was_the_newest_within_a_time_is_kept(self, store: Any) -> None:
        for base in range(100):
            store.records.commit(WHO._replace(time=float(base)), [put(base=base, keep=timedelta(seconds=10))])
        kept = [v.vsn for v, _ in store.records.history(HERE, "T", uuid(1))]
        assert kept[0] <= 90
        assert len(kept) < 90

    def test_prune_drops_what_need_not_be_kept(self, store: Any) -> None:
        for base in range(100):
            store.records.commit(WHO._replace(time=float(base)), [put(base=base)])
        store.records.commit(WHO._replace(time=100.0), [put(2, model="U")])
        before = store.records.progress()
        assert store.records.prune(HERE, "T", None, 100.0) == 0
        dropped = store.records.prune(HERE, "T", timedelta(seconds=20), 100.0)
        assert 40 < dropped <= 80
        assert len(store.records.history(HERE, "T", uuid(1))) == 100 - dropped
        more = store.records.prune(HERE, "T", 5, 100.0)
        assert dropped + more <= 94
        assert store.records.prune(HERE, "T", 0, 100.0) == 99 - dropped - more
        assert [v.vsn for v, _ in store.records.history(HERE, "T", uuid(1))] == [100]
        assert store.records.progress() == before
        assert store.records.prune("other.example", "T", 0, 100.0) == 0
        assert len(store.records.history(HERE, "U", uuid(2))) == 1
        assert store.records.commit(WHO, [put(base=100)]) == 102

    # -- erasing ---------------------------------------------------------------------------------------
    def test_erasing_takes_the_contents_of_all_versions_and_keeps_their_line(self, store: Any) -> None:
        for base in range(40):
            store.records.commit(WHO, [put(base=base, fields=f'{{"secret":"s{base}"}}', index=INDEX), put(100 + base)])
        store.records.commit(WHO._replace(user="bob"), [put(base=40, kind=ERASE, fields="", index=INDEX)])
        history = store.records.history(HERE, "T", uuid(1))
        assert [(v.vsn, v.fields, v.deleted, v.erased) for v, _ in history] == [
            (vsn, "{}", True, True) for vsn in range(1, 42)
        ]
        assert [by.user for _, by in history] == ["ada"] * 40 + ["bob"]
        assert store.records.read(HERE, "T", uuid(1))[1] == history[-1][0]
        assert store.records.read(HERE, "T", uuid(1), 3)[1] == history[2][0]
        assert uuid(1) not in [v.uuid for v in self.all(store, at=40)]
        lines = [line for line in store.records.changes(HERE, 0) if line.uuid == uuid(1)]
        assert {(line.kind, line.fields) for line in lines} == {(ERASE, ())}
        assert len(lines) == 41

    def test_a_deleted_record_can_be_erased_and_an_erased_one_revived(self, store: Any) -> None:
        store.records.commit(WHO, [put(a="secret")])
        store.records.commit(WHO, [put(base=1, kind=DELETE)])
        store.records.commit(WHO, [put(base=2, kind=ERASE)])
        assert [v.fields for v, _ in store.records.history(HERE, "T", uuid(1))] == ["{}"] * 3
        store.records.commit(WHO, [put(base=3, a=7, kind=REVIVE)])
        assert [(v.fields, v.erased) for v, _ in store.records.history(HERE, "T", uuid(1))][2:] == [
            ("{}", True), ('{"a":7}', False),
        ]  # fmt: skip
        store.records.commit(WHO, [put(base=4, a=8)])
        assert store.records.read(HERE, "T", uuid(1), 4)[1].fields == '{"a":7}'

    # -- who it was ------------------------------------------------------------------------------------
    def test_a_user_is_forgotten_in_every_transaction_of_the_domain(self, store: Any) -> None:
        ada, bob = WHO._replace(impersonator=None), WHO._replace(user="bob", impersonator="ada")
        others = (WHO._replace(user="grace", impersonator=None), WHO._replace(user=None, impersonator=None))
        for number, who in enumerate((ada, bob, *others, ada), 1):
            store.records.commit(who, [put(number)])
        store.records.commit(ada._replace(domain="other.example"), [put()])
        asks = others[0]._replace(reason="erase a person", service="", origin="", time=1_700_000_001.0)
        assert store.records.forget_user(asks, "ada", "erased-1") == 3
        found = [store.records.transaction(HERE, number) for number in range(1, 8)]
        names = [("erased-1", None), ("bob", "erased-1"), ("grace", None), (None, None), ("erased-1", None)]
        assert [by and (by.user, by.impersonator) for by in found] == [*names, ("grace", None), None]
        for number, (by, was) in enumerate(zip(found, (ada, bob, *others, ada), strict=False), 1):
            assert by == was._replace(user=by.user, impersonator=by.impersonator, number=number)
        assert found[5] == asks._replace(number=6), "the proof"
        assert store.records.last(HERE) == 6
        assert store.records.changes(HERE, 5) == []
        assert store.records.history(HERE, "T", uuid(1))[0][1].user == "erased-1"
        assert store.records.transaction("other.example", 1).user == "ada"
        assert store.records.forget_user(asks, "ada", "erased-1") == 0
        assert store.records.last(HERE) == 6
        assert store.records.forget_user(asks._replace(domain="nobody.example"), "ada", "erased-1") == 0
        assert store.records.commit(bob, [put(9)]) == 7, "the line goes on"

    def test_who_asks_to_be_forgotten_is_not_named_by_the_proof(self, store: Any) -> None:
        store.records.commit(WHO, [put()])
        assert store.records.forget_user(WHO._replace(reason="erase a person"), "ada", "erased-1") == 1
        assert store.records.transaction(HERE, 2).user == "erased-1"
        again = self.again(store)
        if again is not None:
            assert again.records.transaction(HERE, 1).user == "erased-1"

    # -- the change log --------------------------------------------------------------------------------
    def test_the_change_log_says_what_changed_in_the_order_of_commits(self, store: Any) -> None:
        store.records.commit(WHO, [put(2, model="U"), put(2), put(1, fields='{"a":1,"b":1,"c":1}')])
        store.records.commit(WHO, [put(1, base=1, fields='{"a":1,"b":2,"d":1}')])
        store.records.commit(WHO, [put(2, base=1, kind=DELETE)])
        store.records.commit(WHO, [put(2, base=2, a=5, kind=REVIVE)])
        assert store.records.changes(HERE, 0) == [
            Committed(1, "T", uuid(1), 1, PUT, ()),
            Committed(1, "T", uuid(2), 1, PUT, ()),
            Committed(1, "U", uuid(2), 1, PUT, ()),
            Committed(2, "T", uuid(1), 2, PUT, ("b", "c", "d")),
            Committed(3, "T", uuid(2), 2, DELETE, ()),
            Committed(4, "T", uuid(2), 3, PUT, ("a",)),
        ]
        assert [line.txn for line in store.records.changes(HERE, 1)] == [2, 3, 4]
        assert store.records.changes(HERE, 4) == []

    def test_the_change_log_gives_whole_transactions(self, store: Any) -> None:
        for start in (0, 10, 20):
            store.records.commit(WHO, [put(start + n) for n in range(5)])
        lengths = [len(store.records.changes(HERE, 0, limit)) for limit in (1, 5, 6, 10, 11, 1000)]
        assert lengths == [5, 5, 10, 10, 15, 15]
        assert {line.txn for line in store.records.changes(HERE, 1, 2)} == {2}

    def test_a_position_that_is_yet_to_come_is_said_to_be_none(self, store: Any) -> None:
        store.records.commit(WHO, [put()])
        with pytest.raises(exc.HistoryGone):
            store.records.changes(HERE, 2)
        with pytest.raises(exc.HistoryGone):
            store.records.changes("other.example", 1)

    def test_a_wake_comes_after_each_commit_until_it_is_undone(self, store: Any) -> None:
        heard = threading.Event()
        undo = store.records.wakes(heard.set)
        try:
            store.records.commit(WHO, [put()])
            assert heard.wait(10)
            heard.clear()
            store.records.submit(WHO, [put(2)]).result(10)
            assert heard.wait(10)
        finally:
            undo()
