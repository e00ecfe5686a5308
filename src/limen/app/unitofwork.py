"""The unit of work as a program meets it: `with storage("why") as db:` and `async with storage("why") as db:`.

Which unit a block joins: the innermost open one of the same storage that was begun in the same task (or, outside of
tasks, the same thread). A further task or thread that begins inside a unit runs beside it, with units of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

from limen import exc
from limen.base.principal import get_state
from limen.core.record.model import Model
from limen.core.record.port import RecordStore, Transaction
from limen.core.record.record import Record
from limen.core.record.unit import Unit
from limen.core.record.uuid7 import ENTROPY, Source

T = TypeVar("T")
_uuids = Source()


class _Running:
    """A unit that is under way: of which storage, and in which task of which thread."""

    __slots__ = ("outer", "owner", "place", "unit")

    def __init__(self, owner: object, place: object, unit: Unit, outer: _Running | None) -> None:
        self.owner, self.place, self.unit, self.outer = owner, place, unit, outer


_running: ContextVar[_Running | None] = ContextVar("limen_unit", default=None)


def _place() -> tuple[int, object]:
    """Where this runs. Tasks and threads that begin inside a unit inherit its context, and must not join it."""
    try:
        return threading.get_ident(), asyncio.current_task()
    except RuntimeError:
        return threading.get_ident(), None


class UnitOfWork:
    """What `storage("why")` gives: for one `with` or `async with`."""

    __slots__ = ("_async", "_find", "_joined", "_owner", "_reason", "_token", "_unit")

    def __init__(self, owner: object, find: Callable[[type], tuple[Model, RecordStore]], reason: str) -> None:
        self._owner, self._find, self._reason = owner, find, reason
        self._unit: Unit | None = None
        self._joined = False
        self._token: Token[_Running | None] | None = None
        self._async: AsyncUnit | None = None

    def __enter__(self) -> Unit:
        if self._unit is not None:
            raise exc.StoreError("This unit of work was used already; call storage() for another.")
        place, outer = _place(), _running.get()
        running = outer
        while running is not None:
            if running.owner is self._owner and running.place == place and running.unit.is_open:
                self._unit, self._joined = running.unit, True
                return running.unit
            running = running.outer
        state = get_state()
        reason = str(self._reason).encode("utf-8", "replace").decode()  # a lone surrogate is no reason to fail
        who = Transaction(state.domain, state.user, state.impersonated_by, state.service, state.origin, reason, 0.0)
        self._unit = unit = Unit(self._find, who, _new_uuid, time.time)
        self._token = _running.set(_Running(self._owner, place, unit, outer))
        return unit

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error):
            self._unit.commit()  # type: ignore[union-attr]

    async def __aenter__(self) -> AsyncUnit:
        self._async = AsyncUnit(self.__enter__())
        return self._async

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave(error):
            await _to_its_end(self._unit.commit)  # type: ignore[union-attr]

    def _leave(self, error: BaseException | None) -> bool:
        """True where there is something to commit."""
        unit = self._unit
        if unit is None:
            return False
        if self._joined:
            if error is not None:
                unit.spoil(error)
            return False
        if self._token is not None:
            _running.reset(self._token)
        if error is not None:
            unit.discard()
        return error is None


def _new_uuid() -> UUID:
    return _uuids.next(time.time_ns() // 1_000_000, os.urandom(ENTROPY))


class AsyncUnit:
    """A unit of work whose methods are awaited; what asks the store runs on a worker thread, one after the other."""

    __slots__ = ("_lock", "_unit")

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._lock = asyncio.Lock()

    async def fetch(
        self, model: type, uuid: UUID | str, vsn: int | None = None, fail: Any = None, acl: Any = None
    ) -> Any:
        """See `Unit.fetch`."""
        return await self._on_thread(lambda: self._unit.fetch(model, uuid, vsn, fail, acl))

    async def select(self, model: type, predicate: Any = None, acl: Any = None) -> list[Record]:
        """See `Unit.select`."""
        return await self._on_thread(lambda: self._unit.select(model, predicate, acl))

    async def select_one(self, model: type, predicate: Any = None, fail: Any = None, acl: Any = None) -> Any:
        """See `Unit.select_one`."""
        return await self._on_thread(lambda: self._unit.select_one(model, predicate, fail, acl))

    async def insert(self, model: type, /, **fields: Any) -> Record:
        """See `Unit.insert`."""
        return self._unit.insert(model, **fields)  # asks no store

    async def update(self, what: Record | type, /, *which: Any, **fields: Any) -> Record:
        """See `Unit.update`."""
        return await self._on_thread(lambda: self._unit.update(what, *which, **fields))

    async def delete(self, what: Record | type, /, *which: Any) -> Record:
        """See `Unit.delete`."""
        return await self._on_thread(lambda: self._unit.delete(what, *which))

    async def _on_thread(self, function: Callable[[], T]) -> T:
        async with self._lock:  # a unit is one line of work, also where a program gathers several of its calls
            return await _to_its_end(function)


async def _to_its_end(function: Callable[[], T]) -> T:
    """Runs *function* on a worker thread. It can't be stopped there: a cancelled caller waits until it is done, so that
    nothing of a unit goes on behind the caller's back."""
    work = asyncio.ensure_future(asyncio.to_thread(function))
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
