"""Indexes are made, built and given up while programs read and write; no answer is ever wrong meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from limen.core.record.expression import Order, field
from limen.core.record.port import DELETE, ERASE, PUT, REVIVE, Change, Index, Stale, Transaction
from limen.core.record.query import Query
from limen.core.record.record import decode_fields, encode_fields
from limen.store.sql import SQLStore
from limen.store.sql.index import build
from limen.store.sql.index import catalog as catalogs

ONE = Index((("a", "int"),))
TWO = Index((("a", "int"), ("b", "text")))
OTHER = Index((("b", "text"),))
UNKNOWN = Index((("a", "int"), ("b", None)))
Open = Callable[[], SQLStore]


def who(domain: str = "d") -> Transaction:
    return Transaction(domain, None, None, "", "", "", 1.0)


def key(number: int) -> bytes:
    return number.to_bytes(16)


def put(number: int, base: int = 0, index: Index | None = ONE, kind: int = PUT, **fields: Any) -> Change:
    values = None if index is None else {name: fields.get(name) for name, _ in index.columns}
    return Change("T", key(number), base, encode_fields(fields), kind, index, values)


def remove(number: int, base: int, kind: int = DELETE, index: Index | None = ONE) -> Change:
    return Change("T", key(number), base, "", kind, index)


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same database, as often as one likes."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("tables_url")
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


@contextmanager
def slowly(monkeypatch: pytest.MonkeyPatch, most: int = 10, pause: float = 30.0) -> Iterator[None]:
    """Builders take few records at a time, and long pauses."""
    with monkeypatch.context() as patch:
        patch.setattr(build, "MOST", most)
        patch.setattr(build, "PAUSE", pause)
        yield


def asked(store: SQLStore, query: Query, domain: str = "d") -> tuple[list[int], str]:
    """The records that are found, and how."""
    answer = store.records.select(domain, query)
    rows = [(version.uuid, decode_fields(version.fields)) for version in answer.versions]
    assert query.where is not None
    return sorted(int.from_bytes(uuid) for uuid, fields in rows if query.where.matches(fields)), answer.how


def tables(store: SQLStore) -> dict[tuple[str, ...], str]:
    return {status.columns: status.state for status in store.records.indexes.status()}


def is_right(store: SQLStore, domain: str = "d") -> None:
    """Each table that is ready has exactly the rows that the records make."""
    engine = store.records._engine
    records = {
        version.uuid: decode_fields(version.fields) for version in store.records._all(domain, "T", None, "").versions
    }
    for model in store.records.indexes.refresh().models.values():
        for table in model.tables:
            if table.state == "ready":
                of = f"domain = (SELECT id FROM domain WHERE name = '{domain}')"
                rows = {row[1]: [*row] for row in engine.rows(f'SELECT * FROM "{table.name}" WHERE {of}', (), domain)}
                number = engine.rows(engine.sql.find_domain, (domain,), domain)[0][0]
                assert rows == {uuid: table.row(number, uuid, fields) for uuid, fields in records.items()}


def test_an_index_of_a_new_model_is_ready_at_once(store: SQLStore) -> None:
    store.records.commit(who(), [put(1, a=1), put(2, a=2)])
    assert tables(store) == {("a",): "ready"}
    assert asked(store, Query("T", ONE, field("a") == 2)) == (
        [2],
        f"in the database: {store.records.indexes.status()[0].table} (a)",
    )


def test_every_change_reaches_the_index(store: SQLStore) -> None:
    commit = store.records.commit
    commit(who(), [put(number, a=number, index=TWO, b="x") for number in range(1, 6)])
    commit(who(), [put(1, 1, index=TWO, a=10), remove(2, 1), remove(3, 1, ERASE), put(6, a=None, index=TWO)])
    is_right(store)
    commit(who(), [put(2, 2, kind=REVIVE, index=TWO, a=20, b="y" * 2000)])
    is_right(store)
    assert asked(store, Query("T", TWO, field("a") >= 10))[0] == [1, 2]


def test_what_is_refused_leaves_the_index_as_it_was(store: SQLStore) -> None:
    store.records.commit(who(), [put(1, a=1)])
    with pytest.raises(Stale):
        store.records.commit(who(), [put(2, a=2), put(1, 5, a=3)])
    is_right(store)


def test_an_index_is_built_while_the_program_goes_on(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    store.records.commit(who(), [put(number, index=None, a=number % 3) for number in range(1, 101)])
    store.records.commit(who("e"), [put(number, index=None, a=number % 3) for number in range(1, 101)])
    query = Query("T", ONE, field("a") == 1)
    expected = [number for number in range(1, 101) if number % 3 == 1]
    with slowly(monkeypatch):
        found, how = asked(store, query)
        assert found == expected
        assert how == "in Python: the index of T is being built"  # how far tells how much others have
        store.records.commit(who(), [put(1, 1, a=2), put(101, a=1), remove(4, 1)])
        while not (done := store.records.indexes.status()[0].done):
            time.sleep(0.01)
        assert done < 200
        status = store.records.indexes.status()[0]
        assert (status.model, status.columns, status.state, status.total) == ("T", ("a",), "building", 200)
        assert asked(store, query)[0] == [*expected[2:], 101]
    store.close()
    store = opened()
    found, how = asked(store, query)
    assert found == [*expected[2:], 101]
    assert store.records.indexes.settle()
    assert asked(store, query) == (found, f"in the database: {status.table} (a)")
    assert tables(store) == {("a",): "ready"}
    is_right(store)
    is_right(store, "e")


def test_a_builder_that_was_killed_goes_on_where_it_stopped(opened: Open) -> None:
    store = opened()
    store.records.commit(who(), [put(number, index=None, a=number) for number in range(1, 3001)])
    script = f"""
import logging, sys
from limen.store.sql import SQLStore
from limen.store.sql.index import build
from limen.core.record.port import Index
from limen.core.record.query import Query
from limen.core.record.expression import field
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
build.MOST = 100
store = SQLStore({store.url!r})
store.records.select("d", Query("T", Index((("a", "int"),)), field("a") == 5))
store.records.indexes.settle()
"""
    child = subprocess.Popen([sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if "20 %" in line:
            break
    child.kill()
    child.wait()
    child.stdout.close()
    done = store.records.indexes.status()[0].done
    assert 0 < done < 3000
    assert store.records.indexes.settle()
    status = store.records.indexes.status()[0]
    assert (status.state, status.done) == ("ready", 3000), "no record was brought in twice"
    is_right(store)


def test_a_changed_index_is_built_anew_and_the_old_one_goes(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    store.records.commit(who(), [put(number, a=number % 3, b=f"{number}") for number in range(1, 101)])
    with slowly(monkeypatch):
        assert asked(store, Query("T", OTHER, field("b") == "5"))[1].startswith("in Python: the index of T is being")
        assert asked(store, Query("T", OTHER, field("a") == 1))[1].startswith("in the database"), "the old one is there"
        store.records.commit(who(), [put(101, index=OTHER, a=1, b="5")])
        assert asked(store, Query("T", OTHER, field("a") == 1))[0][-1] == 101, "and it is kept up"
        is_right(store)
    store.close()
    store = opened()
    old = store.records.indexes.status()[0].table
    assert store.records.indexes.settle()
    assert tables(store) == {("b",): "ready"}
    assert asked(store, Query("T", OTHER, field("b") == "5")) == ([5, 101], f"in the database: {names(store)[0]} (b)")
    is_right(store)
    kept = "sqlite_master WHERE name" if "sqlite" in store.url else "pg_class WHERE relname"
    assert not store.records._engine.rows(f"SELECT 1 FROM {kept} LIKE '{old}%'")


def names(store: SQLStore) -> list[str]:
    return [status.table for status in store.records.indexes.status()]


def test_the_order_of_the_columns_makes_no_other_index(store: SQLStore) -> None:
    store.records.commit(who(), [put(1, index=TWO, a=1)])
    store.records.commit(who(), [put(2, index=Index((*reversed(TWO.columns),)), a=1)])
    assert len(names(store)) == 1


def test_the_kind_of_a_column_is_learnt_from_its_first_value(store: SQLStore) -> None:
    store.records.commit(who(), [put(1, index=UNKNOWN, a=1)])
    assert tables(store) == {("a",): "ready"}
    store.records.commit(who(), [put(2, index=UNKNOWN, a=1, b="text"), put(3, index=UNKNOWN, a=1, b=5)])
    assert store.records.indexes.settle()
    assert tables(store) == {("a", "b"): "ready"}
    assert asked(store, Query("T", UNKNOWN, field("b") == "text"))[0] == [2]
    assert asked(store, Query("T", UNKNOWN, field("b") == 5))[0] == [3], "of another kind: it does not fit"
    is_right(store)


def test_what_was_learnt_is_known_to_all(opened: Open) -> None:
    one = opened()
    one.records.commit(who(), [put(1, index=UNKNOWN, a=1, b=5)])
    one.records.indexes.settle()
    two = opened()
    assert asked(two, Query("T", UNKNOWN, field("b") == 5))[1].startswith("in the database")
    assert names(one) == names(two)


def test_programs_of_two_versions_run_beside_each_other(opened: Open) -> None:
    old, new = opened(), opened()
    old.records.commit(who(), [put(1, a=1, b="x"), put(2, a=2, b="y")])
    new.records.commit(who(), [put(3, index=TWO, a=1, b="z")])
    assert new.records.indexes.settle()
    assert tables(new) == {("a", "b"): "ready"}
    old.records.commit(who(), [put(4, a=1, b="x"), put(1, 1, a=5, b="x")])
    assert asked(new, Query("T", TWO, field("b") == "x"))[0] == [1, 4]
    assert asked(old, Query("T", ONE, field("a") == 1)) == ([3, 4], f"in the database: {names(new)[0]} (a)")
    assert tables(old) == {("a", "b"): "ready"}, "the older one does not take its own index back"
    is_right(new)


def test_a_table_that_is_not_kept_up_any_more_is_not_asked(opened: Open) -> None:
    old, new = opened(), opened()
    old.records.commit(who(), [put(1, a=1)])
    assert asked(old, Query("T", ONE, field("a") == 1))[1].startswith("in the database")
    new.records._engine.write(lambda hand: give_up(hand, new))
    new.records.commit(who(), [put(2, index=None, a=1)])
    assert asked(old, Query("T", ONE, field("a") == 1)) == ([1, 2], "in Python: T has no index")


def test_a_table_that_is_gone_is_not_asked(opened: Open) -> None:
    old, new = opened(), opened()
    old.records.commit(who(), [put(1, a=1, b="x")])
    assert asked(old, Query("T", ONE, field("a") == 1))[1].startswith("in the database")
    new.records.commit(who(), [put(2, index=OTHER, a=1, b="y")])
    assert new.records.indexes.settle()
    assert tables(new) == {("b",): "ready"}
    assert asked(old, Query("T", ONE, field("a") == 1)) == ([1, 2], "in Python: T has no index column a")
    old.records.commit(who(), [put(3, a=1, b="y")])
    assert asked(new, Query("T", OTHER, field("b") == "y"))[0] == [2, 3]


def test_a_table_of_a_newer_format_is_left_to_newer_programs(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(catalogs, "FORMAT", 3)
        new = opened()
        new.records.commit(who(), [put(1, a=1), put(2, a=2), put(3, a=3)])
        new.records._engine.write(lambda hand: mark_newer(hand, new))
        new.close()
    old = opened()
    old.records.commit(who(), [put(4, a=1), put(1, 1, a=7), remove(3, 1)])
    assert tables(old) == {("a",): "building"}
    assert asked(old, Query("T", ONE, field("a") == 1))[0] == [4]
    old.close()
    monkeypatch.setattr(catalogs, "FORMAT", 3)
    new = opened()
    assert asked(new, Query("T", ONE, field("a") == 1))[0] == [4]
    assert new.records.indexes.settle()
    assert tables(new) == {("a",): "ready"}
    is_right(new)


def mark_newer(hand: Any, store: SQLStore) -> None:
    sql = store.records._engine.sql
    [[(id, text)]] = hand.ask((sql.catalog, ("T",)))
    stored = catalogs.read(text)
    stored.tables[0].format = 3
    hand.tell(sql.set_catalog, (stored.text(), id))
    hand.tell(sql.bump)


def test_what_is_erased_is_gone_from_old_tables_too(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    store.records.commit(who(), [put(1, index=OTHER, b="secret"), put(2, index=OTHER, b="more")])
    with slowly(monkeypatch):
        engine = store.records._engine
        [old] = names(store)
        engine.write(lambda hand: give_up(hand, store))
        store.records.commit(who(), [remove(1, 1, ERASE, OTHER)])
        assert not [row for row in engine.rows(f'SELECT * FROM "{old}"', ()) if "secret" in row]


def give_up(hand: Any, store: SQLStore) -> None:
    sql = store.records._engine.sql
    [[(id, text)]] = hand.ask((sql.catalog, ("T",)))
    stored = catalogs.read(text)
    stored.tables[0].state = "old"
    hand.tell(sql.set_catalog, (stored.text(), id))
    hand.tell(sql.bump)


def test_who_can_not_wait_gets_the_index_a_little_later(store: SQLStore) -> None:
    store.records.submit(who(), [put(1, a=1)]).result()
    assert store.records.indexes.settle()
    assert tables(store) == {("a",): "ready"}
    assert asked(store, Query("T", ONE, field("a") == 1))[1].startswith("in the database")
    is_right(store)


def test_a_server_whose_index_is_there_loads_no_sqlalchemy_to_write(store: SQLStore) -> None:
    store.records.commit(who(), [put(1, a=1)])
    script = f"""
import sys
from limen.store.sql import SQLStore
from limen.core.record.port import Change, Index, Transaction, PUT
from limen.core.record.query import Query
from limen.core.record.expression import field
store, index = SQLStore({store.url!r}), Index((("a", "int"),))
who = Transaction("d", None, None, "", "", "", 1.0)
store.records.commit(who, [Change("T", bytes(16), 0, '{{"a":1}}', PUT, index, {{"a": 1}})])
assert "sqlalchemy" not in sys.modules
answer = store.records.select("d", Query("T", index, field("a") == 1))
assert len(answer.versions) == 2 and not answer.complete
assert "sqlalchemy" in sys.modules
store.close()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_answers_stay_right_while_indexes_come_and_go(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads write, a third one changes the index all the while; on PostgreSQL each is a program of its own."""
    monkeypatch.setattr(build, "MOST", 20)
    first = opened()
    alone = first.records._engine.dialect == "sqlite"
    stores = [first, first, first] if alone else [first, opened(), opened()]
    declared = (None, None) if alone else (ONE, TWO)
    stop = time.monotonic() + 2
    errors: list[BaseException] = []
    counts = [0, 0]

    def write(which: int) -> None:
        records = stores[which].records
        domain = f"d{which}"
        mine: dict[int, int] = {}
        try:
            while time.monotonic() < stop:
                counts[which] += 1
                number = counts[which] % 40 + 1
                vsn = mine.get(number, 0)
                a, b = counts[which] % 5, f"{counts[which] % 7}"
                records.commit(who(domain), [put(number, vsn, index=declared[which], a=a, b=b)])
                mine[number] = vsn + 1
                query = Query("T", None, field("a") == a, (Order("a"),))
                assert number in asked(stores[which], query, domain)[0]
                query = Query("T", None, field("b") != b)
                assert number not in asked(stores[which], query, domain)[0]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    changes = 0
    while time.monotonic() < stop and not errors:
        indexes = stores[2].records.indexes
        indexes._declared.clear()  # as a program that was started anew
        indexes.prepare([put(1, index=(ONE, TWO, OTHER)[changes % 3], a=1)])
        changes += 1
        if changes % 2:
            indexes.settle()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert changes > 1
    assert min(counts) > 5
    assert all(each.records.indexes.settle() for each in stores)
    for domain in ("d0", "d1"):
        is_right(stores[2], domain)


def test_a_store_is_closed_while_it_builds(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    store.records.commit(who(), [put(number, index=None, a=1) for number in range(1, 200)])
    with slowly(monkeypatch):
        asked(store, Query("T", ONE, field("a") == 1))
        begun = time.monotonic()
        store.close()
        assert time.monotonic() - begun < 25  # and not after a builder's pause
    assert not [thread for thread in threading.enumerate() if thread.name == "limen-index"]
