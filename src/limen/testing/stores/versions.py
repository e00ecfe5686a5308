"""What a store of records must do with versions, tenants, the past and questions."""

from __future__ import annotations

from typing import Any

import pytest

from limen.core.record.expression import field
from limen.core.record.port import (
    DELETE,
    ERASE,
    PUT,
    REVIVE,
    Stale,
    Transaction,
    Version,
)
from limen.core.record.query import Cursor, Query
from limen.core.record.record import decode_fields

from .changes import HERE, INDEX, WHO, Suite, put, reads, uuid


class VersionSuite(Suite):
    """The line of versions and the line of transactions."""

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
