"""Eight clients at once on each store: what they have read and written could have been done one after the other, in the
order of the clock on the wall. And the check has teeth: with the protection taken away it finds what then happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from histories import documents_on, in_threads, lists_on
from lists import anomalies
from shelves import Item, Shelf, prepare, storage_on
from versions import one_line

from limen import dbm, exc
from limen.core.record.port import Stale

CLIENTS = 8


def test_eight_threads_find_no_anomaly(store: Any) -> None:
    history = lists_on(store, CLIENTS, 40)
    assert anomalies(history) == {}
    assert sum(t["status"] == "ok" for t in history) > CLIENTS * 40 // 3
    assert not any(t["status"] == "info" for t in history)


def test_eight_tasks_find_no_anomaly(store: Any) -> None:
    history = lists_on(store, CLIENTS, 30, "tasks")
    assert anomalies(history) == {}
    assert sum(t["status"] == "ok" for t in history) > CLIENTS * 30 // 3


def test_who_is_refused_takes_no_number(store: Any) -> None:
    """Also where others of the same group commit."""
    for _ in range(20):  # until two have met: how soon depends on the machine
        if any(t["status"] == "fail" for t in lists_on(store, CLIENTS, 30)):
            break
    else:
        raise AssertionError("nobody was refused")
    with storage_on(store)() as db:
        assert [n for n in range(1, db.txn + 1) if db.transaction(n) is None] == []


def test_versions_are_one_line_without_gap_or_fork(store: Any) -> None:
    history = documents_on(store, CLIENTS, 40)
    assert one_line(history) == []
    assert sum(event["status"] == "ok" for event in history) > CLIENTS * 40 // 2


# -- with the protection off ---------------------------------------------------------------------------------------
class Unprotected:
    """A store whose commits skip a check. *skip*: "reads", whether what was read has changed; "base", whether what is
    written was made from the newest version."""

    def __init__(self, store: Any, skip: str) -> None:
        self._store, self.records = store, _Records(store.records, skip)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Records:
    def __init__(self, records: Any, skip: str) -> None:
        self._records, self._skip = records, skip

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def commit(self, transaction: Any, changes: Sequence[Any], reads: Any = None) -> int:
        while True:
            if self._skip == "base":
                changes = [self._on_the_newest(transaction.domain, change) for change in changes]
            try:
                number: int = self._records.commit(transaction, changes, None)
                return number
            except Stale:
                if self._skip != "base":
                    raise

    def _on_the_newest(self, domain: str, change: Any) -> Any:
        _, newest = self._records.read(domain, change.model, change.uuid)
        return change._replace(base=newest.vsn if newest else 0)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    if request.param == "memory":
        return dbm.MemDictStore
    url = f"sqlite:///{tmp_path}/bare.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    return lambda: dbm.SQLStore(url)


def at_once(*bodies: Callable[[Any], None], storage: Any) -> list[str]:
    """Units of work that all have read before any of them ends; gives what became of each: ok or fail."""
    read = threading.Barrier(len(bodies))
    became = ["fail"] * len(bodies)

    def unit(number: int) -> None:
        try:
            with storage(f"unit {number}") as db:
                bodies[number](db)
                read.wait(10)
            became[number] = "ok"
        except (exc.TransactionConflict, exc.RecordVersionMismatch):
            pass

    in_threads(unit, range(len(bodies)))
    return became


def write_skew(storage: Any) -> list[str]:
    """Each takes the other list as empty, and appends to its own."""
    prepare(storage, 2)

    def body(mine: str, other: str) -> Callable[[Any], None]:
        def unit(db: Any) -> None:
            assert db.select_one(Shelf, Shelf.name == other).values == []
            db.select_one(Shelf, Shelf.name == mine).values = [1]

        return unit

    return at_once(body("r0", "r1"), body("r1", "r0"), storage=storage)


def phantom(how: str) -> Callable[[Any], list[str]]:
    """Each sees no item on the shelf, and puts one there."""

    def run(storage: Any) -> list[str]:
        def unit(db: Any) -> None:
            match how:
                case "expression":
                    found = len(db.select(Item, Item.list == "s0"))
                case "python":
                    found = len(db.select(Item, lambda item: item.list == "s0"))
                case "count":
                    found = db.count(Item, Item.list == "s0")
                case _:
                    found = len(db.find(Item, list="s0"))
            assert found == 0
            db.insert(Item, list="s0", value=1)

        return at_once(unit, unit, storage=storage)

    return run


def lost_update(storage: Any) -> list[str]:
    prepare(storage, 1)

    def unit(db: Any) -> None:
        shelf = db.select_one(Shelf, Shelf.name == "r0")
        shelf.values = [*shelf.values, 1]

    return at_once(unit, unit, storage=storage)


RACES: dict[str, tuple[Callable[[Any], list[str]], str]] = {
    "write skew": (write_skew, "reads"),
    **{f"phantom by {how}": (phantom(how), "reads") for how in ("expression", "python", "count", "find")},
    "lost update": (lost_update, "base"),
}


@pytest.mark.parametrize("race", RACES)
def test_one_of_two_that_race_is_refused(race: str, store: Any) -> None:
    assert sorted(RACES[race][0](storage_on(store))) == ["fail", "ok"]


@pytest.mark.parametrize("race", RACES)
def test_and_neither_is_without_the_check(race: str, bare: Any) -> None:
    run, skip = RACES[race]
    store = Unprotected(bare(), skip)
    assert run(storage_on(store)) == ["ok", "ok"]
    store.close()


@pytest.mark.parametrize(("skip", "expected"), [("reads", {"write skew", "read skew"}), ("base", {"lost update"})])
def test_the_checker_finds_what_happens_without_the_check(skip: str, expected: set[str], bare: Any) -> None:
    store = Unprotected(bare(), skip)
    found: set[str] = set()
    for seed in range(1, 6):
        found |= set(anomalies(lists_on(store, CLIENTS, 25, seed=seed)))
        if found & expected:
            break
    store.close()
    assert found & expected
