"""What one unit has read and another changes meanwhile. Each test has two units, interleaved; with validation switched
off each must end in what no order of the two could give."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from storing import As, Note, Todo, beside

from limen import exc, field
from limen.app.datastore import Storage
from limen.core.record.record import Record
from limen.core.record.unit import Unit

LEFT, RIGHT = "left", "right"


@pytest.fixture(params=[True, False], ids=["validated", "switched off"])
def validated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(Unit, "_reads", lambda unit, side: None)
    return bool(request.param)


@pytest.fixture
def pair(storage: Storage) -> tuple[Record, Record]:
    with storage("setup") as db:
        return db.insert(Note, name=LEFT, on=True), db.insert(Note, name=RIGHT, on=True)


def switch_off(db: Any, mine: UUID, other: UUID) -> None:
    """The rule: one of the two stays on."""
    if db.fetch(Note, other).on:
        db.fetch(Note, mine).on = False


READS: dict[str, Callable[[Any], int]] = {
    "function": lambda db: len(db.select(Note, lambda r: r.on)),
    "expression": lambda db: len(db.select(Note, field("on") == True)),  # noqa: E712
    "find": lambda db: len(db.find(Note, on=True)),
    "count": lambda db: db.count(Note, field("on") == True),  # noqa: E712
    "all": lambda db: sum(r.on for r in db.select(Note)),
    "page": lambda db: len(db.select(Note, field("on") == True, order_by=field("name"), limit=5)),  # noqa: E712
}


def test_write_skew_by_id(storage: Storage, pair: tuple[Record, Record], validated: bool) -> None:
    left, right = (record._uuid for record in pair)

    def work() -> None:
        with storage("left off") as db:
            switch_off(db, left, right)
            with As("bob"):
                beside(lambda: storage.run(switch_off, right, left))

    if not validated:
        work()
    else:
        with pytest.raises(exc.TransactionConflict) as caught:
            work()
        assert caught.value.facts == {"model": "Note", "id": str(right)}
        assert caught.value.status == 409
    with storage() as db:
        assert [r.on for r in db.select(Note)] == ([True, False] if validated else [False, False])


@pytest.mark.parametrize("how", READS)
def test_write_skew_by_search(storage: Storage, pair: tuple[Record, Record], validated: bool, how: str) -> None:
    def off(db: Any, mine: UUID) -> None:
        if READS[how](db) > 1:
            db.fetch(Note, mine).on = False

    def work() -> None:
        with storage() as db:
            off(db, pair[0]._uuid)
            beside(lambda: storage.run(off, pair[1]._uuid))

    if not validated:
        work()
    else:
        with pytest.raises(exc.TransactionConflict) as caught:
            work()
        assert caught.value.facts == {"model": "Note", "id": None}  # it may be hidden from this caller
    with storage() as db:
        assert [r.on for r in db.select(Note)] == ([True, False] if validated else [False, False])


@pytest.mark.parametrize("how", READS)
def test_phantoms(storage: Storage, validated: bool, how: str) -> None:
    """Both look whether there is one, and make the only one."""

    def make(db: Any) -> None:
        if not READS[how](db):
            db.insert(Note, on=True, name="only")

    def work() -> None:
        with storage() as db:
            make(db)
            beside(lambda: storage.run(make))

    if not validated:
        work()
    else:
        with pytest.raises(exc.TransactionConflict):
            work()
    with storage() as db:
        assert len(db.select(Note)) == (1 if validated else 2)


def test_a_record_that_was_missed_is_read_too(storage: Storage, todo: Record, validated: bool) -> None:
    with storage() as db:
        db.delete(db.fetch(Todo, todo._uuid))
        gone = db.txn + 1

    def work() -> None:
        with storage() as db:
            assert db.fetch(Todo, todo._uuid, fail=False) is False
            beside(lambda: storage.run(lambda db: db.undo(gone)))
            db.insert(Note, there=False)

    if not validated:
        work()
    else:
        with pytest.raises(exc.TransactionConflict):
            work()


def test_a_unit_sees_one_moment(storage: Storage, pair: tuple[Record, Record]) -> None:
    def rename(db: Any) -> None:
        for record in db.select(Note):
            record.name += "!"

    with storage() as db:
        assert db.fetch(Note, pair[0]._uuid).name == LEFT
        beside(lambda: storage.run(rename))
        beside(lambda: storage.run(lambda db: db.insert(Note, name="third", on=True)))
        assert db.fetch(Note, pair[1]._uuid).name == RIGHT
        assert [r.name for r in db.select(Note)] == [LEFT, RIGHT]
        assert db.count(Note) == 2
        assert db.select_one(Note, field("name") == RIGHT).name == RIGHT
        assert db.find(Note, name="third") == []
        assert [past._vsn for past in db.history(Note, pair[1]._uuid)] == [1]


def test_what_only_reads_is_never_refused(storage: Storage, pair: tuple[Record, Record]) -> None:
    with storage() as db:
        db.select(Note)
        beside(lambda: storage.run(lambda db: db.insert(Note, on=True)))
        assert len(db.select(Note)) == 2


def test_what_was_not_read_is_in_nobodys_way(storage: Storage, pair: tuple[Record, Record]) -> None:
    with storage() as db:
        db.fetch(Note, pair[0]._uuid).on = False
        assert db.find(Note, name=LEFT)
        beside(lambda: storage.run(lambda db: db.update(db.fetch(Note, pair[1]._uuid), name="other")))
        beside(lambda: storage.run(lambda db: db.insert(Todo, text="other")))
    with As("eve", "other.example"):
        storage.run(lambda db: db.insert(Note, name=LEFT))
    with storage() as db:
        assert [(r.name, r.on) for r in db.select(Note)] == [(LEFT, False), ("other", True)]


def test_run_does_it_again_until_it_gets_through(storage: Storage, pair: tuple[Record, Record]) -> None:
    attempts = []

    def off(db: Any) -> int:
        attempts.append(1)
        on = db.count(Note, field("on") == True)  # noqa: E712
        if len(attempts) < 3:
            beside(lambda: storage.run(lambda db: db.insert(Note, on=True)))
        db.insert(Note, on=False, counted=on)
        return int(on)

    with pytest.raises(exc.TransactionConflict):
        storage.run(off, retry=0)
    assert storage.run(off, retry=1) == 4
    assert len(attempts) == 3


def test_run_gives_up_after_so_many_times_and_for_what_will_not_change(storage: Storage, todo: Record) -> None:
    attempts = []

    def stale(db: Any) -> None:
        attempts.append(1)
        db.update(todo, text="mine")  # of a version that is old for good

    def seen(db: Any) -> None:
        attempts.append(1)
        db.fetch(Todo, todo._uuid, 7)

    storage.run(lambda db: db.update(db.fetch(Todo, todo._uuid), text="theirs"))
    with pytest.raises(exc.RecordVersionMismatch):
        storage.run(stale, retry=3)
    assert len(attempts) == 4
    with pytest.raises(exc.RecordVersionMismatch):
        storage.run(seen, retry=3)
    assert len(attempts) == 5
    for wrong in (-1, 1.0, True, None):
        with pytest.raises(exc.InvalidValue):
            storage.run(seen, retry=wrong)  # type: ignore[arg-type]


def test_run_inside_a_unit_joins_it_and_is_called_once(storage: Storage, pair: tuple[Record, Record]) -> None:
    attempts = []

    def off(db: Any, on: bool, *, name: str) -> Any:
        attempts.append(db)
        return db.insert(Note, on=on, name=name)

    with pytest.raises(exc.TransactionConflict), storage("outer") as db:
        db.select(Note)
        assert storage.run(off, True, name="x", reason="inner", retry=5)._vsn == 0
        beside(lambda: storage.run(lambda db: db.insert(Note, on=True, name="y")))
    assert attempts == [db]

    def gives_up(db: Any) -> None:
        attempts.append(db)
        raise exc.TransactionConflict

    with pytest.raises(exc.TransactionConflict), storage("outer") as db:
        storage.run(gives_up, retry=5)
    assert len(attempts) == 2


async def test_run_awaits_what_is_async(storage: Storage, pair: tuple[Record, Record]) -> None:
    attempts = []

    async def off(db: Any) -> int:
        attempts.append(1)
        on = await db.count(Note, field("on") == True)  # noqa: E712
        if len(attempts) < 3:
            beside(lambda: storage.run(lambda db: db.insert(Note, on=True)))
        await db.insert(Note, on=False)
        return int(on)

    class Called:
        async def __call__(self, db: Any) -> int:
            return await off(db)

    assert await storage.run(off, retry=2) == 4
    assert await storage.run(Called()) == 4


def test_of_many_who_keep_a_rule_none_breaks_it(storage: Storage, pair: tuple[Record, Record]) -> None:
    """Each switches one off if the other is on, and both on if not: never are both off."""

    def toggle(db: Any, turn: int) -> None:
        mine, other = (db.fetch(Note, pair[(turn + n) % 2]._uuid) for n in range(2))
        mine.on = not (mine.on and other.on)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: storage.run(toggle, turn, retry=1000), range(80)))
    with storage() as db:
        for txn in range(1, db.txn + 1):
            past = db.as_of(txn)
            assert any(r.on for r in past.select(Note))
        assert db.txn > 10
