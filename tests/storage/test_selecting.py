"""Searching: conditions, orders, pages and counts, with what the unit itself has written."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from storing import Note, Todo, beside

from limen import exc, field
from limen.app.datastore import Storage

TRUE = True


@dataclass
class Task:
    name: str
    rank: int | None = None
    done: bool = False


@pytest.fixture
def tasks(storage: Storage) -> Storage:
    storage.add_models(None, Task)
    with storage() as db:
        for n in range(60):
            db.insert(Task, name=f"task {n:02}", rank=n % 7 if n % 5 else None, done=n % 2 == 0)
    return storage


def names(found: Any) -> list[int]:
    return [int(record.name[-2:]) for record in found]


def test_a_condition_says_the_same_as_a_function(tasks: Storage) -> None:
    pairs: list[tuple[Any, Any]] = [
        (field("rank") == 3, lambda r: r.rank == 3),
        (field("rank") != 3, lambda r: r.rank != 3),
        (field("rank") < 3, lambda r: r.rank is not None and r.rank < 3),
        ((field("rank") >= 5) & (field("done") == TRUE), lambda r: r.rank is not None and r.rank >= 5 and r.done),
        ((field("rank") == None) | (field("name").contains("7")), lambda r: r.rank is None or "7" in r.name),  # noqa: E711
        (~field("name").startswith("task 1"), lambda r: not r.name.startswith("task 1")),
        (field("nowhere") == None, lambda r: True),  # noqa: E711
    ]
    with tasks() as db:
        for condition, function in pairs:
            found = names(db.select(Task, condition))
            assert found == names(db.select(Task, function))
            assert db.count(Task, condition) == db.count(Task, function) == len(found)
        assert names(db.find(Task, rank=3, done=False)) == [n for n in range(60) if n % 7 == 3 and n % 5 and n % 2]
        assert len(db.find(Task)) == db.count(Task) == 60
        assert db.count(Task, cap=10) == 10
        assert db.select_one(Task, field("rank") == 6, order_by=field("name").desc()).name == "task 48"
        assert db.select_one(Task, field("rank") == 99, fail=False) is False


def test_sql_in_a_value_or_a_fields_name_is_data(tasks: Storage) -> None:
    hostile = [
        "'; DROP TABLE record; --",
        '" OR ""="',
        "%' OR 1=1 --",
        "\\' UNION SELECT * FROM record",
        "$1 ? :a %s {0}",
    ]
    with tasks() as db:
        for word in hostile:
            db.insert(Task, name=word, rank=99)
    with tasks() as db:
        for word in hostile:
            for condition in (field("name") == word, field("name").startswith(word), field("name").contains(word)):
                assert [record.name for record in db.select(Task, condition)] == [word]
            assert [record.name for record in db.find(Task, name=word)] == [word]
            assert db.select(Task, field(word) == 1) == []
            with pytest.raises(exc.Error):
                db.fetch(Task, word)
        assert db.count(Task) == 60 + len(hostile)


@pytest.mark.parametrize("how", ["condition", "function", "acl", "all"])
@pytest.mark.parametrize("order", [None, "rank", "-rank", "-rank name"])
@pytest.mark.parametrize("dirty", [False, True])
def test_pages_follow_each_other_without_gap_or_repeat(
    tasks: Storage, how: str, order: str | None, dirty: bool
) -> None:
    where: Any = {"condition": field("done") == TRUE, "function": lambda r: r.done}.get(how)
    arguments: dict[str, Any] = {"acl": (lambda r: r.done) if how == "acl" else None}
    if order:
        arguments["order_by"] = [field(n[1:]).desc() if n[0] == "-" else field(n) for n in order.split()]
    with tasks() as db:
        if dirty:
            chance = random.Random(7)
            everything = db.select(Task)
            for record in chance.sample(everything, 20):
                record.rank = chance.choice([None, 1, 100])
            for record in chance.sample(everything, 10):
                record.done = not record.done
            for record in chance.sample(everything, 10):
                db.delete(record)
            for n in range(60, 66):
                db.insert(Task, name=f"task {n}", rank=3, done=True)
        whole = db.select(Task, where, **arguments)
        assert whole.cursor is None
        for limit in (1, 7, 1000):
            found: list[Any] = []
            after = None
            while True:
                page = db.select(Task, where, limit=limit, after=after, **arguments)
                found += page
                after = page.cursor
                assert len(page) == limit or after is None
                if after is None:
                    break
            assert [r._uuid for r in found] == [r._uuid for r in whole]


def test_one_record_is_one_object_however_it_is_found(tasks: Storage) -> None:
    with tasks() as db:
        one = db.select_one(Task, field("name") == "task 07")
        assert db.fetch(Task, one._uuid) is one
        assert db.find(Task, name="task 07")[0] is one
        one.name = "task 99"
        assert db.find(Task, name="task 07") == []
        assert db.find(Task, name="task 99") == [one]
        assert db.count(Task, field("name") == "task 99") == 1
        db.delete(one)
        assert db.count(Task) == 59


def test_explain_says_who_does_the_work(tasks: Storage, store: Any) -> None:
    with tasks() as db:
        in_database = db.explain(Task, field("rank") == 3)
        assert in_database.in_database is (store.url != "")
        assert str(in_database) == in_database.text
        by_function = db.explain(Task, lambda r: r.rank == 3)
        assert not by_function.in_database
        assert "function" in by_function.text


def test_explain_reads_one_record_at_most(tasks: Storage, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = []
    select = store.records.select

    def noted(*question: Any) -> Any:
        answers.append(select(*question))
        return answers[-1]

    monkeypatch.setattr(store.records, "select", noted)
    with tasks() as db:
        for where in (None, field("rank") >= 0, field("name") != "", lambda record: True):
            for order, limit in ((None, None), (field("rank"), None), (None, 10)):
                plan = db.explain(Task, where, order_by=order, limit=limit)
                explained = answers.pop()
                assert len(explained.versions) <= 1
                db.select(Task, where, order_by=order, limit=limit)
                asked = answers[0]
                answers.clear()
                if not callable(where):
                    assert plan.text == asked.how, "it says what is done"
                    assert explained.complete is asked.complete


def test_a_snapshot_holds_for_every_page(tasks: Storage) -> None:
    with tasks() as db:
        first = db.select(Task, field("done") == TRUE, limit=10, order_by=field("rank"))
        beside(lambda: tasks.run(lambda db: [db.update(r, rank=0) for r in db.select(Task)]))
        second = db.select(Task, field("done") == TRUE, limit=100, order_by=field("rank"), after=first.cursor)
    with tasks() as db:
        before = db.as_of(db.txn - 1).select(Task, field("done") == TRUE, order_by=field("rank"))
    assert names([*first, *second]) == names(before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": True},
        {"limit": 1.0},
        {"after": "nonsense"},
        {"after": ""},
    ],
)
def test_limits_and_cursors_that_are_none_are_refused(tasks: Storage, wrong: dict[str, Any]) -> None:
    with tasks() as db, pytest.raises(exc.InvalidValue):
        db.select(Task, **wrong)


def test_a_cursor_belongs_to_its_order(tasks: Storage) -> None:
    with tasks() as db:
        page = db.select(Task, limit=3, order_by=field("rank"))
        with pytest.raises(exc.InvalidValue):
            db.select(Task, limit=3, order_by=field("name"), after=page.cursor)


@pytest.mark.parametrize("where", ["done", 5, field("done"), {"done": True}])
def test_what_is_no_condition_is_refused_with_the_remedy(storage: Storage, where: Any) -> None:
    with storage() as db:
        for question in (db.select, db.count, db.explain, db.select_one):
            with pytest.raises(TypeError, match=r"Todo.done == True, or a function"):
                question(Todo, where)


def test_predicates_that_raise_leave_the_unit_as_it_was(storage: Storage) -> None:
    with storage() as db:
        note = db.insert(Note, n=1)
        with pytest.raises(AttributeError):
            db.select(Note, lambda r: r.nope)
        with pytest.raises(ZeroDivisionError):
            db.fetch(Note, note._uuid, acl=lambda r: 1 / 0)
        note.n = 2
    with storage() as db:
        assert db.select_one(Note).n == 2
