"""Numbers that a caller may send: whatever they are, every store answers in words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from storing import Todo

from limen import exc
from limen.app.datastore import Storage

HUGE = [2**62 + 1, 2**63 - 1, 2**63, 2**70, -(2**63) - 1, -(2**70)]
ASKED: dict[str, Callable[[Any, Any, int], Any]] = {
    "version": lambda db, todo, number: db.fetch(Todo, todo._uuid, number),
    "update": lambda db, todo, number: db.update(Todo, todo._uuid, number, text="new"),
    "delete": lambda db, todo, number: db.delete(Todo, todo._uuid, number),
    "as of": lambda db, todo, number: db.fetch(Todo, todo._uuid, txn=number),
    "transaction": lambda db, todo, number: db.transaction(number),
    "undo": lambda db, todo, number: db.undo(number),
    "history": lambda db, todo, number: db.history(Todo, todo._uuid, after=number),
}


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("number", HUGE)
def test_a_number_that_no_store_gave_is_refused(storage: Storage, todo: Any, what: str, number: int) -> None:
    with pytest.raises(exc.InvalidValue), storage() as db:
        ASKED[what](db, todo, number)


@pytest.mark.parametrize("number", HUGE)
def test_a_feed_begins_at_no_such_number(storage: Storage, number: int) -> None:
    with pytest.raises(exc.InvalidValue):
        storage.changes(after=number)


@pytest.mark.parametrize("limit", [sys.maxsize, 2**63, 2**70])
def test_a_huge_limit_is_none(storage: Storage, todo: Any, limit: int) -> None:
    with storage() as db:
        assert [found._uuid for found in db.select(Todo, limit=limit)] == [todo._uuid]
        assert [found._uuid for found in db.select(Todo, Todo.text == "first", limit=limit)] == [todo._uuid]  # type: ignore[attr-defined]
        assert len(db.history(Todo, todo._uuid, limit=limit)) == db.count(Todo, cap=limit) == 1
    with storage.changes() as feed:
        assert len(feed.read(limit)) == 1


@pytest.mark.parametrize("limit", [0, -1, -(2**70)])
def test_a_limit_is_one_or_more(storage: Storage, todo: Any, limit: int) -> None:
    with storage() as db:
        for ask in (
            lambda: db.select(Todo, limit=limit),
            lambda: db.history(Todo, todo._uuid, limit=limit),
            lambda: db.count(Todo, cap=limit),
        ):
            with pytest.raises(exc.InvalidValue):
                ask()
    with storage.changes() as feed, pytest.raises(exc.InvalidValue):
        feed.read(limit)
