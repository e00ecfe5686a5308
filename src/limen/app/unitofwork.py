"""The unit of work as a program meets it: `with storage("why") as db:` and `async with storage("why") as db:`.

Which unit a block joins: the innermost open one of the same storage and domain that was begun in the same task (or,
outside of tasks, the same thread), and whose block still runs. A further task or thread that begins inside a unit runs
beside it, with units of its own, and so does what is done as a caller of another domain. Outside of calls a block that
names no domain joins the innermost unit whatever its domain: what a worker calls for a tenant is done for that one.

A generator that waits inside its block lends its unit to whoever asks for the next value. Where it is closed then,
nothing is written: if anyone had joined that is said, for they have taken their blocks for done.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, TypeVar
from weakref import ref

from limen import exc
from limen.base.names import domain_name
from limen.base.principal import get_state, in_call
from limen.base.spans import Span, spans_here
from limen.core.record.port import Conflict, Stale
from limen.core.record.reader import ModelRegistry
from limen.core.record.unit import Unit
from limen.core.record.uuid7 import Source
from limen.service.hops import awaited

from .asyncunit import AsyncUnit

T = TypeVar("T")
_uuids = Source(os.urandom)
os.register_at_fork(after_in_child=_uuids.restart)


class _Running:
    """A unit that is under way: of which storage, and in which task of which thread. *held*: gives None once its block
    is left, in whatever way. *joined*: whether a block inside has joined it."""

    __slots__ = ("domain", "held", "joined", "outer", "registry", "task", "thread", "unit")

    def __init__(
        self,
        registry: ModelRegistry,
        domain: str,
        thread: int,
        task: object,
        held: ref[Any],
        unit: Unit,
        outer: _Running | None,
    ) -> None:
        self.registry, self.thread, self.task, self.held, self.unit, self.outer = (
            registry,
            thread,
            task,
            held,
            unit,
            outer,
        )
        self.domain, self.joined = domain, False


_running: ContextVar[_Running | None] = ContextVar("limen_unit", default=None)


def _task() -> object:
    """The task that runs. Tasks and threads that begin inside a unit inherit its context, and must not join it."""
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


def _new_uuid() -> bytes:
    return _uuids.next(time.time_ns() // 1_000_000)


def tenant(named: str) -> str:
    """The domain that a program has named for what it does. Outside of calls that may be any; a call has its own, and
    `Forbidden` is raised for every other, so that no service reaches across by a mistaken argument. What is no host
    name raises `InvalidAddress`."""
    domain = domain_name(named)
    if in_call() and domain != get_state().domain:
        raise exc.Forbidden(
            "A call works in its own domain and can't name another; that is for what runs outside of calls."
        )
    return domain


class _Exit:
    """A method that `with` takes hold of when its block begins and lets go of when it ends.

    A KeyboardInterrupt may come before the first line of `__exit__`: the block is left then, and nothing of ours has
    run. That it is left is seen by what `with` held alone: a partial made for it, which no traceback refers to.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def __get__(self, work: UnitOfWork | None, cls: type) -> Callable[..., Any]:
        if work is None:
            return self._method  # contextlib.ExitStack asks the class, and holds the UnitOfWork itself
        held = partial(self._method, work)
        work._held = ref(held)
        return held


class UnitOfWork:
    """What `storage("why")` gives: for one `with` or `async with`."""

    __slots__ = (
        "__weakref__",
        "_domain",
        "_ending",
        "_held",
        "_joined",
        "_reason",
        "_registry",
        "_running",
        "_span",
        "_token",
        "_unit",
    )

    def __init__(self, registry: ModelRegistry, reason: str, domain: str | None = None) -> None:
        self._registry, self._reason, self._domain = registry, reason, domain
        self._unit: Unit | None = None
        self._joined = self._ending = False
        self._token: Token[_Running | None] | None = None
        self._running: _Running | None = None
        self._held: ref[Any] | None = None
        self._span: Span | None = None

    def __getattr__(self, name: str) -> NoReturn:
        if hasattr(Unit, name) and name[:1] != "_":
            raise exc.StoreError(f"{name} is a method of what `with` gives: with storage() as db: db.{name}(…)")
        raise AttributeError(name)

    def __enter__(self) -> Unit:
        if self._unit is not None:
            raise exc.StoreError("This unit of work was used already; call storage() for another.")
        thread, task = threading.get_ident(), _task()
        outer = _running.get()
        while outer is not None and outer.held() is None:
            outer = outer.outer
        state = get_state()
        caller = state.principal
        named = self._domain is not None or in_call()
        domain = caller.domain if self._domain is None else tenant(self._domain)
        running = outer
        while running is not None:
            if (
                running.registry is self._registry
                and (running.domain == domain or not named)
                and running.thread == thread
                and running.task is task
                and running.unit.is_open
            ):
                self._unit, self._joined = running.unit, True
                running.joined = True
                return running.unit
            running = running.outer
        reason = self._reason
        if type(reason) is not str or not reason.isascii() or "\0" in reason:  # U+0000, which PostgreSQL does not keep
            reason = str(reason).encode("utf-8", "replace").decode().replace("\0", "?")  # is no reason to fail
        who = domain, caller.user, caller.impersonated_by, state.service, caller.origin, reason
        self._unit = unit = Unit(self._registry, who, _new_uuid, time.time)
        self._running = _Running(self._registry, domain, thread, task, self._held or ref(self), unit, outer)
        self._token = _running.set(self._running)
        spans = spans_here.get()
        if spans is not None:
            self._span = spans.work(reason)
        return unit

    def _exit(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._leave(error):
                self._unit.commit()  # type: ignore[union-attr]
        except BaseException as failed:
            error = failed
            raise
        finally:
            if self._span is not None:
                self._span.end(None if error is None else type(error).__qualname__)

    async def __aenter__(self) -> AsyncUnit:
        return AsyncUnit(self.__enter__())

    async def _aexit(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._commit(error)
        except BaseException as failed:
            error = failed
            raise
        finally:
            if self._span is not None:
                self._span.end(None if error is None else type(error).__qualname__)

    async def _commit(self, error: BaseException | None) -> None:
        if not self._leave(error):
            return
        unit = self._unit
        assert unit is not None
        work = unit.prepare()
        if work is None:
            return
        try:
            txn = await awaited(work.store.submit(work.who, work.changes, work.reads))
        except (Stale, Conflict) as refused:
            unit.refused(work, refused)
        unit.done(work, txn)

    __exit__ = _Exit(_exit)
    __aexit__ = _Exit(_aexit)

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
            try:
                _running.reset(self._token)
            except ValueError:  # a generator that is closed from elsewhere: there it never was the running one
                pass
        if error is not None:
            unit.discard()
            if isinstance(error, GeneratorExit) and self._running is not None and self._running.joined:
                raise exc.StoreError(
                    "A generator was closed inside its unit of work, which others had joined meanwhile: nothing was "
                    "written, theirs neither. Give what is read in the unit as a list, or end the generator first."
                ) from None
            return False
        self._ending = True
        return True

    def may_repeat(self, error: exc.Error) -> bool:
        """Whether what ended in *error* may come out well if it is done again from the beginning."""
        return not self._joined and (self._ending or isinstance(error, exc.TransactionConflict))


def run(
    registry: ModelRegistry,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    reason: str,
    retry: int,
) -> Any:
    """See `Storage.run`."""
    if type(retry) is not int or retry < 0:
        raise exc.InvalidValue(f"retry is a whole number, 0 or more, not {retry!r:.40}.")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        return _run_async(registry, function, args, kwargs, reason, retry)
    while True:
        work = UnitOfWork(registry, reason)
        try:
            with work as db:
                result = function(db, *args, **kwargs)
        except (exc.TransactionConflict, exc.RecordVersionMismatch) as error:
            if not retry or not work.may_repeat(error):
                raise
            retry -= 1
        else:
            return result


async def _run_async(
    registry: ModelRegistry,
    function: Callable[..., Awaitable[T]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    reason: str,
    retry: int,
) -> T:
    while True:
        work = UnitOfWork(registry, reason)
        try:
            async with work as db:
                result = await function(db, *args, **kwargs)
        except (exc.TransactionConflict, exc.RecordVersionMismatch) as error:
            if not retry or not work.may_repeat(error):
                raise
            retry -= 1
        else:
            return result
