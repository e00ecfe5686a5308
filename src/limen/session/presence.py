"""Presence: how a service learns that pages are gone, and when their time is up. `stays` keeps the books of it.

on_leave      a WAMP session is gone, says the router
a look        from time to time, and when the connection is back, at whom nobody has told of
a timer       for the next session whose time is up
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from limen import exc

if TYPE_CHECKING:
    from limen.node.port import Session

    from .stays import Stays

log = logging.getLogger("limen.session")

LEFT = "wamp.session.on_leave"
LIST = "wamp.session.list"
LOOK = 60.0
"""Seconds between two looks whether pages are gone of which nobody was told, at least."""

NOT_TOLD = (
    f"The router does not let this service subscribe {LEFT} ({{}}): it would never learn that a page is gone. Allow "
    f"that topic to its role, and the call of {LIST}."
)


def now() -> float:
    """Seconds, by the clock of the running loop."""
    return asyncio.get_running_loop().time()


class Presence:
    """Of the pages of one service, in *session*. *away* is told of each session whose page is gone, *end* ends one
    whose time is up."""

    def __init__(
        self,
        stays: Stays,
        session: Session,
        away: Callable[[str], None],
        end: Callable[[str, str], Coroutine[Any, Any, None]],
    ) -> None:
        self._stays, self._session, self._away, self._end = stays, session, away, end
        self._undos: list[Callable[[], object]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._wakes: float | None = None  # uvloop's timers do not all say when
        self._looker: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Hears from now on who leaves. Raises `exc.Forbidden` where the router does not say it."""
        try:
            self._undos.append(await self._session.subscribe(LEFT, self._left))
        except exc.Error as error:
            raise exc.Forbidden(NOT_TOLD.format(error)) from error
        self._undos.append(self._session.on("restored", self._look))
        self._look_later()

    def stop(self) -> None:
        """Hears nothing more, and ends nobody."""
        for timer in (self._timer, self._looker):
            if timer is not None:
                timer.cancel()
        undos, self._undos = self._undos, []
        for undo in undos:
            undo()
        for task in tuple(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()

    def watch(self) -> None:
        """Wakes for the next session whose time is up: to be said when another one is the next."""
        when = self._stays.next()
        if self._timer is not None:
            if when == self._wakes:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None and self._undos:
            self._wakes = when
            self._timer = asyncio.get_running_loop().call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer = None
        for name in self._stays.due(now()):
            self._task(self._end(name, "timeout"))
        self.watch()

    def _left(self, id: int, *more: Any, **about: Any) -> None:
        """A WAMP session is gone."""
        names = self._stays.left(id, now())
        for name in names:
            self._away(name)
        if names:
            self.watch()

    def _look_later(self) -> None:
        self._looker = asyncio.get_running_loop().call_later(max(LOOK, self._stays.grace), self._look)

    def _look(self) -> None:
        """A session may have gone while nobody could say so: a lost connection, another process that has ended."""
        if self._looker is not None:
            self._looker.cancel()
        self._look_later()
        if len(self._stays):
            self._task(self._compare())

    async def _compare(self) -> None:
        asked = self._stays.clients()
        try:
            there = await self._session.apply(LIST)
        except exc.Error as error:
            log.warning("%s could not be asked who is here: %s", LIST, error)
            return
        for client in asked.difference(there):
            self._left(client)

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
