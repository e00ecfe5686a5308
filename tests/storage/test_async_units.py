"""`async with storage(…)`."""

# ruff: noqa: PT012 -- what must raise here is a whole unit of work, at its end

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from storing import As, Note, Todo, beside

from limen import exc
from limen.app.datastore import Storage
from limen.core.record.record import Record


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
    assert store.records.progress() == 0


async def test_a_caller_that_is_cancelled_during_the_commit_leaves_when_it_is_known(
    storage: Storage, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    submit = store.records.submit

    def slow(*what: Any) -> Future[int]:  # as a disk is
        done: Future[int] = Future()

        def work() -> None:
            begun.set()
            assert go_on.wait(10)
            done.set_result(submit(*what).result(10))

        threading.Thread(target=work).start()
        return done

    monkeypatch.setattr(store.records, "submit", slow)

    async def work() -> None:
        async with storage() as db:
            await db.insert(Note, a=1)

    task = asyncio.create_task(work())
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    with storage() as db:
        assert len(db.select(Note)) == 1


async def test_state_reaches_hooks(storage: Storage) -> None:
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


async def test_writing_takes_no_thread_of_ours(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(asyncio, "to_thread", never)
    async with storage() as db:
        note = await db.insert(Note, a=1)
        await db.update(note, a=2)
        lost = await db.insert(Note, a=3)
        await db.delete(lost)
    monkeypatch.undo()
    async with storage() as db:
        assert [r.a for r in await db.select(Note)] == [2]


async def test_a_caller_that_is_cancelled_during_a_read_leaves_when_it_is_done(
    storage: Storage, store: Any, todo: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    read = store.records.read

    def slow(*what: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return read(*what)

    monkeypatch.setattr(store.records, "read", slow)

    async def work() -> None:
        async with storage() as db:
            await db.insert(Note, a=1)
            await db.fetch(Todo, todo._uuid)

    task = asyncio.create_task(work())
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    async with storage() as db:
        assert await db.count(Note) == 0


@pytest.mark.parametrize("how", ["stale", "conflict"])
async def test_what_others_wrote_meanwhile_is_said_at_the_end(storage: Storage, todo: Record, how: str) -> None:
    def theirs(db: Any) -> None:
        db.fetch(Todo, todo._uuid).text = "theirs"

    expected = exc.RecordVersionMismatch if how == "stale" else exc.TransactionConflict
    with pytest.raises(expected):
        async with storage() as db:
            record = await db.fetch(Todo, todo._uuid)
            beside(lambda: storage.run(theirs))
            if how == "stale":
                record.text = "mine"
            else:
                await db.insert(Note, seen=record.text)
    async with storage() as db:
        assert (await db.fetch(Todo, todo._uuid)).text == "theirs"
        assert await db.count(Note) == 0


async def test_a_generator_that_is_closed_from_elsewhere_leaves_nothing_open(storage: Storage) -> None:
    async def records() -> Any:
        async with storage() as db:
            await db.insert(Note, a=1)
            yield 1

    generator = records()
    assert await anext(generator) == 1
    await asyncio.create_task(generator.aclose())
    async with storage() as db:
        assert await db.count(Note) == 0
        await db.insert(Note, a=2)
    async with storage() as db:
        assert await db.count(Note) == 1
