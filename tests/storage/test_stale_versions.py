"""Two who change one record."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from storing import As, Note, Todo, stored

from limen import exc
from limen.app.datastore import Storage
from limen.core.record.record import Record


def test_a_stale_version_is_refused_with_what_the_other_wrote(storage: Storage, store: Any, todo: Record) -> None:
    with As("bob"), storage() as db:
        db.update(Todo, todo._uuid, 1, text="bob's")
    attempts: list[tuple[str | None, Callable[[Any], Any]]] = [
        ("first", lambda db: db.fetch(Todo, todo._uuid, 1)),
        ("mine", lambda db: db.update(Todo, todo._uuid, 1, text="mine")),
        ("first", lambda db: db.delete(Todo, todo._uuid, 1)),
        ("mine", lambda db: db.update(todo, text="mine")),
    ]
    for yours, attempt in attempts:
        with pytest.raises(exc.RecordVersionMismatch) as caught, storage() as db:
            db.insert(Todo, text="beside")
            attempt(db)
        facts = dict(caught.value.facts)
        assert facts.pop("when").startswith("20")
        assert facts == {
            "model": "Todo",
            "id": str(todo._uuid),
            "vsn": 1,
            "newest": 2,
            "deleted": False,
            "fields": {"done": False, "text": "bob's"},
            "yours": {"done": False, "text": yours},
            "differs": ["text"],
            "user": "bob",
        }
    assert len(stored(store, todo)) == 2
    with storage() as db:
        assert [r.text for r in db.select(Todo)] == ["bob's"]


def test_who_commits_second_is_refused_also_without_naming_a_version(storage: Storage, todo: Record) -> None:
    with pytest.raises(exc.RecordVersionMismatch), storage() as db:
        mine = db.fetch(Todo, todo._uuid)
        mine.text = "mine"
        other_thread(lambda: update(storage, todo, "theirs"))
    with storage() as db:
        assert db.fetch(Todo, todo._uuid).text == "theirs"


def update(storage: Storage, todo: Record, text: str) -> None:
    with storage() as db:
        db.fetch(Todo, todo._uuid).text = text


def other_thread(function: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result()


def test_who_has_seen_a_record_that_is_deleted_by_now_is_told_so(storage: Storage, todo: Record) -> None:
    with As("bob"), storage() as db:
        db.delete(Todo, todo._uuid, 1)
    with pytest.raises(exc.RecordVersionMismatch, match="bob deleted") as caught, storage() as db:
        db.update(Todo, todo._uuid, 1, text="mine")
    assert caught.value.facts["deleted"] is True
    assert caught.value.facts["fields"] is None
    with pytest.raises(exc.RecordNotFound), storage() as db:
        db.fetch(Todo, todo._uuid, 2)


def test_a_version_from_the_future_is_refused(storage: Storage, todo: Record) -> None:
    with pytest.raises(exc.RecordVersionMismatch), storage() as db:
        db.fetch(Todo, todo._uuid, 2)


@pytest.mark.parametrize("vsn", ["1", 1.0, True])
def test_a_version_is_a_whole_number(storage: Storage, todo: Record, vsn: Any) -> None:
    with pytest.raises(exc.InvalidValue), storage() as db:
        db.fetch(Todo, todo._uuid, vsn)


def test_of_many_who_change_one_record_none_is_lost(storage: Storage, store: Any) -> None:
    with storage() as db:
        counter = db.insert(Note, n=0)

    def add(_: int) -> None:
        while True:
            try:
                with storage() as db:
                    db.fetch(Note, counter._uuid).n += 1
                return
            except exc.RecordVersionMismatch:
                continue

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(64)))
    with storage() as db:
        assert db.fetch(Note, counter._uuid).n == 64
    assert [vsn for vsn, _ in stored(store, counter)] == list(range(1, 66))
