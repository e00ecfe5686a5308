"""A session of the HTTP lane in one process: its keys as they are by now, its user, its calls.

What is true stands in the store (`LaneStore`); here is a copy that may be behind, where another process has taken calls
meanwhile. A number is burnt in the copy at once, so that nobody in this process takes it twice, and counts only when
the store has it; calls that come together are burnt together.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from limen import exc
from limen.core.seal.channel import BadFrame
from limen.core.seal.kdf import VERSION, lp
from limen.core.seal.lane import Burnt, LaneState, TooFar, mark, rest_key
from limen.core.wamp.codecs import codec
from limen.core.wamp.messages import Goodbye
from limen.door.hub.answering import new_session_id
from limen.door.hub.identity import identity
from limen.door.hub.seat import CHANGED, SHUTDOWN
from limen.door.hub.tabs import Calls, Tab

from .call import LaneCall

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.core.guard.accounts import Account, LaneRow, LaneStore, Slot
    from limen.core.seal.lane import Opened
    from limen.door.hub.hub import Hub

KEPT_BYTES = 4 * 2**20
"""Of answers that one session may ask for again."""


class Kept(NamedTuple):
    """A slot of kind "lane" as the store has it."""

    slot: Slot
    row: LaneRow


class Burning(NamedTuple):
    """A number on its way into the store."""

    number: int
    mark: bytes
    th: bytes
    """Of the lane under whose keys it came."""
    done: asyncio.Future[None]


class LaneSeat:
    """See the module. It stands in its tab's place of a connection."""

    def __init__(self, hub: Hub, lanes: LaneStore, kept: Kept) -> None:
        slot, row = kept
        self.hub, self._lanes = hub, lanes
        self.tab = tab = Tab(slot.domain, slot.user, slot.login, Calls(0.0, 0))
        tab.connection, tab.by_password, tab.kind = self, row.by_password, slot.kind
        tab.origin, tab.key, tab.acting = slot.origin, slot.key, slot.acting
        tab.used = tab.stored = slot.used
        self.codec = codec(row.encoding, tagged=True)
        self._key = rest_key(hub.gate.keys.domain(slot.domain, slot.key_number).lane_key, slot.handle)
        self._name = lp(VERSION, "lane", slot.domain, slot.handle)
        self.row, self.state = row, LaneState.wake(row.state, self._key, self._name)
        self._burning: list[Burning] = []
        self._writer: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.running: dict[int, LaneCall] = {}
        self._answered: OrderedDict[int, LaneCall] = OrderedDict()
        self._bytes = 0
        self.session = new_session_id()
        """What `get_state().session` says, in this process."""
        self._who: tuple[Account, str | None] | None = None
        self._changes = -1
        self._principal: Principal | None = None
        self.slot = slot
        hub.tabs.add(tab)
        hub.tabs.bind(tab, slot.handle)
        self.rest()

    # -- who ----------------------------------------------------------------------------------------------------
    async def principal(self, origin: str, tls: bool) -> Principal:
        """The user as of now, or the one as whom they act. Raises `UnknownSession` where the session has ended."""
        gate, tab = self.hub.gate, self.tab
        changes = gate.accounts.changes
        if self._who is None or changes != self._changes:
            who = await gate.on_thread(self._look)
            if who is None:
                raise exc.UnknownSession
            if who != self._who:
                self._who, self._principal, tab.record = who, None, who[0].record
            self._changes = changes
        if tab.over:
            raise exc.UnknownSession
        now, (account, by) = self._principal, self._who
        if now is None or now.origin != origin or now.tls is not tls:
            now = self._principal = gate.principal(account, origin, tls, self.session, by=by)
            tab.origin = origin
        return now

    def _look(self) -> tuple[Account, str | None] | None:
        """On a thread: who the session is, by what the store says."""
        gate, tab = self.hub.gate, self.tab
        assert tab.slot is not None
        slot = gate.slots.get(tab.domain, tab.slot)
        if slot is None or (slot.key and gate.machines.get(slot.domain, slot.key) is None):
            return None
        tab.acting = slot.acting
        return identity(gate, self.hub.config.domain(slot.domain), slot)

    async def expired(self) -> bool:
        """It was idle for too long, or is too old; then it ends. What listens here keeps its place for hours, while
        other processes take the calls: of them the store knows."""
        tab, slots = self.tab, self.hub.gate.slots
        if not self._idle():
            return False
        slot = await self.hub.gate.on_thread(slots.get, tab.domain, self.slot.handle)
        if slot is not None and slot.used > tab.used:
            tab.used = tab.stored = slot.used
            if not self._idle():
                return False
        if not tab.over:
            self.hub.logins.end(tab, "limen.close.expired", why="expired")
        return True

    def look(self) -> None:
        """`expired`, some time soon."""

        async def look() -> None:
            with contextlib.suppress(exc.Error):  # a store that fails is asked again a second later
                await self.expired()

        if self._looking is None or self._looking.done():
            self._looking = self.hub.loop.create_task(look())

    def _idle(self) -> bool:
        config, now, tab = self.hub.config.domain(self.tab.domain), time.time(), self.tab
        return now - tab.used > config.SESSION_TIMEOUT or now - tab.login > config.SESSION_MAX_AGE

    # -- numbers ------------------------------------------------------------------------------------------------
    async def open(self, number: int, frame: bytes) -> Opened:
        """What *frame* holds, its number burnt in this process; `burn` says when it is burnt for all.

        Raises `Burnt`, `TooFar`, `BadFrame`, where the store says so too; `UnknownSession` where it has no such slot.
        """
        try:
            opened = self.state.open(number, frame)
        except (TooFar, BadFrame, Burnt) as refused:
            if type(refused) is Burnt and self.state.was(number, mark(frame)):
                raise  # it was this very request
            if not await self._reload():
                raise
            opened = self.state.open(number, frame)
        self.state = opened.state
        return opened

    def burn(self, number: int, mark: bytes) -> asyncio.Future[None]:
        """Done once *number* is burnt for all processes. Raises `Burnt` where another one was quicker."""
        burnt = self.hub.loop.create_future()
        self._burning.append(Burning(number, mark, self.state.th, burnt))
        if self._writer is None:
            self._writer = self.hub.loop.create_task(self._write())
        return burnt

    async def _write(self) -> None:
        waiting: list[Burning] = []
        try:
            while self._burning:
                waiting, self._burning = self._burning, []
                state = self.state.rest(self._key, os.urandom(12), self._name)
                row = await asyncio.wrap_future(self._lanes.step(replace(self.row, state=state)))
                if row is None:
                    self._burning = waiting + self._burning
                    waiting = []
                    await self._reload(fresh=True)
                    continue
                self.row = row
                for burning in waiting:
                    if not burning.done.done():
                        burning.done.set_result(None)
        except BaseException as error:
            lost = waiting + self._burning
            self._burning = []
            for *_, future in lost:
                if not future.done():
                    future.set_exception(error if isinstance(error, exc.Error) else exc.InternalError())
                    future.exception()  # its call may be gone
            if not isinstance(error, exc.Error):
                raise
        finally:
            self._writer = None

    async def _reload(self, *, fresh: bool = False) -> bool:
        """Takes up what the store has, if that is another state than ours; what is being burnt is burnt in that.

        *fresh*: it is another one for sure. Raises `UnknownSession` where the slot has ended."""
        tab = self.tab
        assert tab.slot is not None
        row = await self.hub.gate.on_thread(self._lanes.get, tab.domain, tab.slot)
        if row is None:
            self.hub.tabs.remove(tab)
            raise exc.UnknownSession
        if row.version <= self.row.version and not fresh:
            return False
        try:
            state = LaneState.wake(row.state, self._key, self._name)
        except BadFrame:
            raise exc.UnknownSession from None
        if state.th != self.state.th:  # another server has given the slot other keys
            self.taken_over("")
            self._answered.clear()
            self._bytes = 0
        left = []
        for burning in self._burning:
            try:
                if burning.th != state.th:
                    raise exc.UnknownSession
                state = state.burn(burning.number, burning.mark)
                left.append(burning)
            except (Burnt, TooFar, exc.UnknownSession) as over:
                if not burning.done.done():
                    burning.done.set_exception(over if isinstance(over, exc.Error) else Burnt(str(over)))
        self._burning, self.row, self.state = left, row, state
        self._who = None  # the step may be another's word that this has changed
        return True

    # -- calls --------------------------------------------------------------------------------------------------
    def add(self, call: LaneCall) -> None:
        """A call begins."""
        self.running[call.number] = call
        self.tab.parked = None

    def find(self, number: int) -> LaneCall | None:
        """The call of that number, if it runs or its answer is kept."""
        self.trim()
        return self.running.get(number) or self._answered.get(number)

    def ended(self, call: LaneCall) -> None:
        """The call is over; its answer may be asked for again."""
        if self.running.pop(call.number, None) is call:
            data = call.done.result()
            if data is not None:
                call.answered = self.hub.loop.time()
                call.frames.clear()
                self._answered[call.number] = call
                self._bytes += len(data)
        self.trim()
        self.rest()

    def trim(self) -> None:
        """Lets go of answers that are too old or too many."""
        config, answered = self.hub.config.domain(self.tab.domain), self._answered
        before = self.hub.loop.time() - config.PARK_TIMEOUT
        while answered:
            number, oldest = next(iter(answered.items()))
            assert oldest.answered is not None
            if len(answered) <= config.PARK_MAX_RESULTS and self._bytes <= KEPT_BYTES and oldest.answered >= before:
                return
            self._bytes -= len(oldest.done.result() or b"")
            del answered[number]

    def rest(self) -> None:
        """Nothing runs: after PARK_TIMEOUT this process forgets the session, and the store has it still."""
        if not self.running and not self.tab.over:
            self.tab.parked = self.hub.loop.time()

    # -- ends ---------------------------------------------------------------------------------------------------
    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        """The session has ended: so do its streams, which hear why, and its calls. Where only who it is has changed, or
        the server stops, its calls go on."""
        if reason == CHANGED:
            self._who = None
        for call in tuple(self.running.values()):
            if call.streams:
                call.send(Goodbye(details, reason))
            if call.streams or reason not in (CHANGED, SHUTDOWN):
                call.cut()

    def tasks(self) -> set[asyncio.Future[None]]:
        """What runs for its calls."""
        return {task for call in self.running.values() for task, _, _ in call.running.values()}

    def taken_over(self, origin: str) -> None:
        """The slot goes on under other keys."""
        self.goodbye("limen.close.taken_over", {"from": origin})


def digest(frame: bytes) -> bytes:
    """What a resend is recognised by; its first bytes are the machine's mark."""
    return hashlib.sha256(frame).digest()
