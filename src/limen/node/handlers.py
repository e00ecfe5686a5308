"""Handlers: who is to be called, in the order in which they were connected.

Methods of objects are held weakly, as (object, function); all else is held. A connection is an object of its own, so an
undo undoes just what it came from, and a connection made while the others are called is known to be a later one.

`Round` is what becomes of calling them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from types import BuiltinMethodType, MethodType
from typing import Any, TypeAlias
from weakref import ref

from limen import exc

Handler: TypeAlias = Callable[..., object]
Undo: TypeAlias = Callable[[], object]


class Round:
    """One round of calls: what was raised (*errors*), and what async handlers have still to do (*waiting*)."""

    __slots__ = ("errors", "waiting")

    def __init__(self, errors: list[Exception] | None = None) -> None:
        self.errors: list[Exception] = [] if errors is None else errors
        self.waiting: list[Awaitable[object]] = []

    def call(self, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Calls one."""
        try:
            result = handler(*args, **kwargs)
        except Exception as error:
            self.errors.append(error)
        else:
            if result is not None and isawaitable(result):
                self.waiting.append(result)

    async def ended(self) -> None:
        """Comes back when all that is waited for has ended, together. Cancelling this cancels it."""
        waiting, self.waiting = self.waiting, []
        if len(waiting) > 1:
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                if isinstance(error, asyncio.CancelledError):
                    self.errors.append(exc.Canceled("A handler was cancelled."))
                elif isinstance(error, Exception):
                    self.errors.append(error)
            return
        for one in waiting:
            try:
                await one
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                self.errors.append(exc.Canceled("A handler was cancelled."))
            except Exception as error:
                self.errors.append(error)

    def judge(self, name: str) -> None:
        """Raises what was raised, if anything was, as one ExceptionGroup: of handlers of *name*."""
        if self.errors:
            found = tuple(self.errors)
            # Each of them holds, by its traceback, frames that hold the list: a circle, with all that handlers had.
            self.errors.clear()
            raise ExceptionGroup(f"{name}: handlers failed", found)

    async def finish(self, name: str) -> None:
        """… when all has ended."""
        await self.ended()
        self.judge(name)


class _Strong:
    """A connection that holds what it calls, and what it is known as: its key is made of ids."""

    __slots__ = ("function", "known_as")

    def __init__(self, function: Handler, known_as: Handler) -> None:
        self.function = function
        self.known_as = known_as


class _Weak(ref[Any]):
    """A connection that ends with the object whose method it calls."""

    __slots__ = ("function", "home", "key")
    function: Handler
    home: ref[Handlers]  # weakly: these hold it, and a circle would keep both until the garbage collector comes
    key: Any


def _forget(gone: ref[Any]) -> None:
    assert isinstance(gone, _Weak)
    home = gone.home()
    if home is not None and home._by_key.get(gone.key) is gone:
        del home._by_key[gone.key]


class Handlers:
    """Those who are connected.

    >>> heard = Handlers()
    >>> undo = heard.connect(print)
    >>> heard.call(("hello",), {}, Round())
    hello
    >>> undo(), len(heard)
    (None, 0)
    """

    __slots__ = ("__weakref__", "_by_key")

    def __init__(self) -> None:
        self._by_key: dict[Any, _Strong | _Weak] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, handler: Handler) -> bool:
        return _key(handler) in self._by_key

    def connect(self, handler: Handler, *, known_as: Handler | None = None) -> Undo:
        """*known_as*: what it is disconnected by, where that is another function; then both are held."""
        if not callable(handler):
            raise TypeError(f"A handler is a function or a method; {handler!r} can't be called.")
        if known_as is None:
            known_as = handler
        key = _key(known_as)
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = self._connection(handler, known_as, key)
        return _Undo(self._by_key, key, found)

    def disconnect(self, handler: Handler) -> bool:
        """False if it was not connected."""
        return self._by_key.pop(_key(handler), None) is not None

    def undo(self, handler: Handler) -> Undo:
        """What undoes the connection that *handler* has now; does nothing if it has none."""
        key = _key(handler)
        return _Undo(self._by_key, key, self._by_key.get(key))

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], round: Round) -> None:
        """Calls all, in *round*."""
        connected, errors, waiting = self._by_key, round.errors, round.waiting
        for key, connection in tuple(connected.items()):
            if connected.get(key) is not connection:
                continue  # disconnected by one of those before it
            try:
                if type(connection) is _Weak:
                    owner = connection()
                    if owner is None:
                        continue
                    result = connection.function(owner, *args, **kwargs)
                else:
                    result = connection.function(*args, **kwargs)
            except Exception as error:
                errors.append(error)
                continue
            if result is not None and isawaitable(result):
                waiting.append(result)

    def _connection(self, handler: Handler, known_as: Handler, key: Any) -> _Strong | _Weak:
        if type(handler) is not MethodType or handler != known_as:
            return _Strong(handler, known_as)
        try:
            made = _Weak(handler.__self__, _forget)
        except TypeError as error:
            raise TypeError(
                f"{handler!r} is held weakly, and a {type(handler.__self__).__name__} can't be: put '__weakref__' into "
                "its __slots__, or connect a function that calls the method."
            ) from error
        made.function = handler.__func__
        made.home = ref(self)
        made.key = key
        return made


class _Undo:
    """Called, it takes that connection away; a second time, or when it is gone already, it does nothing."""

    __slots__ = ("_by_key", "_connection", "_key")

    def __init__(self, by_key: dict[Any, Any], key: Any, connection: _Strong | _Weak | None) -> None:
        self._by_key, self._key, self._connection = by_key, key, connection

    def __call__(self) -> None:
        if self._connection is not None and self._by_key.get(self._key) is self._connection:
            del self._by_key[self._key]
        self._connection = None


def _key(handler: Handler) -> Any:
    """The same for two bound methods of one object and function, as each access makes another one."""
    if type(handler) is MethodType:
        return id(handler.__self__), id(handler.__func__)
    if type(handler) is BuiltinMethodType:
        return id(handler.__self__), handler.__name__
    return id(handler)
