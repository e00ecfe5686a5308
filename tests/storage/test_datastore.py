"""Which models, which roles, which arguments."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from storing import Note, Todo, stored

from limen import exc
from limen.app.datastore import DataStore, Storage
from limen.core.record.record import Record
from limen.store.memory import MemDictStore
from limen.store.relational import Relational


def test_a_class_that_was_not_said_to_be_a_model_is_refused_with_the_remedy(storage: Storage) -> None:
    class Stranger:
        pass

    with pytest.raises(exc.StoreError, match=r"add_model\(Stranger\)"), storage() as db:
        db.insert(Stranger)
    with pytest.raises(exc.StoreError, match="add_model"), storage() as db:
        db.select("Todo")  # type: ignore[arg-type]


def test_two_models_of_one_name_are_refused_and_a_class_loaded_anew_is_not(storage: Storage, todo: Record) -> None:
    with pytest.raises(exc.StoreError, match="__model__"):
        storage.add_models(None, type("Todo", (), {"__module__": "elsewhere"}))
    anew = type("Todo", (), {"__module__": Todo.__module__, "__qualname__": Todo.__qualname__})
    storage.add_models(None, anew)
    with storage() as db:
        assert db.fetch(anew, todo._uuid).text == "first"
        assert db.fetch(Todo, todo._uuid).text == "first"


def test_a_datastore_begins_units_too_and_takes_any_class(store: Any) -> None:
    data = DataStore(store)
    with data("why") as db:
        db.insert(Note, a=1)
    with data() as db:
        assert len(db.select(Note)) == 1


def test_roles_that_are_not_named_are_kept_by_the_first_store(store: Any) -> None:
    other = MemDictStore()
    data = DataStore(store, permission=other, abuse=other)
    assert [data.storage, data.state, data.settings] == [store] * 3
    assert [data.permission, data.profile, data.abuse] == [other] * 3


@pytest.mark.parametrize("role", ["search", "sessions"])
def test_an_unknown_role_is_refused_with_those_there_are(store: Any, role: str) -> None:
    with pytest.raises(TypeError, match=f"no role '{role}'; there are: storage, relational, permission"):
        DataStore(store, **{role: store})


@pytest.mark.parametrize("wrong", [MemDictStore, "sqlite:///a.db", 5, object()])
def test_a_role_takes_a_store(store: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes a store such as"):
        DataStore(wrong)
    with pytest.raises(TypeError, match="abuse: this takes"):
        DataStore(store, abuse=wrong)


def test_records_are_searched_in_the_relational_store_and_decided_in_their_own(store: Any) -> None:
    other = MemDictStore()
    data = DataStore(store, relational=other)
    with data("why") as db:
        made = db.insert(Note, a=1)
    records = data.main()
    assert isinstance(records, Relational)
    records.follow()
    copy = other.records.read("localhost", "Note", made._uuid.bytes)[1]
    assert copy is not None
    assert copy.fields == '{"a":1}'
    with data() as db:
        [found] = db.find(Note, a=1)
        db.update(found, a=2)
    with data() as db:
        assert db.find(Note, a=1) == []
        assert db.find(Note, a=2) == [found]
    assert [vsn for vsn, _ in stored(store, made)] == [1, 2]


def test_add_storage_takes_a_datastore(storage: Storage, store: Any) -> None:
    with pytest.raises(TypeError, match="takes a DataStore"):
        storage.add_models(store, Todo)


@pytest.mark.parametrize("call", [(), (Todo,), (Todo, uuid4()), (Todo, uuid4(), 1, 2)])
def test_update_and_delete_say_what_they_take(storage: Storage, todo: Record, call: tuple[Any, ...]) -> None:
    with storage() as db:
        for verb in (db.update, db.delete):
            with pytest.raises(TypeError):
                verb(*call)
        with pytest.raises(TypeError):
            db.update(todo, 1)


def test_two_objects_for_one_record_are_refused(storage: Storage, todo: Record) -> None:
    with storage() as db:
        db.fetch(Todo, todo._uuid)
        with pytest.raises(exc.StoreError, match="another object"):
            db.update(todo, text="x")


def test_a_record_that_was_never_stored_cannot_be_updated_elsewhere(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage() as db:
        lost = db.insert(Todo, text="a")
        raise ZeroDivisionError
    with storage() as db, pytest.raises(exc.RecordNotFound):
        db.update(lost, text="b")
