"""The unit of work of `async with storage("why") as db:`. Its methods are awaited.

What asks the store runs on a worker thread, one call after the other; what does not runs at once. The commit runs on
the store's own writer, without a thread for each. Nothing of a unit ever goes on behind the caller's back: who is
cancelled leaves when what is under way is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any, TypeVar
from uuid import UUID

from limen.core.record.arguments import Fail, Moment, Predicate, Where
from limen.core.record.past import Past, Written
from limen.core.record.query import Page
from limen.core.record.reader import Plan, Reader
from limen.core.record.record import Record
from limen.core.record.unit import Unit

T = TypeVar("T")


class AsyncReader:
    """See `limen.core.record.reader.Reader`; each method does the same."""

    __slots__ = ("_lock", "_reader")

    def __init__(self, reader: Reader, lock: asyncio.Lock | None = None) -> None:
        self._reader = reader
        self._lock = lock or asyncio.Lock()

    async def fetch(
        self,
        model: type,
        uuid: UUID | str,
        vsn: int | None = None,
        txn: int | None = None,
        acl: Predicate | None = None,
        fail: Fail = None,
    ) -> Any:
        """See `Reader.fetch`."""
        return await self._on_thread(lambda: self._reader.fetch(model, uuid, vsn, txn, acl, fail))

    async def history(self, model: type, uuid: UUID | str, *, after: int = 0, limit: int | None = None) -> list[Past]:
        """See `Reader.history`."""
        return await self._on_thread(lambda: self._reader.history(model, uuid, after=after, limit=limit))

    async def diff(self, a: Record, b: Record) -> dict[str, tuple[Any, Any]]:
        """See `Reader.diff`."""
        return self._reader.diff(a, b)

    def as_of(self, moment: Moment) -> AsyncReader:
        """See `Reader.as_of`. Not awaited itself: `await db.as_of(7).fetch(Todo, id)`."""
        return AsyncReader(self._reader.as_of(moment), self._lock)

    async def transaction(self, number: int, model: type | None = None) -> Written | None:
        """See `Reader.transaction`."""
        return await self._on_thread(lambda: self._reader.transaction(number, model))

    async def select(
        self,
        model: type,
        where: Where = None,
        *,
        acl: Predicate | None = None,
        order_by: Any = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page[Any]:
        """See `Reader.select`."""
        return await self._on_thread(
            lambda: self._reader.select(model, where, acl=acl, order_by=order_by, limit=limit, after=after)
        )

    async def select_one(
        self, model: type, where: Where = None, *, fail: Fail = None, acl: Predicate | None = None, order_by: Any = None
    ) -> Any:
        """See `Reader.select_one`."""
        return await self._on_thread(
            lambda: self._reader.select_one(model, where, fail=fail, acl=acl, order_by=order_by)
        )

    async def find(
        self,
        model: type,
        /,
        *,
        order_by: Any = None,
        limit: int | None = None,
        after: str | None = None,
        **equal: Any,
    ) -> Page[Any]:
        """See `Reader.find`."""
        return await self._on_thread(
            lambda: self._reader.find(model, order_by=order_by, limit=limit, after=after, **equal)
        )

    async def count(self, model: type, where: Where = None, *, cap: int = 10_000) -> int:
        """See `Reader.count`."""
        return await self._on_thread(lambda: self._reader.count(model, where, cap=cap))

    async def explain(
        self,
        model: type,
        where: Where = None,
        *,
        acl: Predicate | None = None,
        order_by: Any = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Plan:
        """See `Reader.explain`."""
        return await self._on_thread(
            lambda: self._reader.explain(model, where, acl=acl, order_by=order_by, limit=limit, after=after)
        )

    async def _on_thread(self, function: Callable[[], T]) -> T:
        async with self._lock:  # a unit is one line of work, also where a program gathers several of its calls
            return await _to_its_end(asyncio.get_running_loop().run_in_executor(None, copy_context().run, function))


class AsyncUnit(AsyncReader):
    """See `limen.core.record.unit.Unit`; each method does the same."""

    __slots__ = ("_unit",)

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self._unit = unit

    async def txn(self) -> int:
        """See `Reader.txn`; here it is a method: `await db.txn()`."""
        return await self._on_thread(lambda: self._unit.txn)

    async def insert(self, model: type, /, **fields: Any) -> Record:
        """See `Unit.insert`."""
        async with self._lock:
            return self._unit.insert(model, **fields)  # asks no store

    async def update(self, what: Record | type, /, *which: Any, **fields: Any) -> Record:
        """See `Unit.update`."""
        return await self._write(what, lambda: self._unit.update(what, *which, **fields))

    async def delete(self, what: Record | type, /, *which: Any) -> Record:
        """See `Unit.delete`."""
        return await self._write(what, lambda: self._unit.delete(what, *which))

    async def forget(self, model: type, uuid: UUID | str) -> None:
        """See `Unit.forget`."""
        await self._on_thread(lambda: self._unit.forget(model, uuid))

    async def undo(self, txn: int, model: type | None = None) -> list[Record]:
        """See `Unit.undo`."""
        return await self._on_thread(lambda: self._unit.undo(txn, model))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """`async with db.savepoint():` See `Unit.savepoint`."""
        with self._unit.savepoint():
            yield

    async def _write(self, what: Record | type, function: Callable[[], T]) -> T:
        if isinstance(what, type):
            return await self._on_thread(function)
        async with self._lock:
            return function()  # a record that is at hand: asks no store


async def _to_its_end(work: asyncio.Future[T]) -> T:
    """What *work* gives. It can't be stopped where it runs: a cancelled caller waits until it is done, so that nothing
    of a unit goes on behind the caller's back."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                continue
        if not work.cancelled():
            work.exception()  # it was looked at
        raise
