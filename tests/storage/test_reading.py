"""Fetch and select."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from storing import As, Todo

from limen import exc
from limen.app.datastore import Storage
from limen.core.record.record import Record


@pytest.mark.parametrize("uuid", [uuid4(), "no uuid", "", None, 5, b"x" * 16])
def test_an_id_that_no_record_has_is_not_found(storage: Storage, uuid: Any) -> None:
    with pytest.raises(exc.RecordNotFound), storage() as db:
        db.fetch(Todo, uuid)


def test_fail_says_what_becomes_of_a_miss(storage: Storage) -> None:
    class Gone(exc.Error):
        pass

    with storage() as db:
        misses: list[Callable[[Any], Any]] = [
            lambda fail: db.fetch(Todo, uuid4(), fail=fail),
            lambda fail: db.select_one(Todo, fail=fail),
        ]
        for miss in misses:
            with pytest.raises(exc.RecordNotFound):
                miss(None)
            with pytest.raises(Gone):
                miss(Gone)
            with pytest.raises(Gone, match="said"):
                miss(Gone("said"))
            assert miss(lambda: 7) == 7
            assert miss(False) is False


def test_acl_hides_a_record_as_if_it_were_not_there(storage: Storage, todo: Record) -> None:
    def nobody(record: Record) -> bool:
        return bool(record.text == "mine")

    with storage() as db:
        with pytest.raises(exc.RecordNotFound) as hidden:
            db.fetch(Todo, todo._uuid, acl=nobody)
        with pytest.raises(exc.RecordNotFound) as hidden_stale:
            db.fetch(Todo, todo._uuid, 99, acl=nobody)
        with pytest.raises(exc.RecordNotFound) as absent:
            db.fetch(Todo, UUID(int=1), acl=nobody)
        assert db.select(Todo, acl=nobody) == []
        assert db.fetch(Todo, todo._uuid, acl=lambda r: True)._uuid == todo._uuid
    for caught in (hidden, hidden_stale):
        assert caught.value.err == [absent.value.err[0].replace(str(UUID(int=1)), str(todo._uuid))]


def test_select_gives_what_the_predicate_lets_through_in_the_order_it_was_made(storage: Storage) -> None:
    with storage() as db:
        for i in range(20):
            db.insert(Todo, text=str(i), done=i % 2 == 0)
    with storage() as db:
        assert [r.text for r in db.select(Todo)] == [str(i) for i in range(20)]
        assert [r.text for r in db.select(Todo, lambda r: r.done and int(r.text) > 14)] == ["16", "18"]
        assert db.select_one(Todo, lambda r: not r.done).text == "1"


def test_a_unit_sees_its_own_writes(storage: Storage, todo: Record) -> None:
    with storage() as db:
        new = db.insert(Todo, text="new")
        old = db.fetch(Todo, todo._uuid)
        old.text = "changed"
        assert db.fetch(Todo, new._uuid) is new
        assert db.fetch(Todo, todo._uuid) is old
        assert [r.text for r in db.select(Todo)] == ["changed", "new"]
        assert db.select(Todo, lambda r: r.text == "first") == []
        db.delete(old)
        assert [r.text for r in db.select(Todo)] == ["new"]
        assert db.fetch(Todo, todo._uuid, fail=False) is False
        db.delete(new)
        assert db.select(Todo) == []
        with pytest.raises(exc.RecordNotFound):
            db.delete(old)
    assert new._vsn == 0
    with storage() as db:
        assert db.select(Todo) == []


def test_domains_do_not_see_each_other(storage: Storage, todo: Record) -> None:
    with As("eve", "other.example"), storage() as db:
        assert db.select(Todo) == []
        with pytest.raises(exc.RecordNotFound):
            db.fetch(Todo, todo._uuid, 1)
        with pytest.raises(exc.RecordNotFound):
            db.update(Todo, todo._uuid, 1, text="hers")
    with As("eve", "other.example"), pytest.raises(exc.RecordNotFound), storage() as db:
        db.update(todo, text="hers")
    with storage() as db:
        assert db.fetch(Todo, todo._uuid, 1).text in ("first", "hers")
        assert db.fetch(Todo, todo._uuid, 1) is not todo
