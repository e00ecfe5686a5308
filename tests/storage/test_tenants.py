"""A tenant is alone: no question and no answer, nor how many statements it takes, depends on who else is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from storing import As, Note, Todo

from limen import exc
from limen.app.datastore import DataStore, Storage
from limen.store.sql import SQLStore

MINE, THEIRS = "mine.example", "theirs.example"
ROWS = re.compile(r'\b(record|version|index_\w+)\b|"?\btransaction\b"?')
"""Tables whose rows are tenants'."""


class Watched:
    """An engine that notes each statement with its parameters, and for which tenant it was asked."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.said: list[tuple[str, Sequence[Any], str | None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def rows(self, statement: str, parameters: Sequence[Any] = (), domain: str | None = None) -> Any:
        self.said.append((statement, parameters, domain))
        return self._engine.rows(statement, parameters, domain)

    def write(self, work: Any, domain: str | None = None, happened: Any = None) -> Any:
        return self._engine.write(lambda hand: work(WatchedHand(hand, domain, self.said)), domain, happened)


class WatchedHand:
    def __init__(self, hand: Any, domain: str | None, said: list[tuple[str, Sequence[Any], str | None]]) -> None:
        self._hand, self._domain, self._said = hand, domain, said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hand, name)

    def ask(self, *questions: Any) -> Any:
        self._said += [(statement, parameters, self._domain) for statement, parameters in questions]
        return self._hand.ask(*questions)

    def tell(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._said.append((statement, parameters, self._domain))
        self._hand.tell(statement, parameters)

    def many(self, statement: str, rows: Any) -> None:
        rows = [*rows]
        self._said += [(statement, row, self._domain) for row in rows]
        self._hand.many(statement, rows)


QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "fetch": lambda db, todo: db.fetch(Todo, todo._uuid).text,
    "fetch with txn": lambda db, todo: db.fetch(Todo, todo._uuid, txn=1).text,
    "fetch of what others have": lambda db, todo: db.fetch(Todo, THEIRS_ID[0], fail=lambda: "none"),
    "select": lambda db, todo: [each.text for each in db.select(Todo)],
    "select by a function": lambda db, todo: len(db.select(Todo, lambda record: True)),
    "select by a column": lambda db, todo: [each.text for each in db.select(Todo, Todo.done == False)],  # noqa: E712
    "select in order": lambda db, todo: [each.text for each in db.select(Todo, order_by=Todo.text.desc(), limit=2)],
    "select a page": lambda db, todo: [
        each.text
        for each in db.select(
            Todo, order_by=Todo.text, limit=2, after=db.select(Todo, order_by=Todo.text, limit=1).cursor
        )
    ],
    "select without an index": lambda db, todo: len(db.select(Note, limit=3)),
    "select_one": lambda db, todo: db.select_one(Todo, Todo.text == "two").text,
    "find": lambda db, todo: len(db.find(Todo, text="theirs 3")),
    "count": lambda db, todo: db.count(Todo, Todo.done == False),  # noqa: E712
    "explain": lambda db, todo: str(db.explain(Todo, Todo.text == "two")),
    "history": lambda db, todo: [
        (each._vsn, each.text, each.transaction.user) for each in db.history(Todo, todo._uuid)
    ],
    "as_of a number": lambda db, todo: len(db.as_of(1).select(Todo)),
    "as_of by a column": lambda db, todo: len(db.as_of(2).select(Todo, Todo.text.startswith("t"))),
    "as_of a time": lambda db, todo: len(db.as_of(4e9).select(Todo)),
    "txn": lambda db, todo: db.txn,
    "transaction": lambda db, todo: (db.transaction(2).user, db.transaction(9)),
    "undo": lambda db, todo: len(db.undo(db.txn)),
    "update": lambda db, todo: db.update(Todo, todo._uuid, todo._vsn, text="three").text,
    "delete": lambda db, todo: db.delete(db.select_one(Todo, Todo.text == "two"))._vsn,
    "forget": lambda db, todo: db.forget(Todo, todo._uuid),
}
THEIRS_ID: list[Any] = [None]


def filled(store: Any, others: int) -> tuple[Storage, Any]:
    """My three transactions, and as many records of another tenant, whose ids begin as mine do."""
    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Todo, Note)
    with As("ada", MINE):
        with storage("one") as db:
            todo = db.insert(Todo, text="one")
            db.insert(Note, a=1)
        if others:
            with As("eve", THEIRS), storage("theirs") as db:
                made = [db.insert(Todo, text=f"theirs {number}") for number in range(others)]
                db.insert(Note, a=2)
                THEIRS_ID[0] = made[0]._uuid
            for _ in range(5):
                with As("eve", THEIRS), storage("theirs") as db:
                    db.insert(Todo, text="theirs")
        with storage("two") as db:
            db.insert(Todo, text="two")
        with storage("three") as db:
            db.update(todo, text="ones")
    if isinstance(store, SQLStore):
        assert store.records.indexes.settle()
    return storage, todo


def asked(storage: Storage, todo: Any, name: str) -> Any:
    with As("ada", MINE):
        try:
            with storage(name) as db:
                return QUESTIONS[name](db, todo)
        except exc.Error as error:
            return type(error).__name__, str(error).replace(str(todo._uuid), "…")


def watch(store: Any) -> Watched | None:
    """Notes from now on what *store* asks of its database; None for a store that has none."""
    if not isinstance(store, SQLStore):
        return None
    watched = Watched(store._engine)
    records = store.records
    records._engine = records.indexes._engine = watched
    records.indexes._queries = None
    return watched


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_and_the_number_of_statements_do_not_depend_on_other_tenants(
    name: str, store: Any, tmp_path: Any, request: pytest.FixtureRequest
) -> None:
    alone = type(store)() if not isinstance(store, SQLStore) else SQLStore(f"sqlite:///{tmp_path / 'alone.db'}")
    try:
        answers, numbers = [], []
        for each, others in ((store, 20), (alone, 0)):
            storage, todo = filled(each, others)
            asked(storage, todo, "select by a column")  # what is made once for each table is made
            watched = watch(each)
            answers.append(asked(storage, todo, name))
            if watched is not None:
                numbers.append(len(watched.said))
        mine, lonely = (re.sub(r"index_\d+_\w+", "index", repr(answer)) for answer in answers)
        assert mine == lonely
        if numbers and store._engine.dialect == alone._engine.dialect:
            assert numbers[0] == numbers[1]
    finally:
        alone.close()


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_every_statement_about_rows_of_tenants_says_whose(name: str, store: Any) -> None:
    storage, todo = filled(store, 20)
    asked(storage, todo, "select by a column")
    [[number]] = store._engine.rows(store._engine.sql.find_domain, (MINE,))
    watched = watch(store)
    assert watched is not None
    asked(storage, todo, name)
    about_rows = [said for said in watched.said if ROWS.search(said[0])]
    assert about_rows or name in ("txn",)
    for statement, parameters, domain in about_rows:
        assert domain == MINE, statement
        assert MINE in parameters or number in parameters, statement
        assert THEIRS not in parameters, statement
        assert re.search(r"\bdomain\b", statement.partition("WHERE")[2] or statement), statement
