"""Tabs that come back at another process of the server, with all that they left behind.

    process A: the tab, parked or live            process B: AUTHENTICATE of its resume has opened
                                   <── slot.take
    live: told that it was taken over
    what was received, kept answers,
    which calls run here           ───────────>
                                                  the tab goes on here, as it would have there
    a call ends                    ── slot.answer ──>  its answer is kept, or delivered
                                   <── slot.cancel ──  its caller has cancelled

A call goes on where it runs. If the tab moves on, whoever has it now says so there (`slot.follow`) and gets what has
ended meanwhile, so that no answer is lost between two moves. If the process where it runs is gone, nobody knows what
became of it: OutcomeUnknown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base import values
from limen.base.principal import Cancellation
from limen.door.hub.tabs import Calls, KeptCall, Tab

if TYPE_CHECKING:
    from limen.core.guard.accounts import Slot
    from limen.door.hub.bus import Bus
    from limen.door.hub.hub import Hub

Name = tuple[bytes, bytes]
"""A call: its tab's slot, and the id that the client gave it."""
WAIT = 1.5
"""Seconds that a process which takes a tab itself lets another wait for it."""


class Moving:
    """The tabs that come to this process, and those that go."""

    def __init__(self, hub: Hub, bus: Bus) -> None:
        self.hub, self.bus = hub, bus
        self._taking: dict[bytes, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._away: dict[Name, _Away] = {}
        """Calls that run here, or have ended, for tabs that are elsewhere."""
        self._coming: dict[Name, tuple[KeptCall, int, asyncio.Future[None]]] = {}
        """Calls of tabs here that run at another process, whose number it is."""
        bus.answer("slot.take", self._give)
        bus.hear("slot.answer", self._answered)
        bus.hear("slot.cancel", self._cancelled)
        bus.hear("slot.follow", self._followed)
        bus.left(self._left)

    # -- where the tab comes to ---------------------------------------------------------------------------------
    async def take(self, slot: Slot, origin: str) -> None:
        """Brings the tab of *slot*, which has proved itself here, from wherever it is. It is parked here then, whatever
        becomes of the connection for which it is asked."""
        if self.bus.others:
            task = self.hub.loop.create_task(self._take(slot, origin))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.shield(task)

    async def _take(self, slot: Slot, origin: str) -> None:
        done = self.hub.loop.create_future()
        self._taking.setdefault(slot.handle, done)
        try:
            left = await self.bus.ask("slot.take", [self.bus.me, slot.handle, origin])
            if left is not None and self.hub.tabs.get(slot.handle) is None:
                self._arrive(self._park(slot, left), left)
        finally:
            if self._taking.get(slot.handle) is done:
                del self._taking[slot.handle]
            done.set_result(None)

    def _park(self, slot: Slot, left: dict[str, Any]) -> Tab:
        config = self.hub.config.domain(slot.domain)
        tab = Tab(slot.domain, slot.user, slot.login, Calls(config.PARK_TIMEOUT, config.PARK_MAX_RESULTS))
        tab.parked, tab.received, tab.used = self.hub.loop.time(), left["received"], left["used"]
        tab.origin, tab.key, tab.by_password = slot.origin, slot.key, False
        self.hub.tabs.add(tab)
        self.hub.tabs.bind(tab, slot.handle)
        return tab

    def _arrive(self, tab: Tab, left: dict[str, Any]) -> None:
        """The tab goes on here with what it *left* behind there."""
        assert tab.slot is not None
        now = self.hub.loop.time()
        for key, digest, age, value, error in left["answered"]:
            call = KeptCall(tab.calls, key, digest, None, 0)
            tab.calls.keep(call, now - age, *_untold(value, error))
        for key, digest, owner in left["running"]:
            call = KeptCall(tab.calls, key, digest, None, 0)
            call.task = task = self.hub.loop.create_future()
            call.cancellation = _Elsewhere(self, owner, (tab.slot, key))
            tab.calls.run(call)
            if owner in self.bus.others:
                self._coming[tab.slot, key] = call, owner, task
                self.bus.tell("slot.follow", [self.bus.me, tab.slot, key], to=owner)
            elif owner == self.bus.me:  # it has come back to where it runs
                self._coming[tab.slot, key] = call, owner, task
                self._follow(self.bus.me, tab.slot, key)
            else:
                call.finish(now, None, exc.OutcomeUnknown())

    def forget(self, slot: bytes) -> None:
        """The session is over: nobody will ask for its calls."""
        for name, away in tuple(self._away.items()):
            if name[0] == slot:
                del self._away[name]
                away.cancel()

    def _answered(self, body: list[Any]) -> None:
        slot, key, value, error = body
        self._end((slot, key), *_untold(value, error))

    def _end(self, name: Name, value: Any, error: exc.Error | None) -> None:
        coming = self._coming.pop(name, None)
        if coming is not None:
            call, _, task = coming
            call.finish(self.hub.loop.time(), value, error)
            if not task.done():
                task.set_result(None)

    def _left(self, number: int) -> None:
        for name, (_, owner, _) in tuple(self._coming.items()):
            if owner == number:
                self._end(name, None, exc.OutcomeUnknown())

    # -- where it comes from ------------------------------------------------------------------------------------
    async def _give(self, body: list[Any]) -> dict[str, Any] | None:
        asker, slot, origin = body
        taking = self._taking.get(slot)
        if taking is not None:  # both take it from a third: the one with the greater number has it at last
            if self.bus.me > asker:
                return None
            await asyncio.wait({taking}, timeout=WAIT)
        tab = self.hub.tabs.get(slot)
        if tab is None or tab.over:
            return None
        if tab.connection is not None:
            tab.connection.taken_over(origin)
        self.hub.tabs.let_go(tab)
        now = self.hub.loop.time()
        answered = [
            [call.key, call.digest, now - (call.answered or now), *_told(call)] for call in tab.calls.answered()
        ]
        running = [[call.key, call.digest, self._send_after(slot, call, asker)] for call in tab.calls.running()]
        return {"received": tab.received, "used": tab.used, "answered": answered, "running": running}

    def _send_after(self, slot: bytes, call: KeptCall, holder: int) -> int:
        """A running call's answer is to go to *holder*; gives the process where it runs."""
        name = slot, call.key
        coming = self._coming.pop(name, None)
        if coming is not None:
            return coming[1]
        self._away[name] = call.receiver = _Away(self, name, call, holder)
        return self.bus.me

    def _followed(self, body: list[Any]) -> None:
        self._follow(*body)

    def _follow(self, holder: int, slot: bytes, key: bytes) -> None:
        away = self._away.get((slot, key))
        if away is None:
            self.tell(holder, "slot.answer", [slot, key, None, exc.OutcomeUnknown().to_wire()])
            return
        away.holder = holder
        away.call.deliver()

    def tell(self, holder: int, kind: str, body: list[Any]) -> None:
        """Tells another process, or this one."""
        if holder != self.bus.me:
            self.bus.tell(kind, body, to=holder)
        elif kind == "slot.answer":
            self._answered(body)
        else:
            self._cancelled(body)

    def _cancelled(self, body: list[Any]) -> None:
        slot, key = body
        away = self._away.get((slot, key))
        if away is not None:
            away.cancel()

    def drop(self, name: Name) -> None:
        """Nobody asks for that answer any more."""
        self._away.pop(name, None)


class _Away:
    """Where the answer of a call goes whose tab is at another process."""

    def __init__(self, moving: Moving, name: Name, call: KeptCall, holder: int) -> None:
        self._moving, self._name, self.call, self.holder = moving, name, call, holder
        self._dropping = False

    def result(self, request: int, value: Any) -> int:
        return self._tell()

    def error(self, request: int, error: exc.Error) -> int:
        return self._tell()

    def _tell(self) -> int:
        moving = self._moving
        moving.tell(self.holder, "slot.answer", [*self._name, *_told(self.call)])
        if not self._dropping:  # another may yet come to follow
            self._dropping = True
            moving.hub.loop.call_later(moving.hub.config.PARK_TIMEOUT, moving.drop, self._name)
        return 1

    def cancel(self) -> None:
        if self.call.cancellation is not None:
            self.call.cancellation.set()
        if self.call.task is not None:
            self.call.task.cancel()


class _Elsewhere(Cancellation):
    """Cancels a call that runs at process *owner*."""

    __slots__ = ("_moving", "_name", "_owner")

    def __init__(self, moving: Moving, owner: int, name: Name) -> None:
        super().__init__()
        self._moving, self._owner, self._name = moving, owner, name

    def set(self) -> None:
        super().set()
        self._moving.tell(self._owner, "slot.cancel", list(self._name))


def _told(call: KeptCall) -> tuple[Any, Any]:
    """An answer, or an error, as the bus carries it."""
    if call.error is not None:
        try:
            return None, values.tag(call.error.to_wire(), "msgpack")
        except Exception:
            return None, exc.InternalError().to_wire()
    try:
        return values.tag(call.value, "msgpack"), None
    except Exception as problem:
        error = problem if isinstance(problem, exc.Error) else exc.InternalError()
        return None, error.to_wire()


def _untold(value: Any, error: Any) -> tuple[Any, exc.Error | None]:
    if error is not None:
        wire = values.untag(error, "msgpack")
        return None, exc.from_wire(wire.get("uri", ""), wire)
    return values.untag(value, "msgpack"), None
