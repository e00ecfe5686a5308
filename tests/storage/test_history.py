"""Records that remember: history, the past, taking back, forgetting."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from storing import As, Note, Todo, beside, stored

from limen import exc, field
from limen.app.datastore import Storage
from limen.core.record.record import Record


class Session:
    __keep__ = 0


@pytest.fixture
def note(storage: Storage) -> Record:
    """Four versions: made, changed by bob, deleted by eve, and there again."""
    with As("ada"), storage("made") as db:
        note = db.insert(Note, text="one", n=1)
    with As("bob"), storage("changed") as db:
        db.update(Note, note._uuid, 1, text="two", tags=["x"])
    with As("eve"), storage("deleted") as db:
        db.delete(Note, note._uuid, 2)
        gone = db.txn + 1
    with storage("back") as db:
        db.undo(gone)
    return note


def test_history_tells_each_version_and_who_wrote_it(storage: Storage, note: Record) -> None:
    with storage() as db:
        history = db.history(Note, note._uuid)
    assert [(p._vsn, p._txn, p.deleted, p.erased) for p in history] == [
        (1, 1, False, False),
        (2, 2, False, False),
        (3, 3, True, False),
        (4, 4, False, False),
    ]
    assert [p.changed for p in history] == [("n", "text"), ("tags", "text"), (), ()]
    assert [p.text for p in history] == ["one", "two", "two", "two"]
    by = history[1].transaction
    assert by is not None
    assert by[:6] == (2, "bob", "root", "todo.add", "192.0.2.1", "changed")
    assert by.when.utcoffset() == timedelta(0)
    assert abs((datetime.now(UTC) - by.when).total_seconds()) < 60
    whens = [p.transaction.when for p in history if p.transaction is not None]
    assert whens == sorted(whens)


def test_history_is_given_in_parts(storage: Storage, note: Record) -> None:
    with storage() as db:
        whole = db.history(Note, str(note._uuid))
        assert db.history(Note, note._uuid, after=1) == whole[1:]
        assert [p.changed for p in db.history(Note, note._uuid, after=1, limit=2)] == [("tags", "text"), ()]
        assert db.history(Note, note._uuid, limit=1) == whole[:1]
        assert db.history(Note, uuid4()) == db.history(Note, "no uuid") == []
        with pytest.raises(exc.InvalidValue):
            db.history(Note, note._uuid, limit=0)


def test_what_was_cannot_be_changed(storage: Storage, store: Any, note: Record) -> None:
    with storage() as db:
        for past in (db.history(Note, note._uuid)[0], db.as_of(1).fetch(Note, note._uuid)):
            attempts: list[Any] = [
                lambda p: setattr(p, "text", "x"),
                lambda p: p.__setitem__("text", "x"),
                lambda p: delattr(p, "text"),
                lambda p: p.__delitem__("text"),
                lambda p: p.update(text="x"),
                lambda p: p.merge(text="x"),
                lambda p: db.update(p, text="x"),
                lambda p: db.delete(p),
            ]
            for attempt in attempts:
                with pytest.raises(exc.StoreError, match="can't be changed"):
                    attempt(past)
            assert past.text == "one"
        with pytest.raises(exc.StoreError, match="can be read, not changed"):
            db.as_of(1).insert(Note)  # type: ignore[attr-defined]
    assert len(stored(store, note)) == 4


def test_a_version_of_the_past_can_be_copied_and_pickled(storage: Storage, note: Record) -> None:
    with storage() as db:
        for past in (db.history(Note, note._uuid)[1], db.as_of(2).fetch(Note, note._uuid)):
            for other in (copy.copy(past), copy.deepcopy(past), pickle.loads(pickle.dumps(past))):
                assert other == past
                assert type(other) is type(past)
                assert getattr(other, "transaction", None) == getattr(past, "transaction", None)


def test_the_past_is_asked_by_number_and_by_time(storage: Storage, note: Record) -> None:
    with storage() as db:
        history = db.history(Note, note._uuid)
        when = {p._txn: p.transaction.when for p in history if p.transaction is not None}
        for txn, text in ((0, None), (1, "one"), (2, "two"), (3, None), (4, "two")):
            moments: list[Any] = [txn]
            if txn:
                east = timezone(timedelta(hours=9))
                moments += [when[txn], when[txn].timestamp(), when[txn].astimezone(east)]
            for moment in moments:
                past = db.as_of(moment)
                record = past.fetch(Note, note._uuid, fail=None if text else False)
                assert (record.text if record else None) == text
                expected = [text] if text else []
                assert [r.text for r in past.select(Note)] == expected
                assert [r.text for r in past.select(Note, lambda r: r.n == 1)] == expected
                assert [r.text for r in past.find(Note, text=text)] == expected
                assert past.count(Note, field("text") != None) == len(expected)  # noqa: E711
                assert past.txn == txn
                assert [p._txn for p in past.history(Note, note._uuid)] == list(range(1, txn + 1))
        assert db.as_of(0.0).select(Note) == []
        assert db.as_of(datetime.now(UTC) + timedelta(days=1)).count(Note) == 1
        assert db.as_of(4).as_of(1).fetch(Note, note._uuid).text == "one"
        assert str(db.as_of(1).explain(Note))


def test_fetch_gives_a_record_as_of_a_transaction(storage: Storage, note: Record) -> None:
    with storage() as db:
        assert db.fetch(Note, note._uuid, txn=1).text == "one"
        assert db.fetch(Note, note._uuid, 2, 2).text == "two"
        assert db.fetch(Note, note._uuid, txn=3, fail=False) is False
        assert db.fetch(Note, note._uuid, txn=1, acl=lambda r: r.text == "two", fail=False) is False
        with pytest.raises(exc.RecordVersionMismatch):
            db.fetch(Note, note._uuid, 1, txn=2)


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), -1, True, None, "2026-01-01", 5, 10**9])
def test_a_moment_that_is_none_is_refused(storage: Storage, note: Record, moment: Any) -> None:
    with pytest.raises(exc.InvalidValue), storage() as db:
        db.as_of(moment).select(Note)


def test_a_clock_that_jumps_back_does_not_move_recorded_time(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    import limen.app.unitofwork as module

    with storage() as db:
        first = db.insert(Note, n=1)
    jumped = type("Clock", (), {"time": staticmethod(lambda: 5.0), "time_ns": staticmethod(lambda: 5 * 10**9)})
    monkeypatch.setattr(module, "time", jumped)
    with storage() as db:
        second = db.insert(Note, n=2)
    with storage() as db:
        one, two = db.transaction(first._txn), db.transaction(second._txn)
        assert one is not None
        assert two is not None
        assert one.when <= two.when
        assert first._uuid < second._uuid
        assert db.transaction(99) is None


def test_diff_says_what_is_different(storage: Storage, note: Record) -> None:
    with storage() as db:
        one, two, *_ = db.history(Note, note._uuid)
        assert db.diff(one, two) == {"text": ("one", "two"), "tags": (None, ["x"])}
        assert db.diff(two, db.fetch(Note, note._uuid)) == {}
        other = db.insert(Note, n=True, text="one")
        assert db.diff(one, other) == {"n": (1, True)}


# -- undo -----------------------------------------------------------------------------------------
def test_undo_takes_back_all_that_a_transaction_did(storage: Storage) -> None:
    with storage() as db:
        kept, changed, deleted = db.insert(Todo, text="a"), db.insert(Todo, text="b"), db.insert(Note, n=1)
    with storage("the mistake") as db:
        db.update(changed, text="c", done=True)
        db.delete(deleted)
        made = db.insert(Note, n=2)
    with As("ada"), storage("taken back") as db:
        undone = db.undo(made._txn)
        assert {r._uuid for r in undone} == {changed._uuid, deleted._uuid, made._uuid}
        assert db.fetch(Note, deleted._uuid).n == 1
        assert db.select(Note) == [r for r in undone if r._uuid == deleted._uuid]
    with storage() as db:
        assert [(r.text, r.done) for r in db.select(Todo)] == [("a", False), ("b", False)]
        assert [r.n for r in db.select(Note)] == [1]
        assert [p._vsn for p in db.history(Todo, changed._uuid)] == [1, 2, 3]
        assert db.fetch(Todo, kept._uuid)._vsn == 1
        last = db.history(Note, deleted._uuid)[-1].transaction
        assert last is not None
        assert (last.user, last.reason) == ("ada", "taken back")
    with storage() as db:
        db.undo(undone[0]._txn)  # the undo is a transaction like others
    with storage() as db:
        assert [r.n for r in db.select(Note)] == [2]


def test_undo_leaves_what_others_changed_later_in_other_fields(storage: Storage, todo: Record) -> None:
    with storage() as db:
        db.update(todo, text="mistake")
    mistake = todo._txn
    with storage() as db:
        db.update(todo, done=True, note="new")
    with storage() as db:
        db.undo(mistake)
    with storage() as db:
        record = db.fetch(Todo, todo._uuid)
        assert (record.text, record.done, record.note) == ("first", True, "new")


@pytest.mark.parametrize("later", ["same field", "deleted", "erased", "of an insert", "in this unit"])
def test_undo_is_refused_where_later_changes_collide(storage: Storage, store: Any, todo: Record, later: str) -> None:
    with storage() as db:
        beside = db.insert(Note, n=1)
        db.update(todo, text="mistake")
    mistake, vsn = todo._txn, 2
    with storage() as db:
        if later == "same field":
            db.update(todo, text="meant")
        elif later == "deleted":
            db.delete(todo)
        elif later == "erased":
            db.forget(Todo, todo._uuid)
        elif later == "of an insert":
            db.update(beside, other=1)
    collides = beside if later == "of an insert" else todo
    with storage() as db:
        before = stored(store, beside)
        if later == "in this unit":
            db.fetch(Todo, todo._uuid).done = True
        with pytest.raises(exc.UndoRefused) as caught:
            db.undo(mistake)
        newest = vsn if later == "in this unit" else collides._vsn + (later == "erased")
        assert caught.value.facts == {
            "txn": mistake,
            "records": [
                {"model": collides._model.__name__, "id": str(collides._uuid), "vsn": 2 if collides is todo else 1,
                 "newest": newest},
            ],
        }  # fmt: skip
        assert str(collides._uuid) in str(caught.value)
    assert stored(store, beside) == before


@pytest.mark.parametrize("txn", [0, -1, 2, True, "1", None])
def test_undo_takes_the_number_of_a_transaction(storage: Storage, todo: Record, txn: Any) -> None:
    with storage() as db, pytest.raises(exc.InvalidValue):
        db.undo(txn)


def test_undo_that_another_overtakes_is_refused_at_the_end(storage: Storage, todo: Record) -> None:
    with storage() as db:
        db.update(todo, text="mistake")
    with pytest.raises(exc.RecordVersionMismatch), storage() as db:
        db.undo(todo._txn)
        beside(lambda: storage.run(lambda db: db.update(db.fetch(Todo, todo._uuid), done=True)))


# -- erasure and retention ------------------------------------------------------------------------
@pytest.mark.parametrize("deleted_before", [False, True])
def test_forget_takes_the_contents_of_every_version(
    storage: Storage, store: Any, note: Record, deleted_before: bool
) -> None:
    with storage() as db:
        if deleted_before:
            db.delete(db.fetch(Note, note._uuid))
    with As("dpo"), storage("article 17") as db:
        db.forget(Note, note._uuid)
        assert db.fetch(Note, note._uuid, fail=False) is False
        assert db.select(Note) == []
    with storage() as db:
        history = db.history(Note, note._uuid)
        assert {(p.erased, p.deleted, len(p)) for p in history} == {(True, True, 0)}
        by = history[-1].transaction
        assert by is not None
        assert (by.user, by.reason) == ("dpo", "article 17")
        assert db.as_of(1).fetch(Note, note._uuid, fail=False) is False
        assert db.as_of(2).select(Note) == []
        for what in (note._uuid, uuid4(), "no uuid"):
            with pytest.raises(exc.RecordNotFound):
                db.forget(Note, what)
        with pytest.raises(exc.UndoRefused):
            db.undo(history[-1]._txn)
    assert {fields for _, fields in stored(store, note)} == {"{}"}


def test_what_was_inserted_here_and_forgotten_was_never_there(storage: Storage) -> None:
    with storage() as db:
        made = db.insert(Note, n=1)
        db.forget(Note, made._uuid)
    assert storage.main().progress() == 0


def test_a_model_may_keep_no_history(storage: Storage) -> None:
    storage.add_models(None, Session)
    with storage() as db:
        one, two = db.insert(Session, n=1), db.insert(Session, n=2)
    with storage() as db:
        db.update(one, n=3)
    with storage() as db:
        assert [(p._vsn, p.transaction, p.changed) for p in db.history(Session, one._uuid)] == [(2, None, None)]
        assert db.as_of(1).fetch(Session, two._uuid).n == 2
        with pytest.raises(exc.HistoryGone) as caught:
            db.as_of(1).fetch(Session, one._uuid)
        assert caught.value.facts["since"] == 2
        with pytest.raises(exc.HistoryGone):
            db.as_of(1).select(Session)
        with pytest.raises(exc.HistoryGone):
            db.undo(1)


@pytest.mark.parametrize("how", ["fetch", "select", "count"])
def test_without_history_what_was_read_and_deleted_is_a_conflict(storage: Storage, how: str) -> None:
    storage.add_models(None, Session)
    with storage() as db:
        one = db.insert(Session, n=1)
    with pytest.raises(exc.TransactionConflict), storage() as db:
        if how == "fetch":
            db.fetch(Session, one._uuid)
        elif how == "select":
            db.select(Session, field("n") == 1)
        else:
            db.count(Session)
        beside(lambda: storage.run(lambda db: db.delete(db.fetch(Session, one._uuid))))
        db.insert(Note, n=1)


def test_a_snapshot_of_what_keeps_no_history_ends_with_its_next_change(storage: Storage) -> None:
    storage.add_models(None, Session)
    with storage() as db:
        one = db.insert(Session, n=1)

    def work(db: Any) -> Any:
        db.count(Note)
        if db.txn == 1:
            beside(lambda: storage.run(lambda db: db.update(db.fetch(Session, one._uuid), n=2)))
        return db.fetch(Session, one._uuid).n

    with pytest.raises(exc.TransactionConflict):
        storage.run(work)
    with storage() as db:
        db.update(db.fetch(Session, one._uuid), n=5)
    assert storage.run(work, retry=1) == 5


# -- the change log -------------------------------------------------------------------------------
def test_changes_gives_every_commit_from_any_position(storage: Storage, note: Record) -> None:
    with storage.changes() as feed:
        commits = feed.read()
    assert [commit.number for commit in commits] == [1, 2, 3, 4]
    assert [commit.changes[0].kind for commit in commits] == ["insert", "update", "delete", "update"]
    with storage.changes(after=3) as feed:
        assert [commit.number for commit in feed.read()] == [4]
    with As("eve", "other.example"), storage.changes() as feed:
        assert feed.read() == []
