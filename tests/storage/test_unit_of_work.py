"""A unit of work through its public door."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import Any

import pytest
from storing import As, Note, Todo, stored

from limen import exc
from limen.app.datastore import DataStore, Storage
from limen.app.unitofwork import UnitOfWork
from limen.core.record.record import Record
from limen.store.memory import MemDictStore


def test_an_inserted_record_is_version_one_when_the_block_is_left(storage: Storage, store: Any) -> None:
    with storage("why") as db:
        record = db.insert(Todo, text="a")
        assert record._vsn == 0
        assert record._uuid.version == 7
        assert store.records.read("localhost", "Todo", record._uuid.bytes) == (0, None)
    assert Todo.to_dict(record) == {"done": False, "text": "a", "id": record._uuid, "vsn": 1}
    assert record._txn == store.records.progress()
    assert stored(store, record) == [(1, '{"done":false,"text":"a"}')]


def test_a_fetched_record_that_was_changed_is_stored_when_the_block_is_left(storage: Storage, todo: Record) -> None:
    with storage() as db:
        record = db.fetch(Todo, todo._uuid, todo._vsn)
        record.text = "second"
        record.done = True
    assert Todo.to_dict(record) == {"done": True, "text": "second", "id": todo._uuid, "vsn": 2}
    with storage() as db:
        assert db.fetch(Todo, str(todo._uuid)).text == "second"


def test_a_change_inside_a_list_is_stored_too(storage: Storage) -> None:
    with storage() as db:
        note = db.insert(Note, tags=["a"])
    with storage() as db:
        db.fetch(Note, note._uuid).tags.append("b")
    with storage() as db:
        assert db.fetch(Note, note._uuid).tags == ["a", "b"]


def test_what_was_only_read_is_not_stored_again(storage: Storage, store: Any, todo: Record) -> None:
    before = store.records.progress()
    with storage() as db:
        db.fetch(Todo, todo._uuid)
        db.select(Todo)
    assert store.records.progress() == before
    assert len(stored(store, todo)) == 1


def test_update_by_id_and_version_gives_the_record(storage: Storage, todo: Record) -> None:
    with storage() as db:
        record = db.update(Todo, str(todo._uuid), 1, text="b", done=True)
    assert (record._vsn, record.text, record.done) == (2, "b", True)


def test_update_of_a_record_writes_a_version_also_where_nothing_is_different(storage: Storage, todo: Record) -> None:
    with storage() as db:
        record = db.update(db.fetch(Todo, todo._uuid, 1))
    assert record._vsn == 2


def test_a_record_of_an_earlier_unit_may_be_changed_and_updated(storage: Storage, todo: Record) -> None:
    todo.text = "changed outside"
    with storage() as db:
        assert db.update(todo, done=True) is todo
    assert todo._vsn == 2
    with storage() as db:
        assert Todo.to_dict(db.fetch(Todo, todo._uuid))["text"] == "changed outside"


@pytest.mark.parametrize("how", ["record", "id"])
def test_a_deleted_record_is_gone_and_its_history_stays(storage: Storage, store: Any, todo: Record, how: str) -> None:
    with storage() as db:
        db.delete(db.fetch(Todo, todo._uuid, 1)) if how == "record" else db.delete(Todo, todo._uuid, 1)
    with storage() as db:
        assert db.select(Todo) == []
        with pytest.raises(exc.RecordNotFound):
            db.fetch(Todo, todo._uuid)
    assert [vsn for vsn, _ in stored(store, todo)] == [1, 2]


def test_the_transaction_tells_who_when_through_what_and_why(storage: Storage, store: Any) -> None:
    with As("ada", "clinic.example"), storage("because \ud800") as db:
        record = db.insert(Note, a=1)
    by = store.records.transaction("clinic.example", record._txn)
    assert by[:6] == ("clinic.example", "ada", "root", "todo.add", "192.0.2.1", "because ?")
    assert by.time > 1_700_000_000


def test_an_exception_in_the_block_discards_everything(storage: Storage, store: Any, todo: Record) -> None:
    before = store.records.progress()
    with pytest.raises(ZeroDivisionError), storage() as db:
        db.insert(Todo, text="new")
        db.fetch(Todo, todo._uuid).text = "changed"
        raise ZeroDivisionError
    with storage() as db:
        assert [r.text for r in db.select(Todo)] == ["first"]
    assert store.records.progress() == before


def test_one_record_that_does_not_validate_keeps_all_others_out(storage: Storage) -> None:
    with pytest.raises(exc.RecordValidationError) as caught, storage() as db:
        db.insert(Todo, text="good")
        db.insert(Todo, text=5, done="yes")
    assert caught.value.facts["fields"] == {"text": {"bad_type": "int"}, "done": {"bad_type": "str"}}
    with storage() as db:
        assert db.select(Todo) == []


def test_a_value_that_cannot_be_stored_keeps_all_others_out(storage: Storage) -> None:
    with pytest.raises(exc.InvalidValue, match=r"\$\.x"), storage() as db:
        db.insert(Note, a=1)
        db.insert(Note, x=object())
    with storage() as db:
        assert db.select(Note) == []


def test_a_hook_that_raises_leaves_nothing_behind(storage: Storage, store: Any) -> None:
    class Bad:
        @classmethod
        def validate(cls, record: Record) -> None:
            raise ZeroDivisionError

    storage.add_models(None, Bad)
    with pytest.raises(ZeroDivisionError), storage() as db:
        db.insert(Todo, text="good")
        db.insert(Bad)
    assert store.records.progress() == 0
    with storage() as db:
        db.insert(Todo, text="next")


def test_two_stores_in_one_unit_are_refused_before_anything_is_written(storage: Storage, store: Any) -> None:
    other = MemDictStore()
    storage.add_models(DataStore(other), Note)
    with pytest.raises(exc.StoreError, match="two stores"), storage() as db:
        db.insert(Todo, text="here")
        db.insert(Note, text="there")
    assert store.records.progress() == other.records.progress() == 0
    with storage() as db:
        db.insert(Note, text="there")
        assert db.select(Todo) == []
    assert other.records.progress() == 1


def test_an_inner_unit_joins_the_outer_one(storage: Storage, store: Any) -> None:
    with storage("outer") as db:
        first = db.insert(Todo, text="a")
        with storage("inner") as inner:
            assert inner is db
            second = inner.insert(Todo, text="b")
        assert second._vsn == 0
    assert first._txn == second._txn
    assert store.records.transaction("localhost", first._txn).reason == "outer"


def test_an_inner_unit_that_failed_keeps_the_outer_one_from_writing(storage: Storage, store: Any) -> None:
    with pytest.raises(exc.StoreError, match="inside this one failed") as caught, storage() as db:
        db.insert(Todo, text="a")
        with pytest.raises(ZeroDivisionError), storage() as inner:
            inner.insert(Todo, text="half")
            raise ZeroDivisionError
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert store.records.progress() == 0


def test_a_thread_that_begins_inside_a_unit_has_units_of_its_own(storage: Storage) -> None:
    with storage() as db:
        context = contextvars.copy_context()
        seen: list[Any] = []

        def beside() -> None:
            with storage() as mine:
                seen.append(mine is db)
                mine.insert(Todo, text="beside")

        thread = threading.Thread(target=context.run, args=(beside,))
        thread.start()
        thread.join()
        assert seen == [False]
        assert [r.text for r in db.select(Todo)] == ["beside"]


def test_after_a_unit_another_begins(storage: Storage) -> None:
    unit = storage()
    with unit as db:
        pass
    with pytest.raises(exc.StoreError, match="is over"):
        db.insert(Todo)
    with pytest.raises(exc.StoreError, match="used already"), unit:
        pass
    with storage() as other:
        assert other is not db


def test_a_unit_whose_end_was_interrupted_is_joined_by_none(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come before the first line of `__exit__`."""

    def interrupted(work: object, error: object) -> bool:
        monkeypatch.undo()
        raise KeyboardInterrupt

    for handled_later in (True, False):
        monkeypatch.setattr(UnitOfWork, "_leave", interrupted)
        try:
            with storage() as lost:
                lost.insert(Todo, text="lost")
        except KeyboardInterrupt:
            if not handled_later:
                with storage() as db:
                    assert db is not lost
                    db.insert(Todo, text="kept")
        with storage() as db:
            assert db is not lost
            db.insert(Todo, text="kept")
    with storage() as db:
        assert [r.text for r in db.select(Todo)] == ["kept"] * 3


def test_units_work_in_an_exit_stack(storage: Storage) -> None:
    with contextlib.ExitStack() as stack:
        outer = stack.enter_context(storage())
        with storage() as inner:
            assert inner is outer
            inner.insert(Todo, text="a")
    with storage() as db:
        assert len(db.select(Todo)) == 1
