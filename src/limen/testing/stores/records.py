"""What a store of records must do. The port is `limen.core.record.port.RecordStore`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from limen import exc
from limen.core.record.expression import field
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    REVIVE,
    Change,
    Committed,
    Conflict,
    Index,
    Keep,
    Reads,
    Stale,
    Transaction,
    Version,
)
from limen.core.record.query import Cursor, Query
from limen.core.record.record import decode_fields, encode_fields

WHO = Transaction("localhost", "ada", "root", "todo.add", "192.0.2.1", "why", 1_700_000_000.125)
HERE = "localhost"
THREADS = 8
INDEX = Index((("a", "int"),))


class Suite:
    """Of a store: how it is opened again."""

    store: Any

    def again(self, store: Any) -> Any:
        """The same data, opened a second time; None for a store that forgets."""
        return None


def uuid(number: int) -> bytes:
    """The key of a record in these tests."""
    return number.to_bytes(16)


def put(
    number: int = 1,
    base: int = 0,
    a: Any = 1,
    *,
    kind: int = PUT,
    model: str = "T",
    keep: Keep = None,
    fields: str | None = None,
    index: Index | None = None,
) -> Change:
    """A change of the record of that number, to the fields {"a": a}."""
    text = encode_fields({"a": a}) if fields is None else fields
    values = None if index is None or kind in (DELETE, ERASE) else {"a": decode_fields(text).get("a")}
    return Change(model, uuid(number), base, text, kind, index, values, keep)


def reads(at: int, *keys: int, model: str = "T", where: Any = ()) -> Reads:
    """What a unit has read: records by their numbers, and the model by the conditions *where*."""
    return Reads(at, {(model, uuid(number)) for number in keys}, {model: list(where)} if where else {})


class RecordStoreSuite(Suite):
    """The port is `limen.core.record.port.RecordStore`."""

    # -- versions and transactions ---------------------------------------------------------------------
    def test_the_first_version_is_one_and_each_further_one_more(self, store: Any) -> None:
        assert store.records.commit(WHO, [put()]) == 1
        assert store.records.commit(WHO, [put(base=1, a=2)]) == 2
        at, newest = store.records.read(HERE, "T", uuid(1))
        assert (at, newest) == (2, Version(uuid(1), 2, 2, '{"a":2}', False))
        assert type(newest.uuid) is bytes
        assert newest.deleted is False
        assert newest.erased is False

    def test_what_was_never_there_is_not_found(self, store: Any) -> None:
        store.records.commit(WHO, [put()])
        for domain, model, number in ((HERE, "T", 2), (HERE, "U", 1), ("other.example", "T", 1)):
            at = 1 if domain == HERE else 0
            assert store.records.read(domain, model, uuid(number)) == (at, None)
            assert store.records.read(domain, model, uuid(number), at) == (at, None)
            assert store.records.history(domain, model, uuid(number)) == []
        assert self.all(store, "other.example", "T") == self.all(store, HERE, "U") == []
        assert store.records.last("other.example") == 0
        assert store.records.transaction("other.example", 1) is None
        assert store.records.transaction(HERE, 2) is None

    @pytest.mark.parametrize("base", [0, 1, 3, 99])
    def test_a_stale_base_is_refused_with_the_newest_and_who_wrote_it(self, store: Any, base: int) -> None:
        store.records.commit(WHO, [put()])
        number = store.records.commit(WHO._replace(user="bob"), [put(base=1, a=2)])
        with pytest.raises(Stale) as caught:
            store.records.commit(WHO, [put(base=base, a=3)])
        assert caught.value.change == put(base=base, a=3)
        assert caught.value.newest == Version(uuid(1), 2, number, '{"a":2}', False)
        assert caught.value.by is not None
        assert (caught.value.by.user, caught.value.by.number) == ("bob", number)
        assert store.records.read(HERE, "T", uuid(1))[1].fields == '{"a":2}'
        assert len(store.records.history(HERE, "T", uuid(1))) == 2

    @pytest.mark.parametrize("kind", [PUT, DELETE, REVIVE, ERASE])
    def test_a_version_of_a_record_that_is_not_there_is_refused(self, store: Any, kind: int) -> None:
        for base in (1, 0) if kind != PUT else (1,):
            with pytest.raises(Stale) as caught:
                store.records.commit(WHO, [put(base=base, kind=kind)])
            assert caught.value.newest is None
        assert store.records.read(HERE, "T", uuid(1)) == (0, None)

    def test_a_commit_is_whole_or_not_at_all(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])
        before = store.records.progress()
        with pytest.raises(Stale) as caught:
            store.records.commit(WHO, [put(3), put(1, base=1), put(2, base=7), put(4, model="New")])
        assert caught.value.change.uuid == uuid(2)
        assert [v.vsn for v in self.all(store)] == [1, 1]
        assert store.records.read(HERE, "T", uuid(3))[1] is None
        assert self.all(store, HERE, "New") == []
        assert store.records.progress() == before
        assert store.records.last(HERE) == 1
        assert store.records.changes(HERE, 1) == []
        assert store.records.commit(WHO, [put(4, model="New")]) == 2
        assert len(self.all(store, HERE, "New")) == 1

    def test_a_deleted_record_stays_in_the_line_of_versions_and_leaves_the_list(self, store: Any) -> None:
        store.records.commit(WHO, [put(1, a=5), put(2)])
        store.records.commit(WHO, [put(1, base=1, kind=DELETE, fields="")])
        assert store.records.read(HERE, "T", uuid(1)) == (2, Version(uuid(1), 2, 2, '{"a":5}', True))
        assert [v.uuid for v in self.all(store)] == [uuid(2)]
        for base in (0, 1, 2):
            for kind in (PUT, DELETE):
                with pytest.raises(Stale):
                    store.records.commit(WHO, [put(1, base=base, kind=kind)])

    def test_a_deleted_record_can_be_revived_and_only_a_deleted_one(self, store: Any) -> None:
        store.records.commit(WHO, [put()])
        with pytest.raises(Stale):
            store.records.commit(WHO, [put(base=1, kind=REVIVE)])
        store.records.commit(WHO, [put(base=1, kind=DELETE)])
        with pytest.raises(Stale):
            store.records.commit(WHO, [put(base=1, kind=REVIVE)])
        store.records.commit(WHO, [put(base=2, a=3, kind=REVIVE)])
        assert store.records.read(HERE, "T", uuid(1))[1] == Version(uuid(1), 3, 3, '{"a":3}', False)
        assert [v.deleted for v, _ in store.records.history(HERE, "T", uuid(1))] == [False, True, False]
        store.records.commit(WHO, [put(base=3, a=4)])
        assert [v.vsn for v in self.all(store)] == [4]

    def test_history_tells_who_when_through_what_and_why(self, store: Any) -> None:
        nobody = Transaction(HERE, None, None, "", "", "", WHO.time + 2.5)
        first = store.records.commit(WHO, [put()])
        second = store.records.commit(nobody, [put(base=1, kind=DELETE)])
        history = store.records.history(HERE, "T", uuid(1))
        assert [version.vsn for version, _ in history] == [1, 2]
        assert [by for _, by in history] == [WHO._replace(number=first), nobody._replace(number=second)]
        assert store.records.transaction(HERE, first) == WHO._replace(number=first)
        assert store.records.transaction(HERE, second + 1) is None

    def test_history_is_given_in_parts(self, store: Any) -> None:
        for base in range(70):  # over several keyframes
            store.records.commit(WHO, [put(base=base, fields=f'{{"a":{base},"long":"{"x" * 99}"}}')])
        whole = store.records.history(HERE, "T", uuid(1))
        assert [(v.vsn, v.txn, decode_fields(v.fields)["a"]) for v, _ in whole] == [
            (n + 1, n + 1, n) for n in range(70)
        ]
        assert store.records.history(HERE, "T", uuid(1), after=40) == whole[40:]
        assert store.records.history(HERE, "T", uuid(1), after=40, limit=3) == whole[40:43]
        assert store.records.history(HERE, "T", uuid(1), limit=1) == whole[:1]
        assert store.records.history(HERE, "T", uuid(1), after=70) == []

    def test_every_version_comes_back_as_it_was_written(self, store: Any) -> None:
        texts = [
            '{"a":1,"b":"long enough to be worth a delta","c":[1,2]}',
            '{"a":2,"b":"long enough to be worth a delta","c":[1,2]}',
            '{"b":"long enough to be worth a delta","c":[1,3],"a":2}',
            '{"c":[1,3],"a":2,"d":null}',
            '{"c":[1,3],"a":2,"d":null}',
            "{}",
            '{"\\u0000":"\U0001f600","$x":{"$$x":1}}',
        ]
        for base, text in enumerate(texts):
            store.records.commit(WHO, [put(base=base, fields=text)])
        assert [v.fields for v, _ in store.records.history(HERE, "T", uuid(1))] == texts
        assert [store.records.read(HERE, "T", uuid(1), n + 1)[1].fields for n in range(len(texts))] == texts

    @pytest.mark.parametrize("fields", ["{}", '{"t":"\\u0000 \U0001f600 \'\\""}', '{"t":"' + "x" * 2_000_000 + '"}'])
    def test_fields_come_back_as_they_went_in(self, store: Any, fields: str) -> None:
        store.records.commit(WHO, [put(fields=fields)])
        assert store.records.read(HERE, "T", uuid(1))[1].fields == fields

    # -- domains ---------------------------------------------------------------------------------------
    def test_each_domain_counts_its_own_transactions(self, store: Any) -> None:
        other = WHO._replace(domain="other.example")
        assert [store.records.commit(who, [put(n)]) for n, who in enumerate((WHO, other, other, WHO, other))] == [
            1, 1, 2, 2, 3,
        ]  # fmt: skip
        assert (store.records.last(HERE), store.records.last("other.example")) == (2, 3)
        assert store.records.domains() == [HERE, "other.example"]
        assert store.records.progress() == 5
        store.records.commit(WHO._replace(domain=""), [put()])
        assert store.records.domains() == ["", HERE, "other.example"]

    def test_tenants_do_not_see_or_touch_each_other(self, store: Any) -> None:
        other = WHO._replace(domain="other.example", user="eve")
        store.records.commit(WHO, [put()])
        store.records.commit(other, [put(fields='{"b":1}')])
        store.records.commit(other, [put(base=1, fields='{"b":2}'), put(2)])
        assert store.records.read(HERE, "T", uuid(1)) == (1, Version(uuid(1), 1, 1, '{"a":1}', False))
        assert store.records.read("other.example", "T", uuid(1))[1].fields == '{"b":2}'
        assert [v.fields for v in self.all(store)] == ['{"a":1}']
        assert [by.user for _, by in store.records.history(HERE, "T", uuid(1))] == ["ada"]
        assert [line.uuid for line in store.records.changes(HERE, 0)] == [uuid(1)]
        assert store.records.at_time(HERE, WHO.time) == 1
        with pytest.raises(Stale) as caught:
            store.records.commit(WHO._replace(domain="third.example"), [put(base=1)])
        assert caught.value.newest is None
        with pytest.raises(Stale):
            store.records.commit(other, [put(base=1, kind=ERASE)])
        store.records.commit(other, [put(base=2, kind=ERASE)])
        assert store.records.read(HERE, "T", uuid(1))[1].fields == '{"a":1}'
        assert store.records.commit(WHO, [put(base=1)], reads(1, 2, where=[None])) == 2

    # -- the past --------------------------------------------------------------------------------------
    def test_the_past_stays_as_it_was(self, store: Any) -> None:
        store.records.commit(WHO, [put(1, a=1), put(2, a=1)])
        store.records.commit(WHO, [put(1, base=1, a=2)])
        store.records.commit(WHO, [put(2, base=1, kind=DELETE), put(3, a=3)])
        store.records.commit(WHO, [put(2, base=2, a=4, kind=REVIVE)])
        seen = [[(v.uuid[-1], v.vsn, decode_fields(v.fields)["a"]) for v in self.all(store, at=at)] for at in range(5)]
        assert seen == [
            [],
            [(1, 1, 1), (2, 1, 1)],
            [(1, 2, 2), (2, 1, 1)],
            [(1, 2, 2), (3, 1, 3)],
            [(1, 2, 2), (2, 3, 4), (3, 1, 3)],
        ]
        assert self.all(store) == self.all(store, at=4)
        one = [store.records.read(HERE, "T", uuid(2), at) for at in range(5)]
        assert [at for at, _ in one] == [0, 1, 2, 3, 4]
        assert [None if v is None else (v.vsn, v.deleted) for _, v in one] == [
            None, (1, False), (1, False), (2, True), (3, False),
        ]  # fmt: skip

    def test_a_time_leads_to_the_last_transaction_not_later(self, store: Any) -> None:
        for number, time in enumerate((10.0, 20.0, 20.0, 30.5)):
            store.records.commit(WHO._replace(time=time), [put(number)])
        found = [store.records.at_time(HERE, time) for time in (9.999, 10.0, 19.0, 20.0, 30.4, 30.5, 1e12)]
        assert found == [0, 1, 1, 3, 3, 4, 4]
        assert store.records.at_time("other.example", 1e12) == 0

    def test_recorded_time_never_runs_backwards(self, store: Any) -> None:
        for number, time in enumerate((100.0, 50.0, 99.0, 101.0)):
            store.records.commit(WHO._replace(time=time), [put(number)])
        times = [store.records.transaction(HERE, number).time for number in range(1, 5)]
        assert times == [100.0, 100.0, 100.0, 101.0]
        assert store.records.at_time(HERE, 60.0) == 0
        assert store.records.at_time(HERE, 100.0) == 3

    # -- searching -------------------------------------------------------------------------------------
    def all(self, store: Any, domain: str = HERE, model: str = "T", at: int | None = None) -> list[Version]:
        """All records of a model, ordered by uuid."""
        answer = store.records.select(domain, Query(model), at)
        assert answer.at == (store.records.last(domain) if at is None else at)
        assert [v.uuid for v in answer.versions] == sorted(v.uuid for v in answer.versions)
        return [*answer.versions]

    def test_select_gives_the_newest_versions_ordered_by_uuid(self, store: Any) -> None:
        for number in (3, 1, 2):
            store.records.commit(WHO, [put(number)])
        store.records.commit(WHO, [put(3, base=1, a=9)])
        found = self.all(store)
        assert [(v.uuid, v.vsn) for v in found] == [(uuid(1), 1), (uuid(2), 1), (uuid(3), 2)]
        assert found[2].fields == '{"a":9}'

    def test_no_record_that_matches_is_missing_from_an_answer(self, store: Any) -> None:
        for number in range(40):
            store.records.commit(WHO, [put(number, a=number % 7 if number % 5 else None, index=INDEX)])
        store.records.commit(WHO, [put(10, base=1, a=3, index=INDEX), put(11, base=1, kind=DELETE, index=INDEX)])
        for at in (None, 41, 40, 20):
            every = {v.uuid: decode_fields(v.fields) for v in self.all(store, at=at)}
            for where in (field("a") == 3, field("a") >= 4, (field("a") < 2) | (field("a") == None), None):  # noqa: E711
                answer = store.records.select(HERE, Query("T", INDEX, where), at)
                wanted = {key for key, fields in every.items() if where is None or where.matches(fields)}
                assert wanted <= {v.uuid for v in answer.versions} <= {*every}
                counted = store.records.count(HERE, Query("T", INDEX, where, limit=100), at)
                assert counted is None or counted == (answer.at, len(wanted))
                counted = store.records.count(HERE, Query("T", INDEX, where, limit=2), at)
                assert counted is None or counted == (answer.at, min(len(wanted), 2))

    def test_an_answer_that_is_not_complete_is_in_the_order_asked_behind_the_cursor(self, store: Any) -> None:
        for number in range(30):
            store.records.commit(WHO, [put(number, a=number * 7 % 10, index=INDEX)])
        order = (field("a").desc(),)
        expected = sorted(range(30), key=lambda number: (number * 7 % 10, number), reverse=True)
        for start in (0, 7, 29):
            place = None if start == 0 else Cursor((expected[start - 1] * 7 % 10,), uuid(expected[start - 1]))
            answer = store.records.select(HERE, Query("T", INDEX, None, order, 5, place))
            if answer.complete:
                assert len(answer.versions) == 30
            else:
                assert [v.uuid for v in answer.versions] == [uuid(n) for n in expected[start : start + 5]]
            assert isinstance(answer.how, str)

    # -- conflicts -------------------------------------------------------------------------------------
    def conflict(self, store: Any, seen: Reads, *changes: Change) -> Any:
        """The Conflict of a commit, None where it was let through."""
        try:
            store.records.commit(WHO, list(changes) or [put(99)], seen)
        except Conflict as found:
            return found
        return None

    def test_a_record_that_was_read_and_changed_since_is_a_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])
        store.records.commit(WHO._replace(user="bob"), [put(1, base=1)])
        before = store.records.progress()
        found = self.conflict(store, reads(1, 1, 2))
        assert (found.model, found.uuid, found.by.user, found.by.number) == ("T", uuid(1), "bob", 2)
        assert store.records.progress() == before
        assert store.records.read(HERE, "T", uuid(99))[1] is None
        assert self.conflict(store, reads(1, 2)) is None

    def test_what_was_not_changed_since_it_was_read_is_none(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])
        store.records.commit(WHO, [put(1, base=1)])
        assert self.conflict(store, reads(2, 1, 2, where=[None])) is None
        assert self.conflict(store, reads(3, 1, model="Other", where=[None]), put(98)) is None

    @pytest.mark.parametrize("kind", [DELETE, ERASE, REVIVE, PUT])
    def test_each_kind_of_change_is_a_conflict(self, store: Any, kind: int) -> None:
        store.records.commit(WHO, [put(1)])
        base = 1
        if kind == REVIVE:
            store.records.commit(WHO, [put(1, base=1, kind=DELETE)])
            base = 2
        at = store.records.commit(WHO, [put(2)])
        store.records.commit(WHO, [put(1, base=base, kind=kind)])
        assert self.conflict(store, reads(at, 1)) is not None
        assert self.conflict(store, reads(at, where=[field("a") == 1])) is not None
        assert self.conflict(store, reads(at, where=[None])) is not None
        assert self.conflict(store, reads(at, 2)) is None

    def test_a_record_that_was_missed_and_is_there_now_is_a_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        store.records.commit(WHO, [put(2)])
        assert self.conflict(store, reads(1, 2)) is not None

    @pytest.mark.parametrize(
        ("before", "after", "conflicts"),
        [
            (None, 5, True),
            (5, 6, True),
            (4, 5, True),
            (5, None, True),
            (None, 4, False),
            (4, 6, False),
            (4, None, False),
        ],
    )
    def test_a_search_conflicts_with_what_matched_before_or_matches_now(
        self, store: Any, before: int | None, after: int | None, conflicts: bool
    ) -> None:
        """None: it is not there."""
        store.records.commit(WHO, [put(2)] if before is None else [put(1, a=before), put(2)])
        kind = DELETE if after is None else PUT
        store.records.commit(WHO, [put(1, base=0 if before is None else 1, a=after, kind=kind)])
        found = self.conflict(store, reads(1, where=[field("a") == 5]))
        assert (found is not None) is conflicts
        assert self.conflict(store, reads(1, where=[field("a") == 7]), put(98)) is None
        assert self.conflict(store, reads(1, where=[field("a") == 7, None]), put(97)) is not None

    def test_a_search_of_another_model_or_domain_is_no_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        store.records.commit(WHO, [put(1, base=1)])
        store.records.commit(WHO._replace(domain="other.example"), [put(5, model="U")])
        assert self.conflict(store, reads(1, 5, model="U", where=[None])) is None

    def test_writing_what_was_read_is_no_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        assert self.conflict(store, reads(1, 1, where=[None]), put(1, base=1)) is None

    def test_a_stale_base_comes_before_a_conflict(self, store: Any) -> None:
        store.records.commit(WHO, [put(1)])
        store.records.commit(WHO, [put(1, base=1)])
        with pytest.raises(Stale):
            store.records.commit(WHO, [put(1, base=1)], reads(1, 1))

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

    def test_what_was_read_without_history_must_still_be_there(self, store: Any) -> None:
        store.records.commit(WHO, [put(1, keep=0), put(2, keep=0)])
        both = reads(1)._replace(found=frozenset({("T", uuid(1)), ("T", uuid(2))}))
        store.records.commit(WHO, [put(3)])
        assert self.conflict(store, both, put(4)) is None
        store.records.commit(WHO, [put(2, base=1, keep=0, kind=DELETE)])
        found = self.conflict(store, both, put(5))
        assert (found.model, found.uuid) == ("T", uuid(2))

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

    # -- at once ---------------------------------------------------------------------------------------
    def test_submit_does_what_commit_does(self, store: Any) -> None:
        futures = [store.records.submit(WHO, [put(number)]) for number in range(20)]
        assert sorted(future.result(10) for future in futures) == list(range(1, 21))
        stale = store.records.submit(WHO, [put(1, base=7)])
        conflict = store.records.submit(WHO, [put(30)], reads(1, 5))
        assert isinstance(stale.exception(10), Stale)
        assert isinstance(conflict.exception(10), Conflict)
        assert store.records.last(HERE) == 20
        assert len(self.all(store)) == 20

    def test_of_many_writers_of_one_version_one_gets_through(self, store: Any) -> None:
        store.records.commit(WHO, [put()])

        def attempt(writer: int) -> int:
            written, base = 0, 1
            while written < 5:
                try:
                    store.records.commit(WHO._replace(user=str(writer)), [put(base=base)])
                    written, base = written + 1, base + 1
                except Stale as stale:
                    base = stale.newest.vsn if stale.newest is not None else 0
            return written

        self.together(attempt)
        history = store.records.history(HERE, "T", uuid(1))
        assert [version.vsn for version, _ in history] == list(range(1, 5 * THREADS + 2))
        assert [by.number for _, by in history] == list(range(1, 5 * THREADS + 2))
        times = [by.time for _, by in history]
        assert times == sorted(times)

    def test_two_who_read_what_the_other_writes_do_not_both_get_through(self, store: Any) -> None:
        """Write skew: each of many keeps the rule "one of the two stays 1" as it sees it."""
        store.records.commit(WHO, [put(1, a=1), put(2, a=1)])

        def attempt(writer: int) -> None:
            for turn in range(10):
                at, mine = store.records.read(HERE, "T", uuid(1 + (writer + turn) % 2))
                _, other = store.records.read(HERE, "T", uuid(2 - (writer + turn) % 2), at)
                both = decode_fields(mine.fields)["a"] == decode_fields(other.fields)["a"] == 1
                change = Change("T", mine.uuid, mine.vsn, '{"a":0}' if both else '{"a":1}')
                try:
                    store.records.commit(WHO, [change], Reads(at, {("T", other.uuid)}, {}))
                except (Stale, Conflict):
                    continue

        self.together(attempt)
        for at in range(1, store.records.last(HERE) + 1):
            assert sum(decode_fields(v.fields)["a"] for v in self.all(store, at=at)) >= 1

    def test_readers_see_whole_commits_while_others_write(self, store: Any) -> None:
        store.records.commit(WHO, [put(1), put(2)])

        def write(_: int) -> None:
            for base in range(1, 40):
                store.records.commit(WHO, [put(1, base=base), put(2, base=base)])

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write, 0)
            while not writing.done():
                answer = store.records.select(HERE, Query("T"))
                one, two = answer.versions
                assert (one.vsn, one.txn) == (two.vsn, two.txn) == (answer.at, answer.at)
                at, first = store.records.read(HERE, "T", uuid(1))
                assert first.txn == at
                assert store.records.read(HERE, "T", uuid(2), at)[1].txn == at
                earlier = max(1, at - 3)
                assert [v.txn for v in store.records.select(HERE, Query("T"), earlier).versions] == [earlier, earlier]
            writing.result()

    def test_a_number_that_was_seen_has_all_before_it(self, store: Any) -> None:
        """Many write in many domains; whoever follows the log misses nothing and sees nothing twice."""
        done = threading.Event()
        domains = [HERE, "other.example"]

        def follow(domain: str) -> list[Committed]:
            lines: list[Committed] = []
            while True:
                over = done.is_set()
                found = store.records.changes(domain, lines[-1].txn if lines else 0, 7)
                lines += found
                if over and not found:
                    return lines

        def write(writer: int) -> None:
            for turn in range(10):
                who = WHO._replace(domain=domains[turn % 2])
                store.records.commit(who, [put(writer * 100 + turn), put(writer * 100 + turn + 50)])

        with ThreadPoolExecutor(2) as pool:
            following = [pool.submit(follow, domain) for domain in domains]
            try:
                self.together(write)
            finally:
                done.set()
            for future in following:
                lines = future.result()
                assert [line.txn for line in lines] == [n for n in range(1, 5 * THREADS + 1) for _ in range(2)]

    def together(self, attempt: Callable[[int], Any]) -> None:
        """`attempt(n)` in THREADS threads at once."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(attempt, range(THREADS)))

    # -- again -----------------------------------------------------------------------------------------
    def test_records_are_there_after_opening_again(self, store: Any) -> None:
        store.records.commit(WHO, [put()])
        store.records.commit(WHO, [put(base=1, a=2)])
        other = self.again(store)
        if other is not None:
            assert other.records.read(HERE, "T", uuid(1)) == (2, Version(uuid(1), 2, 2, '{"a":2}', False))
            assert other.records.read(HERE, "T", uuid(1), 1)[1].fields == '{"a":1}'
            assert other.records.changes(HERE, 0) == store.records.changes(HERE, 0)
            assert (other.records.domains(), other.records.progress()) == ([HERE], 2)
            assert other.records.transaction(HERE, 1) == WHO._replace(number=1)
            assert other.records.commit(WHO._replace(time=5.0), [put(base=2)]) == 3
            assert other.records.transaction(HERE, 3).time == WHO.time
            other.close()
            assert store.records.read(HERE, "T", uuid(1))[1].vsn == 3
