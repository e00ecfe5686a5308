"""Mirrors: the dictionary of a node, kept somewhere else.

    mirror = await node.remote("@cart").stream()
    stop = effect(lambda: print(mirror["items"]))

On the wire it is a call with progressive results, which any WAMP client can make: `shop.cart.node_stream`.

    ["snapshot", 1, {"items": ["milk"]}]              all there is
    ["changes", 2, [["items", ["milk", "bread"]]]]    each key that has another value: a batch is one message
    ["changes", 3, [["items"]]]                       a key alone is gone

Numbers count the messages of one call; who misses one asks anew. The call ends when the node is unbound. What changes
while a reader is slow is merged, key by key, so that nobody waits and nothing grows.

`Sender` and `Mirror.take` are machines that know no wire; `state.py` ties both to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn

from limen import exc
from limen.core.react import ABSENT, ReactiveDict, Value, batch

from .frozen import frozen

log = logging.getLogger("limen.node")

STREAM: Final = "node_stream"
"""The call that mirrors are made of: offered by nodes that hold something, or have."""
SNAPSHOT: Final = "snapshot"
CHANGES: Final = "changes"
PAUSES: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds before a mirror asks again for a node that cannot be found, or has failed, the first time, the second, …"""
OFTEN: Final = 2
"""After so many failures one after the other it says so."""


class Sender:
    """The messages for one mirror of *data*: `take` gives the next one, if there is something to say; as an async
    iterator it waits for that."""

    __slots__ = ("__weakref__", "_data", "_due", "_ended", "_log", "_number")

    def __init__(self, data: ReactiveDict[str, Any]) -> None:
        self._data = data
        self._due = asyncio.Event()
        self._log = data.log(self._due.set)
        self._number = 0
        self._ended = False

    def take(self) -> list[Any] | None:
        """The next message: first a snapshot, then what has changed since; None: nothing has."""
        changes = self._log.take()
        if not self._number:
            self._number = 1
            return [SNAPSHOT, 1, dict(self._data)]
        if not changes:
            return None
        self._number += 1
        rows = [[key] if now is ABSENT else [key, now] for key, _, now in changes]
        return [CHANGES, self._number, rows]

    async def __aiter__(self) -> AsyncIterator[list[Any]]:
        while True:
            self._due.clear()
            message = self.take()
            if message is not None:
                yield message
            elif self._ended:
                return
            else:
                await self._due.wait()

    def end(self) -> None:
        """Nothing comes after what has changed so far."""
        self._ended = True
        self._due.set()

    def close(self) -> None:
        """Lets go of the dictionary."""
        self._log.close()


class Gap(Exception):
    """A message is missing, or is none: the mirror must ask anew."""


class Mirror(ReactiveDict[str, Any]):
    """The dictionary of a node elsewhere, read only; those who read it follow it. It keeps what it had while the
    connection is lost, and changes by what is different then when it returns.

    `close()` ends it; it ends by itself when its node is unbound, or the one that it was made from.
    """

    __slots__ = ("__weakref__", "_closed", "_number", "_path", "_synced", "_task")

    def __init__(self, path: str) -> None:
        super().__init__(name=f"the mirror of {path}")
        self._path = path
        self._number = 0
        self._synced = Value(False, name=f"synced, of {path}")
        self._closed = Value(False, name=f"closed, of {path}")
        self._task: asyncio.Task[None] | None = None

    @property
    def synced(self) -> bool:
        """It is what its node is, but for what is on its way; who reads this follows it, too."""
        return self._synced.value

    @property
    def closed(self) -> bool:
        """It does not change any more: its node is unbound, or `close` was called. It keeps what it had."""
        return self._closed.value

    def close(self) -> None:
        """Ends it, and the call behind it."""
        if self._task is not None:
            self._task.cancel()
        self._end()

    def take(self, message: Any) -> None:
        """The next message of a stream. Raises `Gap` where one before it is missing."""
        match message:
            case [str(kind), int(number), dict(data)] if kind == SNAPSHOT:
                rows = [(key, frozen(value, key)) for key, value in data.items()]
                rows += [(key, ABSENT) for key in self._data if key not in data]
            case [str(kind), int(number), [*told]] if (
                kind == CHANGES and self._synced.peek() and number == self._number + 1 and all(map(_is_row, told))
            ):
                rows = [(key, frozen(value[0], key) if value else ABSENT) for key, *value in told]
            case _:
                self.lost()
                raise Gap
        self._number = number  # first: the last line may raise what those who follow have raised
        with batch():
            for key, value in rows:
                self._put(key, value)
            self._synced.value = True

    def lost(self) -> None:
        """Nothing comes for now; the next message must be a snapshot."""
        self._synced.value = False

    def _end(self) -> None:
        with batch():
            self._synced.value = False
            self._closed.value = True

    def _refused(self, *args: object, **kwargs: object) -> NoReturn:
        raise exc.InvalidCall(f"A mirror is read only; call what changes {self._path} there.")

    __setitem__ = __delitem__ = _refused
    clear = pop = popitem = setdefault = update = _refused

    # -- tied to the wire ---------------------------------------------------------------------------------------
    async def follow(self, ask: Callable[[], AsyncGenerator[Any, None]]) -> None:
        """Comes back when the first snapshot is there; raises what is said instead of one."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._keep_up(ask, first), name=self.name)
        try:
            await first
        except BaseException:
            self.close()
            raise

    def _told(self, message: Any) -> None:
        try:
            self.take(message)
        except Gap:
            raise
        except Exception as error:  # of those who follow; the mirror has changed all the same
            context = {"message": f"What follows {self.name} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    async def _keep_up(self, ask: Callable[[], AsyncGenerator[Any, None]], first: asyncio.Future[None]) -> None:
        failures = 0
        while True:
            try:
                async with aclosing(ask()) as messages:
                    async for message in messages:
                        self._told(message)
                        failures = 0
                        if not first.done():
                            first.set_result(None)
                    self._end()
            except Gap:
                pass
            except Exception as error:
                lost = isinstance(error, exc.OutcomeUnknown)  # the connection, amid the question
                if not first.done() and not lost:
                    first.set_exception(error)
                    return
                if failures == OFTEN:
                    log.warning("%s is out of step, and asks again: %s", self.name, error)
            if self._closed.peek():
                return
            self.lost()
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1


def _is_row(row: object) -> bool:
    return isinstance(row, list | tuple) and 1 <= len(row) <= 2 and isinstance(row[0], str)
