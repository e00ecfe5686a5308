"""Calls under way: what is kept of each until its answer is there, and what becomes of it when a connection is lost.

The rules are those of docs/security.md, Calls and repeats: a call that may have run is never run again unless the
server knows its id.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from limen import exc
from limen.client.address import uri
from limen.client.stream import Push
from limen.client.tracing import with_trace
from limen.core.wamp.messages import Call, Cancel, Result

if TYPE_CHECKING:
    from limen.client.line import Line


class Answer(NamedTuple):
    """What a call gave that came back with several results, or with named ones (other WAMP callees may do that)."""

    args: list[Any]
    kwargs: dict[str, Any]


def answer(args: list[Any] | None, kwargs: dict[str, Any] | None) -> Any:
    """The value of a RESULT: its only result, None without any, else an `Answer`.

    >>> answer([7], None), answer(None, None), answer([1, 2], None)
    (7, None, Answer(args=[1, 2], kwargs={}))
    """
    if not kwargs:
        if not args:
            return None
        if len(args) == 1:
            return args[0]
    return Answer(args or [], kwargs or {})


class PendingCall:
    """One call until it is answered.

    *data*: its CALL as it was first encoded: what is sent anew is that, whatever has become of the arguments since.
    *id*: names it for good in a sealed session. *feed*: takes progressive results, None: none are wanted.
    """

    __slots__ = ("data", "feed", "frame", "future", "id", "repeat", "request", "sent", "timer")

    def __init__(self, future: asyncio.Future[Any], id: bytes, feed: Push | None) -> None:
        self.future = future
        self.id = id
        self.feed = feed
        self.data = b""
        self.request = 0
        self.frame = -1
        """Number of the sealed frame that it went out in."""
        self.sent = False
        self.repeat = False
        """It may have run: a server that does not know its id any more must not run it (`x_repeat`)."""
        self.timer: asyncio.TimerHandle | None = None

    def options(self) -> dict[str, Any]:
        """CALL.Options, but for the time-out."""
        options: dict[str, Any] = {}
        if self.id:
            options["x_id"] = self.id
            if self.repeat:
                options["x_repeat"] = True
        if self.feed is not None:
            options["receive_progress"] = True
        return options

    def succeed(self, value: Any) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: exc.Error) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def lost(self) -> None:
        """There will be no answer."""
        self.fail(exc.OutcomeUnknown() if self.sent else exc.ConnectionLost())


class Calls:
    """The calls of one session. *line*: what they travel by."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._sent: dict[int, PendingCall] = {}
        """In this connection, by request id."""
        self._waiting: list[PendingCall] = []
        """To be sent once there is a connection."""

    async def call(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        timeout: float | None,
        push: Push | None = None,
    ) -> Any:
        """One call, from CALL to RESULT. Cancelled: the server is told. *timeout*: seconds. *push*: takes progressive
        results."""
        connection = self._line.connection
        if connection is not None and connection.full:
            await connection.drained()
        call = self.begin(name, args, kwargs, timeout, push)
        try:
            return await call.future
        except asyncio.CancelledError:
            self.cancel(call)
            raise
        finally:
            if call.timer is not None:
                call.timer.cancel()

    def stream(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], timeout: float | None, push: Push
    ) -> tuple[asyncio.Future[Any], Callable[[], object]]:
        """Begins a call whose values go to *push*: its future, and what cancels it."""
        call = self.begin(name, args, kwargs, timeout, push)
        return call.future, lambda: self.cancel(call)

    def begin(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        timeout: float | None,
        feed: Push | None,
    ) -> PendingCall:
        """Sends a call, or has it wait for a connection. Raises exc.InvalidValue for what can't travel."""
        line = self._line
        if line.over is not None:
            raise line.over
        loop = asyncio.get_running_loop()
        call = PendingCall(loop.create_future(), os.urandom(16) if line.sealed else b"", feed)
        options = call.options()
        if timeout is not None:
            options["timeout"] = max(1, round(timeout * 1000))
        if line.settings.spans is not None:
            options = with_trace(options)
        request = line.request + 1
        call.data = line.codec.encode(Call(request, options, uri(name), list(args), kwargs or None))
        if line.connection is None:
            self._waiting.append(call)
        else:
            self._send(call, request, call.data)
        if timeout is not None:
            call.timer = loop.call_later(timeout, self._expired, call)
        return call

    def _send(self, call: PendingCall, request: int, data: bytes) -> None:
        line = self._line
        connection = line.connection
        assert connection is not None
        line.request = call.request = request
        call.sent = True
        if connection.channel is not None:
            call.frame = connection.channel.sent
        self._sent[request] = call
        connection.write(data)

    def cancel(self, call: PendingCall) -> None:
        """Nobody waits for this call any more."""
        call.future.cancel()
        if self._sent.get(call.request) is call:
            del self._sent[call.request]
            if self._line.connection is not None:
                self._line.connection.send(Cancel(call.request, {"mode": "killnowait"}))

    def _expired(self, call: PendingCall) -> None:
        call.fail(exc.Timeout())
        self.cancel(call)

    # -- what the session says ----------------------------------------------------------------------------------
    def result(self, message: Result, flaw: exc.InvalidValue | None) -> None:
        """A RESULT came; *flaw*: what is wrong with its payload."""
        call = self._sent.get(message.request)
        if call is None:
            return  # cancelled meanwhile
        if flaw is None and message.details and message.details.get("progress") is True:
            if call.feed is not None:
                call.feed(answer(message.args, message.kwargs))
            return
        del self._sent[message.request]
        if flaw is None:
            call.succeed(answer(message.args, message.kwargs))
        else:
            call.fail(flaw)

    def error(self, request: int, error: exc.Error) -> None:
        """An ERROR came."""
        call = self._sent.pop(request, None)
        if call is not None:
            call.fail(error)

    def lost(self, *, keep: bool) -> None:
        """The connection is lost. *keep*: the session may be resumed, and then its calls too."""
        sent, self._sent = list(self._sent.values()), {}
        if keep:
            self._waiting = sent + self._waiting
            return
        for call in sent:
            call.lost()

    def returned(self, received: int | None) -> None:
        """There is a connection again; nothing is sent yet. *received*: frames of the last one that the server opened,
        None: unknown."""
        for call in self._waiting:
            if call.sent and not call.repeat:
                call.sent = call.repeat = received is None or call.frame < received

    def resume(self) -> None:
        """Sends all that waits."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if not call.future.done():
                self._send_again(call)

    def _send_again(self, call: PendingCall) -> None:
        """The same id, the same content, a new request."""
        line = self._line
        message = line.codec.decode(call.data)
        assert type(message) is Call
        request = line.request + 1
        options = {**message.options, **call.options()}
        again = msgspec.structs.replace(message, request=request, options=options)
        self._send(call, request, line.codec.encode(again))

    def over(self) -> None:
        """The session is over."""
        self.lost(keep=True)
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.lost()
