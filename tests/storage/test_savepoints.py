"""Parts of a unit of work that may fail by themselves."""

# ruff: noqa: PT012 -- what must raise here is a block

from __future__ import annotations

from typing import Any

import pytest
from storing import Note, Todo, beside

from limen import exc
from limen.app.datastore import Storage
from limen.core.record.record import Record


def test_what_was_done_in_a_block_that_raises_is_undone(storage: Storage, todo: Record) -> None:
    with storage() as db:
        other = db.insert(Note, tags=["a"], n=1)
        other.n = 2
        with pytest.raises(ZeroDivisionError), db.savepoint():
            other.n = 3
            other.tags.append("b")
            lost = db.insert(Note, n=4)
            db.fetch(Todo, todo._uuid).text = "changed"
            raise ZeroDivisionError
        assert (other.n, other.tags) == (2, ["a"])
        assert db.select(Note) == [other]
        assert db.fetch(Todo, todo._uuid).text == "first"
        other.tags.append("c")
    assert (other._vsn, lost._vsn) == (1, 0)
    with storage() as db:
        assert [(r.n, r.tags) for r in db.select(Note)] == [(2, ["a", "c"])]
        assert [(r.text, r._vsn) for r in db.select(Todo)] == [("first", 1)]


def test_a_block_that_ends_well_is_kept(storage: Storage, todo: Record) -> None:
    with storage() as db:
        with db.savepoint():
            db.update(Todo, todo._uuid, 1, text="second")
            with db.savepoint():
                db.insert(Note, n=1)
        assert len(db.select(Note)) == 1
    with storage() as db:
        assert db.fetch(Todo, todo._uuid).text == "second"


def test_savepoints_are_nested(storage: Storage) -> None:
    with storage() as db:
        note = db.insert(Note, n=1)
        with pytest.raises(ZeroDivisionError), db.savepoint():
            note.n = 2
            with db.savepoint():
                note.n = 3
            with pytest.raises(KeyError), db.savepoint():
                note.n = 4
                raise KeyError
            assert note.n == 3
            raise ZeroDivisionError
        assert note.n == 1


def test_deleted_and_taken_over_records_are_what_they_were(storage: Storage, todo: Record) -> None:
    with storage() as db:
        note = db.insert(Note, n=1)
    with storage() as db:
        with pytest.raises(ZeroDivisionError), db.savepoint():
            db.delete(note)
            db.delete(Todo, todo._uuid, 1)
            raise ZeroDivisionError
        assert db.fetch(Note, note._uuid).n == 1
        assert db.fetch(Todo, todo._uuid).text == "first"
    assert storage.main().progress() == 2


def test_an_inner_unit_that_failed_in_a_savepoint_does_not_spoil_the_outer_one(storage: Storage) -> None:
    with storage() as db:
        db.insert(Note, n=1)
        with pytest.raises(ZeroDivisionError), db.savepoint(), storage() as inner:
            inner.insert(Note, n=2)
            raise ZeroDivisionError
    with storage() as db:
        assert [r.n for r in db.select(Note)] == [1]
    with pytest.raises(exc.StoreError, match="inside this one failed"), storage() as db:
        db.insert(Note, n=1)
        with db.savepoint(), pytest.raises(ZeroDivisionError), storage():
            raise ZeroDivisionError


def test_what_was_read_in_it_still_counts(storage: Storage, todo: Record) -> None:
    with pytest.raises(exc.TransactionConflict), storage() as db:
        with pytest.raises(ZeroDivisionError), db.savepoint():
            db.fetch(Todo, todo._uuid).text = "x"
            raise ZeroDivisionError
        beside(lambda: storage.run(lambda db: db.update(db.fetch(Todo, todo._uuid), done=True)))
        db.insert(Note, n=1)


def test_a_savepoint_of_a_unit_that_is_over_is_refused(storage: Storage) -> None:
    with storage() as db:
        pass
    with pytest.raises(exc.StoreError, match="is over"), db.savepoint():
        pass


async def test_async_savepoints(storage: Storage, todo: Record) -> None:
    async with storage() as db:
        with pytest.raises(ZeroDivisionError):
            async with db.savepoint():
                (await db.fetch(Todo, todo._uuid)).text = "changed"
                await db.insert(Note, n=1)
                raise ZeroDivisionError
        assert (await db.fetch(Todo, todo._uuid)).text == "first"
        assert await db.count(Note) == 0


async def test_an_async_unit_has_all_questions(storage: Storage, todo: Record) -> None:
    async with storage() as db:
        record: Any = await db.fetch(Todo, todo._uuid)
        await db.update(record, text="mistake")
    async with storage() as db:
        assert await db.txn() == 2
        one, two = await db.history(Todo, todo._uuid)
        assert await db.diff(one, two) == {"text": ("first", "mistake")}
        assert (await db.as_of(1).fetch(Todo, todo._uuid)).text == "first"
        assert [r.text for r in await db.find(Todo, text="mistake")] == ["mistake"]
        by = await db.transaction(2)
        assert by is not None
        assert by.user is None
        assert str(await db.explain(Todo))
        assert len(await db.undo(2)) == 1
        assert (await db.select_one(Todo)).text == "first"
    async with storage() as db:
        await db.forget(Todo, todo._uuid)
    async with storage() as db:
        assert await db.select(Todo) == []
