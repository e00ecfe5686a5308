"""The unit of work through its public door, on both stores."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from limen import exc
from limen.app.datastore import DataStore, Storage
from limen.base.hict import Hict
from limen.base.principal import Principal, State, current
from limen.core.record.record import Record
from limen.store.memory import MemDictStore
from limen.store.sql import SQLStore


class Todo:
    @classmethod
    def initialize(cls, record: Record) -> None:
        record.merge(done=False, text="")

    @classmethod
    def validate(cls, record: Record) -> Hict:
        errors = Hict()
        if not isinstance(record.text, str):
            errors.text.bad_type = type(record.text).__name__
        elif not record.text.strip():
            errors.text.invalid = record.text
        if not isinstance(record.done, bool):
            errors.done.bad_type = type(record.done).__name__
        return errors

    @classmethod
    def index(cls, record: Record) -> dict[str, Any]:
        return {"done": record.done, "text": record.text}

    @classmethod
    def to_dict(cls, record: Record) -> dict[str, Any]:
        return {"done": record.done, "text": record.text, "id": record._uuid, "vsn": record._vsn}


class Note:
    pass


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    store = MemDictStore() if request.param == "memory" else SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
    yield store
    store.close()


@pytest.fixture
def storage(store: Any) -> Storage:
    storage = Storage(lambda: DataStore(store))
    storage.add_models(None, Todo, Note)
    return storage


def stored(store: Any, record: Record, domain: str = "localhost") -> list[tuple[int, str]]:
    """(version, fields) of all that the store has of a record."""
    return [(v.vsn, v.fields) for v, _ in store.records.history(domain, record._model.__name__, record._uuid.bytes)]


@pytest.fixture
def todo(storage: Storage) -> Record:
    with storage("setup") as db:
        return db.insert(Todo, text="first")


class As:
    """`with As("ada", domain="…"):` the block runs as that user's call."""

    def __init__(self, user: str | None, domain: str = "localhost") -> None:
        principal = Principal(domain, origin="192.0.2.1", user=user, impersonated_by="root")
        self._state = State(principal, service="todo.add")

    def __enter__(self) -> None:
        self._token = current.set(self._state)

    def __exit__(self, *_: object) -> None:
        current.reset(self._token)


# -- the line of versions
def test_an_inserted_record_is_version_one_when_the_block_is_left(storage: Storage, store: Any) -> None:
    with storage("why") as db:
        record = db.insert(Todo, text="a")
        assert record._vsn == 0
        assert record._uuid.version == 7
        assert store.records.newest("localhost", "Todo", record._uuid.bytes) is None
    assert Todo.to_dict(record) == {"done": False, "text": "a", "id": record._uuid, "vsn": 1}
    assert record._txn == store.meta.highest_txn()
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
    before = store.meta.highest_txn()
    with storage() as db:
        db.fetch(Todo, todo._uuid)
        db.select(Todo)
    assert store.meta.highest_txn() == before
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
    by = store.records.transaction(record._txn)
    assert by[:6] == ("clinic.example", "ada", "root", "todo.add", "192.0.2.1", "because ?")
    assert by.time > 1_700_000_000


# -- all or nothing
def test_an_exception_in_the_block_discards_everything(storage: Storage, store: Any, todo: Record) -> None:
    before = store.meta.highest_txn()
    with pytest.raises(ZeroDivisionError), storage() as db:
        db.insert(Todo, text="new")
        db.fetch(Todo, todo._uuid).text = "changed"
        raise ZeroDivisionError
    with storage() as db:
        assert [r.text for r in db.select(Todo)] == ["first"]
    assert store.meta.highest_txn() == before


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
    assert store.meta.highest_txn() == 0
    with storage() as db:
        db.insert(Todo, text="next")


def test_two_stores_in_one_unit_are_refused_before_anything_is_written(storage: Storage, store: Any) -> None:
    other = MemDictStore()
    storage.add_models(DataStore(other), Note)
    with pytest.raises(exc.StoreError, match="two stores"), storage() as db:
        db.insert(Todo, text="here")
        db.insert(Note, text="there")
    assert store.meta.highest_txn() == other.meta.highest_txn() == 0
    with storage() as db:
        db.insert(Note, text="there")
        assert db.select(Todo) == []
    assert other.meta.highest_txn() == 1


# -- stale versions
def test_a_stale_version_is_refused_with_what_the_other_wrote(storage: Storage, store: Any, todo: Record) -> None:
    with As("bob"), storage() as db:
        db.update(Todo, todo._uuid, 1, text="bob's")
    attempts: list[Callable[[Any], Any]] = [
        lambda db: db.fetch(Todo, todo._uuid, 1),
        lambda db: db.update(Todo, todo._uuid, 1, text="mine"),
        lambda db: db.delete(Todo, todo._uuid, 1),
        lambda db: db.update(todo, text="mine"),
    ]
    for attempt in attempts:
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


# -- reading
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


# -- nesting
def test_an_inner_unit_joins_the_outer_one(storage: Storage, store: Any) -> None:
    with storage("outer") as db:
        first = db.insert(Todo, text="a")
        with storage("inner") as inner:
            assert inner is db
            second = inner.insert(Todo, text="b")
        assert second._vsn == 0
    assert first._txn == second._txn
    assert store.records.transaction(first._txn).reason == "outer"


def test_an_inner_unit_that_failed_keeps_the_outer_one_from_writing(storage: Storage, store: Any) -> None:
    with pytest.raises(exc.StoreError, match="inside this one failed") as caught, storage() as db:
        db.insert(Todo, text="a")
        with pytest.raises(ZeroDivisionError), storage() as inner:
            inner.insert(Todo, text="half")
            raise ZeroDivisionError
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert store.meta.highest_txn() == 0


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


# -- async
async def test_async_with_does_the_same(storage: Storage) -> None:
    async with storage("why") as db:
        record = await db.insert(Todo, text="a")
    assert record._vsn == 1
    async with storage() as db:
        found = await db.fetch(Todo, record._uuid, 1)
        found.text = "b"
        assert await db.select(Todo) == [found]
        assert await db.select_one(Todo, lambda r: r.text == "b") is found
        assert await db.update(found, done=True) is found
    assert found._vsn == 2
    async with storage() as db:
        await db.delete(Todo, record._uuid, 2)
    with pytest.raises(exc.RecordVersionMismatch):
        async with storage() as db:
            await db.update(Todo, record._uuid, 2, text="c")


async def test_tasks_have_units_of_their_own_and_nested_ones_join(storage: Storage) -> None:
    async def helper() -> Any:
        async with storage() as inner:
            return await inner.insert(Note, a=1)

    async with storage() as db:
        joined = await helper()
        beside = await asyncio.create_task(helper())
        assert (joined._vsn, beside._vsn) == (0, 1)
        assert len(await db.select(Note)) == 2
    assert joined._vsn == 1


async def test_calls_that_are_gathered_run_one_after_the_other(storage: Storage) -> None:
    async with storage() as db:
        records = await asyncio.gather(*[db.insert(Note, n=n) for n in range(20)])
    async with storage() as db:
        found = await asyncio.gather(*[db.fetch(Note, r._uuid) for r in records for _ in range(2)])
        assert all(a is b for a, b in zip(found[::2], found[1::2], strict=True))


async def test_an_exception_in_an_async_block_discards_everything(storage: Storage, store: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        async with storage() as db:
            await db.insert(Todo, text="a")
            raise ZeroDivisionError
    assert store.meta.highest_txn() == 0


async def test_a_caller_that_is_cancelled_during_the_commit_leaves_when_it_is_known(storage: Storage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        @classmethod
        def validate(cls, record: Record) -> None:
            begun.set()
            assert go_on.wait(10)

    storage.add_models(None, Slow)

    async def work() -> None:
        async with storage() as db:
            await db.insert(Slow, a=1)

    task = asyncio.create_task(work())
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    with storage() as db:
        assert len(db.select(Slow)) == 1


async def test_state_reaches_hooks_on_the_worker_thread(storage: Storage) -> None:
    seen: list[str | None] = []

    class Seen:
        @classmethod
        def validate(cls, record: Record) -> None:
            from limen.base.principal import get_state

            seen.append(get_state().user)

    storage.add_models(None, Seen)
    with As("ada"):
        async with storage() as db:
            await db.insert(Seen)
    assert seen == ["ada"]


# -- models and roles
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
    for begin in (data, data.unit):
        with begin("why") as db:
            db.insert(Note, a=1)
    with data() as db:
        assert len(db.select(Note)) == 2


def test_roles_that_are_not_named_are_kept_by_the_first_store(store: Any) -> None:
    other = MemDictStore()
    data = DataStore(store, permission=other, abuse=other)
    assert [data.storage, data.state, data.settings] == [store] * 3
    assert [data.permission, data.profile, data.abuse] == [other] * 3


@pytest.mark.parametrize("role", ["relational", "search", "sessions"])
def test_an_unknown_role_is_refused_with_those_there_are(store: Any, role: str) -> None:
    with pytest.raises(TypeError, match=f"no role '{role}'; there are: storage, permission"):
        DataStore(store, **{role: store})


@pytest.mark.parametrize("wrong", [MemDictStore, "sqlite:///a.db", 5, object()])
def test_a_role_takes_a_store(store: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes a store such as"):
        DataStore(wrong)
    with pytest.raises(TypeError, match="abuse: this takes"):
        DataStore(store, abuse=wrong)


def test_permission_and_profile_are_one_store(store: Any) -> None:
    with pytest.raises(TypeError, match="one store"):
        DataStore(store, profile=MemDictStore())


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
