"""Columns of what a program computes: built, kept up and given up without a wrong answer, and never computed under a
lock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from limen.core.record.expression import Order, field
from limen.core.record.port import DELETE, Change, Index, Transaction
from limen.core.record.query import Query
from limen.core.record.record import decode_fields, encode_fields
from limen.store.sql import SQLStore
from limen.store.sql.index import build
from limen.store.sql.index.compile import _column_name
from limen.store.sql.maintenance.check import check

Compute = Callable[[bytes, Mapping[str, Any]], Mapping[str, Any]]


def doubled(uuid: bytes, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"double": 2 * fields["a"], "last": uuid[15]}


def tripled(uuid: bytes, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"double": 3 * fields["a"], "last": uuid[15]}


def index(compute: Compute = doubled, version: int = 1) -> Index:
    columns = (("a", "int"), ("double", "int"), ("last", "int"))
    return Index(columns, frozenset({"double", "last"}), version, compute)


PLAIN = Index((("a", "int"),))
Open = Callable[[], SQLStore]


def who(domain: str = "d") -> Transaction:
    return Transaction(domain, None, None, "", "", "", 1.0)


def key(number: int) -> bytes:
    return number.to_bytes(16)


def put(number: int, index: Index | None, base: int = 0, **fields: Any) -> Change:
    values = None
    if index is not None:
        computed = index.compute(key(number), fields) if index.compute is not None else {}
        values = {name: computed[name] if name in index.computed else fields.get(name) for name, _ in index.columns}
    return Change("T", key(number), base, encode_fields(fields), index=index, values=values)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("tables_url"))
    return f"sqlite:///{tmp_path / 'a.db'}"


@pytest.fixture
def opened(url: str) -> Iterator[Open]:
    stores: list[SQLStore] = []

    def open_it() -> SQLStore:
        stores.append(SQLStore(url))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Open) -> SQLStore:
    return opened()


def found(store: SQLStore, value: int, of: Index, name: str = "double", at: int | None = None) -> tuple[list[int], str]:
    """The records that have this value, as a unit finds them in the store's answer, and how."""
    where = field(name) == value
    answer = store.records.select("d", Query("T", of, where), at)
    see = of.see({name})
    assert see is not None
    rows = [v for v in answer.versions if where.matches(see(v.uuid, decode_fields(v.fields)))]
    return sorted(int.from_bytes(v.uuid) for v in rows), answer.how


def states(store: SQLStore) -> list[str]:
    return [status.state for status in store.records.indexes.status()]


def test_every_change_reaches_the_computed_columns(store: SQLStore) -> None:
    it = index()
    store.records.commit(who(), [put(n, it, a=n) for n in range(1, 10)])
    store.records.commit(who(), [put(1, it, 1, a=4), Change("T", key(2), 1, "", DELETE, it)])
    assert found(store, 8, it)[0] == [1, 4]
    assert "in the database" in found(store, 8, it)[1]
    assert found(store, 4, it)[0] == []
    assert found(store, 3, it, "last")[0] == [3]
    assert store.records.count("d", Query("T", it, field("double") == 8)) == (2, 2)
    assert found(store, 2, it, at=1)[0] == [1], "as of the past, of what has changed since"
    ordered = store.records.select("d", Query("T", it, None, (Order("double", True),), 3))
    assert [int.from_bytes(v.uuid) for v in ordered.versions] == [9, 8, 7]


def test_what_was_there_before_is_computed_without_holding_anybody_up(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.records.commit(who(), [put(n, None, a=n) for n in range(1, 200)])
    store.records.commit(who("e"), [put(n, None, a=n) for n in range(1, 10)])
    asked: list[int] = []

    def compute(uuid: bytes, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        number = len(asked) + 1000
        asked.append(number)
        if threading.current_thread().name == "limen-index" and number % 20 == 0:  # under a lock it would wait for it
            store.records.commit(who(), [Change("Other", key(number), 0, "{}")])
        return doubled(uuid, fields)

    it = index(compute)
    assert found(store, 20, it)[0] == [10], "in Python, while it is built"
    assert store.records.indexes.settle()
    assert states(store) == ["ready"]
    assert found(store, 20, it) == ([10], found(store, 20, it)[1])
    assert "in the database" in found(store, 20, it)[1]
    assert len(store.records.select("e", Query("T", it, field("double") > 0)).versions) == 9
    assert any(number % 20 == 0 for number in asked)


def test_records_that_change_while_they_are_computed_are_not_missed(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and locking some are changed, made and deleted, by this program and by one that can't compute."""
    monkeypatch.setattr(build, "PAUSE", 0.001)
    store.records.commit(who(), [put(n, None, a=n) for n in range(1, 121)])
    turns = iter(range(1, 40))
    plain = index()

    def compute(uuid: bytes, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        turn = next(turns, None) if threading.current_thread().name == "limen-index" else None
        if turn is not None:
            base = store.records.read("d", "T", key(3 * turn))[1]
            if base is not None and not base.deleted:
                mine = it if turn % 2 else None
                change = put(3 * turn, plain, base.vsn, a=500)
                store.records.commit(who(), [change._replace(index=mine, values=change.values if mine else None)])
            store.records.commit(who(), [put(1000 + turn, plain if turn % 3 else None, a=500)])
        return doubled(uuid, fields)

    it = index(compute)
    found(store, 1, it)
    assert store.records.indexes.settle()
    ids = [n for n in range(1, 1100) if (v := store.records.read("d", "T", key(n))[1]) and '"a":500' in v.fields]
    assert found(store, 1000, plain) == (ids, found(store, 1000, plain)[1])
    assert "in the database" in found(store, 1000, plain)[1]
    assert len(ids) > 50
    assert next(turns, None) is None


def test_a_hook_that_raises_stops_the_building_and_says_for_which_record(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened()
    store.records.commit(who(), [put(n, None, a=n if n != 5 else "five") for n in range(1, 10)])
    broken = index(lambda uuid, fields: {"double": fields["a"] // 1, "last": 0})
    with caplog.at_level(logging.INFO, "limen.store"):
        store.records.select("d", Query("T", broken, field("a") == 3))
        assert store.records.indexes.settle()
    assert states(store) == ["building"]
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "T.index raised TypeError" in line
    assert "00000000-0000-0000-0000-000000000005" in line
    answer = store.records.select("d", Query("T", broken, field("a") == 3))
    assert answer.complete
    assert "can't be built: T.index raised TypeError" in answer.how
    store.records.commit(who(), [put(20, broken, a=3)])
    assert len(store.records.select("d", Query("T", broken, field("a") == 3)).versions) == 10
    # A program whose hook takes them all goes on.
    store.close()
    mended = opened()
    it = index(lambda uuid, fields: {"double": 2 * int(fields["a"] if fields["a"] != "five" else 5), "last": 0})
    mended.records.commit(who(), [put(21, it, a=5)])
    assert mended.records.indexes.settle()
    assert states(mended) == ["ready"]
    assert found(mended, 10, it)[0] == [5, 21]


def test_another_version_of_what_is_computed_is_built_anew(opened: Open, url: str) -> None:
    old, new = opened(), opened()
    one, two = index(doubled), index(tripled, version=2)
    old.records.commit(who(), [put(n, one, a=n) for n in range(1, 10)])
    assert found(new, 6, two)[0] == [2]
    assert new.records.indexes.settle()
    assert states(new) == ["ready"]
    assert "in the database" in found(new, 6, two)[1]
    # The old program still runs: it finds what it means by it, and what it writes is computed again by the new one.
    assert found(old, 6, one)[0] == [3]
    assert "in Python" in found(old, 6, one)[1]
    assert "in the database" in old.records.select("d", Query("T", one, field("a") == 3)).how, "the fields are the same"
    old.records.commit(who(), [put(2, one, 1, a=4), put(30, one, a=2)])
    assert states(old) == ["building"]
    assert found(old, 8, one)[0] == [2, 4]
    assert found(new, 12, two)[0] == [2, 4]
    new.records.commit(who(), [put(40, two, a=4)])
    new.records.indexes._builder.wake()
    assert new.records.indexes.settle()
    assert found(new, 12, two) == ([2, 4, 40], found(new, 12, two)[1])
    assert "in the database" in found(new, 12, two)[1]
    assert list(check(url)) == []


def test_a_program_that_can_not_compute_marks_the_index_as_building(opened: Open) -> None:
    it = index()
    new, old = opened(), opened()
    new.records.commit(who(), [put(n, it, a=n) for n in range(1, 10)])
    old.records.commit(who(), [put(50, None, a=4), put(3, None, 1, a=4)])
    assert states(new) == ["building"]
    assert found(new, 8, it)[0] == [3, 4, 50]
    new.records.indexes._builder.wake()
    assert new.records.indexes.settle()
    assert "in the database" in found(new, 8, it)[1]
    assert found(new, 8, it)[0] == [3, 4, 50]
    old.records.indexes._builder.wake()
    assert old.records.indexes.settle(5), "it leaves the building to others"


def test_a_field_and_what_is_computed_under_its_name_are_never_mixed_up(opened: Open) -> None:
    fields = Index((("a", "int"), ("double", "int")))
    old, new = opened(), opened()
    old.records.commit(who(), [put(n, fields, a=n, double=7) for n in range(1, 4)])
    it = index()
    assert found(new, 4, it)[0] == [2]
    assert new.records.indexes.settle()
    assert len(old.records.select("d", Query("T", fields, field("double") == 7)).versions) == 3
    new.records.commit(who(), [put(9, it, a=2, double=7)])
    assert found(new, 4, it)[0] == [2, 9]
    assert found(new, 7, it)[0] == []


def test_check_skips_what_it_can_not_compute(store: SQLStore, url: str) -> None:
    it = index()
    store.records.commit(who(), [put(n, it, a=n) for n in range(1, 4)])
    assert list(check(url)) == []
    [table] = [status.table for status in store.records.indexes.status()]
    names = {name: _column_name(number, name) for number, name in enumerate(("a", "double", "last"))}

    def spoil(name: str) -> None:
        store.records._engine.write(lambda hand: hand.tell(f'UPDATE "{table}" SET "{names[name]}" = 77'))

    spoil("double")
    assert list(check(url)) == []
    spoil("a")
    wrong = list(check(url))
    assert len(wrong) == 3
    assert all("the index has other values than the record" in line for line in wrong)
