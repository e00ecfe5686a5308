"""One request of the HTTP lane and its answer: a session of the realm for the length of one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from limen import exc
from limen.core.seal.lane import HEARTBEAT
from limen.core.wamp.messages import Abort, Error, Goodbye, Message, Publish, Published, Result
from limen.core.wamp.session import Session
from limen.door.hub.answering import Answering, new_session_id

if TYPE_CHECKING:
    from types import TracebackType

    from limen.base.principal import Principal
    from limen.core.seal.lane import Answer
    from limen.core.wamp.messages import Call, Subscribe
    from limen.door.hub.tabs import KeptCall, Tab

    from .seat import LaneSeat

BEAT: Final = 20.0
"""Seconds after which a stream that has nothing to say shows that it is there."""
MOST_QUEUED: Final = 8 * 2**20
"""Bytes that wait for a reader; a subscriber who is further behind is cut off."""


class LaneCall(Answering):
    """The peer of the hub for one request, and the `Seat` of whoever asks. *digest*: of the request's bytes."""

    __slots__ = (
        "_answer", "_waiter", "answered", "closing", "codec", "digest", "done", "frames", "hub", "number", "origin",
        "principal", "queued", "realm", "running", "seat", "session", "streams", "tls", "whole",
    )  # fmt: skip

    transport = "lane"

    def __init__(self, seat: LaneSeat, number: int, digest: bytes, answer: Answer) -> None:
        self.seat, self.hub, self.number, self.digest, self._answer = seat, seat.hub, number, digest, answer
        self.codec = seat.codec
        self.realm = seat.hub.realm(seat.tab.domain)
        self.session: Session | None = None
        self.running: dict[int, tuple[asyncio.Future[None], Any, KeptCall | None]] = {}
        self.frames: deque[bytes] = deque()
        self.queued = 0
        self.closing = self.whole = self.streams = False
        self.done: asyncio.Future[bytes | None] = seat.hub.loop.create_future()
        """The answer as it is sent again; None for one that is not kept."""
        self.answered: float | None = None
        self.origin, self.tls = "", False
        self.principal: Principal
        self._waiter: asyncio.Future[None] | None = None

    @property
    def tab(self) -> Tab | None:
        return None if self.seat.tab.over else self.seat.tab

    @property
    def domain(self) -> str:
        return self.seat.tab.domain

    def begin(self, principal: Principal, message: Call | Publish | Subscribe, flaw: exc.InvalidValue | None) -> None:
        """Runs what was asked. *flaw*: what is wrong with its payload."""
        self.principal, self.origin, self.tls = principal, principal.origin, principal.tls
        if type(message) is Publish:  # else nothing would ever answer this request
            message = replace(message, options={**message.options, "acknowledge": True})
        self.session = session = Session(
            new_session_id(),
            principal,
            codec_name=self.codec.name,
            authid=principal.user or "",
            details={"authprovider": "limen", "transport": {"encoding": self.codec.name, "sealed": True}},
        )
        session.next_request = message.request
        self.hub.join(self.realm, session, self)
        if flaw is None:
            self.hub.act(self.realm, self.realm.receive(session, message))
        else:
            self.hub.act(self.realm, self.realm.refuse(session, message, flaw))

    # -- what the realm and the hub call ------------------------------------------------------------------------
    def send(self, message: Message) -> int:
        kind = type(message)
        last = kind in (Error, Published, Goodbye, Abort) or (
            type(message) is Result and message.details.get("progress") is not True
        )
        return self._send(self.codec.encode(message), last=last)

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None:
        if data := self.shared(message, frames):
            self._send(data, last=False)
            if self.queued > MOST_QUEUED:
                self.cut()

    def _send(self, data: bytes, *, last: bool = True) -> int:
        if self.closing:
            return 0
        frame = self._answer.seal(data, last=last)
        self.frames.append(frame)
        self.queued += len(frame)
        if last:
            self.whole = True
            self._close(None if self.streams else b"".join(self.frames))
        self._wake()
        return len(data)

    def end(self, message: Abort | Goodbye | None) -> None:
        if message is not None:
            self.send(message)
        self.cut()

    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        """This request's session of the realm is over: it listens where its user may not any more."""
        self.end(Goodbye(details, reason))

    # -- ends ---------------------------------------------------------------------------------------------------
    def cut(self) -> None:
        """Nobody reads the answer any more, or nobody may: what runs for it is cancelled."""
        for task, cancellation, _ in tuple(self.running.values()):
            cancellation.set()
            task.cancel()
        self._close(None)
        self._wake()

    def _close(self, kept: bytes | None) -> None:
        if self.closing:
            return
        self.closing = True
        session, self.session = self.session, None
        if session is not None:
            self.hub.part(self.realm, session)
        if not self.done.done():
            self.done.set_result(kept)
        self.seat.ended(self)

    # -- the answer, piece by piece -----------------------------------------------------------------------------
    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> bytes:
        """What is to be sent next; b"" after the end."""
        while not self.frames:
            if self.closing:
                return b""
            self._waiter = self.hub.loop.create_future()
            await asyncio.wait((self._waiter,), timeout=BEAT)
            if not self.frames and not self.closing:
                return HEARTBEAT
        data = b"".join(self.frames)
        self.frames.clear()
        self.queued = 0
        return data


class Pieces(AsyncGenerator[bytes, None]):
    """The answer of a call as the stream of a response; closing it, begun or not, ends the call."""

    def __init__(self, call: LaneCall) -> None:
        self._call = call

    async def asend(self, value: None) -> bytes:
        data = await self._call.next()
        if not data:
            if not self._call.whole:
                raise ConnectionError("the answer was cut")  # what carries it must not make it look whole
            raise StopAsyncIteration
        return data

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> bytes:
        self._call.cut()
        raise typ

    async def aclose(self) -> None:
        self._call.cut()
