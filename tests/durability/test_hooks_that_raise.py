"""A program's own code may fail anywhere: no lock and no open transaction stays behind, nothing is written, and the
next unit of work gets through at once. Nor is any lock held while that code runs: others write meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from free import Probe, nothing_is_held, works

from limen import DataStore, exc, field
from limen.app.datastore import Storage


class Broken(Exception):
    """What the program raises."""


class Fragile:
    """Each hook calls `at`, which may fail, by its name."""

    at: Callable[[str], None] = staticmethod(lambda place: None)

    @classmethod
    def initialize(cls, record):
        record.merge(n=0, text="")
        cls.at("initialize")

    @classmethod
    def validate(cls, record):
        cls.at("validate")

    @classmethod
    def index(cls, record):
        cls.at("index")
        return {"n": record.n, "double": record.n * 2}

    @classmethod
    def to_dict(cls, record):
        cls.at("to_dict")
        return {"n": record.n}


def _raise_in(place: str) -> Callable[..., Any]:
    def called(*_: Any) -> Any:
        Fragile.at(place)
        return True

    return called


PLACES: dict[str, Callable[[Any], Any]] = {
    "initialize": lambda db: db.insert(Fragile, n=2),
    "validate": lambda db: db.insert(Fragile, n=2),
    "index": lambda db: db.insert(Fragile, n=2),
    "index, in a search": lambda db: db.select(Fragile, field("double") == 198),
    "to_dict": lambda db: Fragile.to_dict(db.select(Fragile)[0]),
    "predicate": lambda db: db.select(Fragile, _raise_in("predicate")),
    "predicate of select_one": lambda db: db.select_one(Fragile, _raise_in("predicate of select_one")),
    "predicate of count": lambda db: db.count(Fragile, _raise_in("predicate of count")),
    "acl of select": lambda db: db.select(Fragile, acl=_raise_in("acl of select")),
    "acl of fetch": lambda db: db.fetch(Fragile, db.select(Fragile)[0]._uuid, acl=_raise_in("acl of fetch")),
    "fail": lambda db: db.fetch(Fragile, "00000000-0000-7000-8000-000000000000", fail=_raise_in("fail")),
    "the block": lambda db: Fragile.at("the block"),
}


@pytest.fixture
def storage(store: Any, monkeypatch: pytest.MonkeyPatch) -> Storage:
    there = DataStore(store)
    storage = Storage(lambda: there)
    storage.add_models(there, Fragile, Probe)
    with storage("before") as db:
        db.insert(Fragile, n=1)
    return storage


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_left_behind(place: str, storage: Storage, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []

    def at(here: str) -> None:
        if here == place.partition(",")[0]:
            reached.append(here)
            works(storage)  # no lock is held while a program's code runs
            nothing_is_held(store)
            raise Broken

    monkeypatch.setattr(Fragile, "at", staticmethod(at))
    with pytest.raises(Broken), storage("fails") as db:  # noqa: PT012
        db.select(Fragile)[0].n = 99
        PLACES[place](db)
    assert reached
    works(storage)
    nothing_is_held(store)
    monkeypatch.undo()
    with storage() as db:
        assert [record.n for record in db.select(Fragile)] == [1]


@pytest.mark.parametrize("place", PLACES)
async def test_nor_by_an_async_unit(place: str, storage: Storage, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []

    def at(here: str) -> None:
        if here == place.partition(",")[0]:
            reached.append(here)
            works(storage)
            raise Broken

    monkeypatch.setattr(Fragile, "at", staticmethod(at))

    async def unit() -> None:
        async with storage("fails") as db:
            found = await db.select(Fragile)
            found[0].n = 99
            done = PLACES[place](db) if place not in ("to_dict", "acl of fetch") else None
            if place == "to_dict":
                Fragile.to_dict(found[0])
            elif place == "acl of fetch":
                await db.fetch(Fragile, found[0]._uuid, acl=_raise_in(place))
            elif done is not None:
                await done

    with pytest.raises(Broken):
        await unit()
    assert reached
    works(storage)
    nothing_is_held(store)
    monkeypatch.undo()
    with storage() as db:
        assert [record.n for record in db.select(Fragile)] == [1]


class Unsearchable:
    """Its `index` fails, whenever it is asked."""

    @classmethod
    def index(cls, record):
        raise Broken


def test_an_index_that_fails_stops_its_own_model_only(storage: Storage, store: Any) -> None:
    with pytest.raises(Broken):  # noqa: PT012
        storage.add_models(None, Unsearchable)
        with storage("fails") as db:
            db.insert(Unsearchable, n=1)
    works(storage)
    nothing_is_held(store)


def test_a_lost_race_leaves_nothing_behind(storage: Storage, store: Any) -> None:
    with pytest.raises((exc.RecordVersionMismatch, exc.TransactionConflict)), storage("late") as db:  # noqa: PT012
        mine = db.select(Fragile)[0]
        mine.n = 2
        _in_a_thread(storage, mine._uuid)
    works(storage)
    nothing_is_held(store)


def _in_a_thread(storage: Storage, uuid: Any) -> None:
    import threading

    def unit() -> None:
        with storage("early") as db:
            db.fetch(Fragile, uuid).n = 3

    thread = threading.Thread(target=unit)
    thread.start()
    thread.join()
